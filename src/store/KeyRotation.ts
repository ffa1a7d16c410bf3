/**
 * Seals again, by the first key of the ring, what another key has sealed or nobody: so the other key
 * can leave the ring.
 *
 * Promises: secrets go in batches by ascending id, each in one short statement that locks nothing but
 * its own rows, while engines whose ring has both keys go on. A run that ended early is done again
 * and finds what is left. What cannot be opened is left as it is, and counted.
 */
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { KeyRing, sealedMark } from "./KeyRing.ts"
import * as Parameters from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"
import * as WebhookRow from "./WebhookRow.ts"

/** What a rotation has done so far. */
export interface Progress {
  readonly sealed: number
  readonly unreadable: number
}

/** How many secrets a key has sealed; `keyId` is null for those that nobody has. */
export interface KeyCount {
  readonly keyId: string | null
  readonly secrets: number
}

/** Secrets that are sealed by one statement. */
const batchRows = 500

/** Seals again what the first key of the ring has not, and tells of each batch. */
export const run = Effect.fn("KeyRotation.run")(
  function* (onBatch: (progress: Progress) => Effect.Effect<void>) {
    const sql = yield* SqlClient
    const ring = yield* KeyRing
    let progress: Progress = { sealed: 0, unreadable: 0 }
    let after = "00000000-0000-0000-0000-000000000000"
    if (ring.head === null) return progress
    while (true) {
      const rows = yield* sql<Row>`
        select s.id, s.webhook_id, w.tenant_id, s.value
        from webhook_secret s join webhook w on w.id = s.webhook_id
        where s.id > ${after}
          and (length(s.value) <= 64 or substring(s.value for ${ring.head.length}) <> ${ring.head})
        order by s.id limit ${batchRows}`
      const last = rows.at(-1)
      if (last === undefined) return progress
      const done: Array<{ readonly row: Row; readonly sealed: Uint8Array }> = []
      for (const row of rows) {
        const identity = WebhookRow.identityOf(row.tenant_id, row.webhook_id, row.id)
        yield* ring.open(identity, row.value).pipe(
          Effect.flatMap((secret) => ring.seal(identity, secret)),
          Effect.map((sealed) => done.push({ row, sealed })),
          Effect.catchTag("SecretUnreadable", () => Effect.void)
        )
      }
      const ids = Parameters.uuids(done.map(({ row }) => row.id))
      const former = Parameters.bytes(done.map(({ row }) => row.value))
      const sealed = Parameters.bytes(done.map((one) => one.sealed))
      // One that was rotated or deleted meanwhile is not what was read, and stays as it is.
      yield* sql`
        update webhook_secret s set value = n.sealed
        from unnest(${ids}, ${former}, ${sealed}) as n (id, former, sealed)
        where s.id = n.id and s.value = n.former`.pipe(
        Effect.retry({ times: 5, while: isDeadlock, schedule: Schedule.spaced("100 millis") })
      )
      progress = {
        sealed: progress.sealed + done.length,
        unreadable: progress.unreadable + rows.length - done.length
      }
      yield* onBatch(progress)
      after = last.id
    }
  },
  Effect.mapError(StoreError.from("KeyRotation.run"))
)

/** Counts the secrets by the key that has sealed them. */
export const count = Effect.gen(function* () {
  const sql = yield* SqlClient
  return yield* sql<KeyCount>`
    select case when length(value) > 64 and get_byte(value, 0) = ${sealedMark}::int4
        then encode(substring(value from 3 for get_byte(value, 1)), 'escape') end as "keyId",
      count(*)::int4 as secrets
    from webhook_secret group by 1 order by 1`
}).pipe(Effect.mapError(StoreError.from("KeyRotation.count")))

interface Row {
  readonly id: string
  readonly webhook_id: string
  readonly tenant_id: string
  readonly value: Uint8Array
}

const isDeadlock = (error: unknown): boolean =>
  isSqlError(error) && error.reason._tag === "DeadlockError"
