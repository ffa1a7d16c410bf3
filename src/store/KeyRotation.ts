/**
 * Seals again, by the first key of the ring, what another key has sealed or nobody: so the other key
 * can leave the ring.
 *
 * Promises: secrets go in batches by ascending id, each in one short statement that locks nothing but
 * its own rows, while engines whose ring has both keys go on; the other sealed parts of webhooks
 * follow in the same way. A run that ended early is done again and finds what is left. What cannot be
 * opened is left as it is, and counted.
 */
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { KeyRing, sealedMark } from "./KeyRing.ts"
import * as Parameters from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import * as WebhookParts from "./WebhookParts.ts"
import * as WebhookRow from "./WebhookRow.ts"

/** What a rotation has done so far. */
export interface Progress {
  readonly sealed: number
  readonly unreadable: number
}

/** How much a key has sealed: secrets, auths and headers; `keyId` is null for what nobody has. */
export interface KeyCount {
  readonly keyId: string | null
  readonly secrets: number
}

/** Rows that are sealed by one statement. */
const batchRows = 500

/** Seals again what the first key of the ring has not, and tells of each batch. */
export const run = Effect.fn("KeyRotation.run")(
  function* (onBatch: (progress: Progress) => Effect.Effect<void>) {
    let progress: Progress = { sealed: 0, unreadable: 0 }
    for (const batchAfter of [secretsAfter, partsAfter]) {
      let after: string | null = "00000000-0000-0000-0000-000000000000"
      while (after !== null) {
        const batch: Batch | null = yield* batchAfter(after)
        after = batch === null ? null : batch.lastId
        if (batch === null) continue
        progress = {
          sealed: progress.sealed + batch.sealed,
          unreadable: progress.unreadable + batch.unreadable
        }
        yield* onBatch(progress)
      }
    }
    return progress
  },
  Effect.mapError(StoreError.from("KeyRotation.run"))
)

/** What was done about some rows, the last of which has this id. */
interface Batch extends Progress {
  readonly lastId: string
}

/** Seals the next secrets. */
const secretsAfter = Effect.fnUntraced(function* (after: string) {
  const sql = yield* SqlClient
  const ring = yield* KeyRing
  if (ring.head === null) return null
  const rows = yield* sql<SecretRow>`
    select s.id, s.webhook_id, w.tenant_id, s.value
    from webhook_secret s join webhook w on w.id = s.webhook_id
    where s.id > ${after}
      and (length(s.value) <= 64 or substring(s.value for ${ring.head.length}) <> ${ring.head})
    order by s.id limit ${batchRows}`
  const last = rows.at(-1)
  if (last === undefined) return null
  reach("rotation.read")
  const done: Array<{ readonly row: SecretRow; readonly sealed: Uint8Array }> = []
  for (const row of rows) {
    const identity = WebhookRow.identityOf(row.tenant_id, row.webhook_id, row.id)
    const sealed = yield* again(ring, identity, row.value)
    if (sealed !== null) done.push({ row, sealed })
  }
  const ids = Parameters.uuids(done.map(({ row }) => row.id))
  const former = Parameters.bytes(done.map(({ row }) => row.value))
  const sealed = Parameters.bytes(done.map((one) => one.sealed))
  // One that was rotated or deleted meanwhile is not what was read, and stays as it is.
  yield* sql`
    update webhook_secret s set value = n.sealed
    from unnest(${ids}, ${former}, ${sealed}) as n (id, former, sealed)
    where s.id = n.id and s.value = n.former`.pipe(Effect.retry(afterDeadlock))
  reach("rotation.secrets")
  return { lastId: last.id, sealed: done.length, unreadable: rows.length - done.length }
})

/** Seals auth and headers of the next webhooks, those headers too that were written before sealing. */
const partsAfter = Effect.fnUntraced(function* (after: string) {
  const sql = yield* SqlClient
  const ring = yield* KeyRing
  const { head } = ring
  if (head === null) return null
  const isOther = (column: "auth_sealed" | "headers_sealed") => sql`
    (length(${sql(column)}) <= 64 or substring(${sql(column)} for ${head.length}) <> ${head})`
  const rows = yield* sql<PartsRow>`
    select id, tenant_id, auth_sealed, headers_sealed, headers from webhook
    where id > ${after} and (${isOther("auth_sealed")} or ${isOther("headers_sealed")}
      or (headers_sealed is null and headers <> '{}'))
    order by id limit ${batchRows}`
  const last = rows.at(-1)
  if (last === undefined) return null
  const counts = { sealed: 0, unreadable: 0 }
  const reseal = (part: "auth" | "headers", row: PartsRow, stored: Uint8Array | null) =>
    stored === null || isSealedBy(head, stored)
      ? Effect.succeed(stored)
      : Effect.map(
          again(
            ring,
            WebhookParts.identityOf(part, { tenantId: row.tenant_id, webhookId: row.id }),
            stored,
            WebhookParts.isPlain
          ),
          (sealed) => {
            counts[sealed === null ? "unreadable" : "sealed"]++
            return sealed ?? stored
          }
        )
  const auths: Array<Uint8Array | null> = []
  const headers: Array<Uint8Array | null> = []
  for (const row of rows) {
    const isUnsealed = row.headers_sealed === null && Object.keys(row.headers).length > 0
    const plain = isUnsealed ? new TextEncoder().encode(JSON.stringify(row.headers)) : null
    auths.push(yield* reseal("auth", row, row.auth_sealed))
    headers.push(yield* reseal("headers", row, row.headers_sealed ?? plain))
  }
  const ids = Parameters.uuids(rows.map((row) => row.id))
  const formerAuths = Parameters.bytes(rows.map((row) => row.auth_sealed))
  const formerHeaders = Parameters.bytes(rows.map((row) => row.headers_sealed))
  // One that was changed or deleted meanwhile is not what was read, and stays as it is.
  yield* sql`
    update webhook w set auth_sealed = n.auth, headers_sealed = n.headers, headers = '{}'
    from unnest(${ids}, ${formerAuths}, ${Parameters.bytes(auths)}, ${formerHeaders},
      ${Parameters.bytes(headers)}) as n (id, former_auth, auth, former_headers, headers)
    where w.id = n.id and w.auth_sealed is not distinct from n.former_auth
      and w.headers_sealed is not distinct from n.former_headers`.pipe(Effect.retry(afterDeadlock))
  reach("rotation.parts")
  return { lastId: last.id, ...counts }
})

/** Seals what was sealed before, or never; null when it does not open. */
const again = (
  ring: KeyRing["Service"],
  identity: string,
  stored: Uint8Array,
  isPlain?: (stored: Uint8Array) => boolean
): Effect.Effect<Uint8Array | null> =>
  ring.open(identity, stored, isPlain).pipe(
    Effect.flatMap((secret) => ring.seal(identity, secret)),
    Effect.catchTag("SecretUnreadable", () => Effect.succeed(null))
  )

const isSealedBy = (head: Uint8Array, stored: Uint8Array): boolean =>
  stored.length > 64 && Buffer.compare(stored.subarray(0, head.length), head) === 0

/** Counts what is sealed by the key that has sealed it. */
export const count = Effect.gen(function* () {
  const sql = yield* SqlClient
  return yield* sql<KeyCount>`
    select case when length(value) > 64 and get_byte(value, 0) = ${sealedMark}::int4
        then encode(substring(value from 3 for get_byte(value, 1)), 'escape') end as "keyId",
      count(*)::int4 as secrets
    from (
      select value from webhook_secret
      union all select auth_sealed from webhook where auth_sealed is not null
      union all select headers_sealed from webhook where headers_sealed is not null
      union all select ''::bytea from webhook where headers_sealed is null and headers <> '{}'
    ) as kept
    group by 1 order by 1`
}).pipe(Effect.mapError(StoreError.from("KeyRotation.count")))

interface SecretRow {
  readonly id: string
  readonly webhook_id: string
  readonly tenant_id: string
  readonly value: Uint8Array
}

interface PartsRow {
  readonly id: string
  readonly tenant_id: string
  readonly auth_sealed: Uint8Array | null
  readonly headers_sealed: Uint8Array | null
  readonly headers: { readonly [name: string]: string }
}

const afterDeadlock = {
  times: 5,
  while: (error: unknown) => isSqlError(error) && error.reason._tag === "DeadlockError",
  schedule: Schedule.spaced("100 millis")
}
