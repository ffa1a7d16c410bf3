/**
 * The half of TenantRepo that is about keys: made, found by what a caller presents, changed, revoked.
 *
 * The use of keys is noted in the background: what was used while a note was being written goes into
 * the next one, so that a thousand keys in use cost a statement now and then, and a request none.
 */
import { Cache, Cause, Clock, Effect, FiberSet, Option, Redacted, Result } from "effect"
import { hash, timingSafeEqual } from "node:crypto"
import * as Audited from "../domain/Audited.ts"
import { pageOf, type PageRequest } from "../domain/Page.ts"
import { type ApiKey, KeyNotFound, LastAdminKey, type Scope } from "../domain/Tenant.ts"
import type { KeyId, TenantId } from "../domain/TypeId.ts"
import { log } from "../telemetry/Log.ts"
import { AuditLog } from "./AuditLog.ts"
import { Ids } from "./Ids.ts"
import * as Remembered from "./Remembered.ts"
import { StoreError } from "./StoreError.ts"
import type { Idempotency, KeyTable } from "./TenantTable.ts"

/** A key to be made. */
export interface NewKey {
  readonly tenantId: TenantId | null
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** Epoch milliseconds, or null for a key without an end. */
  readonly expiresAt: number | null
  readonly idempotency?: Idempotency | null
}

/** What a change of a key names. */
export interface KeyUpdate {
  readonly name?: string
  readonly expiresAt?: number | null
}

/** How far apart two notes of a key's use are. */
const touchEveryMs = 60_000

/** Makes the methods over a table. */
export const make = Effect.fnUntraced(function* (table: KeyTable) {
  const ids = yield* Ids
  const audit = yield* AuditLog
  const background = yield* FiberSet.makeRuntime()

  const keys = yield* Remembered.make(
    Effect.fnUntraced(
      function* (hex: string) {
        const digest = Buffer.from(hex, "hex")
        const found = yield* table.findKey(digest)
        // The database found it by the hash, in a time that may tell how much of it is right.
        return Option.isSome(found) && timingSafeEqual(found.value.hash, digest)
          ? new Known(found.value.record)
          : undefined
      },
      Effect.mapError(StoreError.from("TenantRepo.authenticate"))
    )
  )

  const forget = (digest: Uint8Array) => Cache.invalidate(keys, Buffer.from(digest).toString("hex"))

  const recordOf = Effect.fnUntraced(function* (text: string, fields: NewKey) {
    const { tenantId, name, scopes, expiresAt } = fields
    const record: ApiKey = {
      id: yield* ids.next("key"),
      tenantId,
      name,
      prefix: prefixOf(text),
      scopes,
      createdAt: yield* Clock.currentTimeMillis,
      lastUsedAt: null,
      expiresAt
    }
    return record
  })

  const edit = (
    owner: TenantId | null,
    id: KeyId,
    change: (key: ApiKey) => ApiKey | null
  ): Effect.Effect<ApiKey | null, KeyNotFound | LastAdminKey | StoreError> =>
    audit
      .changing(
        table.editKey(owner, id, (key, admins): Result.Result<ApiKey | null, LastAdminKey> => {
          const next = change(key)
          return isLast(key, next, admins) ? Result.fail(new LastAdminKey()) : Result.succeed(next)
        }),
        Option.match({
          onNone: () => null,
          onSome: ({ previous, record }) =>
            Audited.key(record === null ? "key.revoked" : "key.updated", previous, record)
        })
      )
      .pipe(
        Effect.flatMap((edited) =>
          Option.isSome(edited)
            ? Effect.as(forget(edited.value.hash), edited.value.record)
            : Effect.fail(new KeyNotFound())
        ),
        Effect.mapError(StoreError.from("TenantRepo.editKey"))
      )

  const uses = new Map<KeyId, number>()
  let noting = false
  const note = Effect.gen(function* () {
    while (uses.size > 0) {
      const noted = new Map(uses)
      uses.clear()
      yield* Effect.catchCause(table.touch(noted, touchEveryMs), (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : log("key_use_unnoted", {}, cause)
      )
    }
  }).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        noting = false
      })
    )
  )
  const touch = (known: Known, now: number) => {
    if (known.touchedAt !== null && known.touchedAt > now - touchEveryMs) return
    known.touchedAt = now
    uses.set(known.record.id, now)
    if (noting) return
    noting = true
    background(Effect.ignore(note))
  }

  const newKey = Effect.map(ids.bytes(32), (bytes) => Redacted.make(`phk_${base62(bytes)}`))

  return {
    forget,
    newKey,
    createKey: Effect.fn("TenantRepo.createKey")(
      function* (input: NewKey) {
        const key = yield* newKey
        const text = Redacted.value(key)
        const made = yield* recordOf(text, input)
        const digest = Buffer.from(sha256(text), "hex")
        const insert = table.insertKey(made, digest, input.idempotency ?? null)
        const record = yield* audit.changing(insert, isNew(made))
        return { record, key: record.id === made.id ? Option.some(key) : Option.none() }
      },
      Effect.mapError(StoreError.from("TenantRepo.createKey"))
    ),
    importKey: Effect.fn("TenantRepo.importKey")(
      function* (input: Omit<NewKey, "expiresAt"> & { readonly key: Redacted.Redacted }) {
        const text = Redacted.value(input.key)
        const hex = sha256(text)
        const record = yield* recordOf(text, { ...input, expiresAt: null })
        const ensure = table.ensureKey(record, Buffer.from(hex, "hex"))
        const stored = yield* audit.changing(ensure, isNew(record))
        yield* Cache.invalidate(keys, hex)
        return stored
      },
      Effect.mapError(StoreError.from("TenantRepo.importKey"))
    ),
    adminKeys: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      return (yield* table.admins).filter((key) => !isOver(key, now)).length
    }).pipe(
      Effect.mapError(StoreError.from("TenantRepo.adminKeys")),
      Effect.withSpan("TenantRepo.adminKeys")
    ),
    listKeys: Effect.fn("TenantRepo.listKeys")(
      (owner: TenantId | null, request: PageRequest) =>
        Effect.map(table.keyPage(owner, request), (rows) => pageOf(rows, request, ({ id }) => id)),
      Effect.mapError(StoreError.from("TenantRepo.listKeys"))
    ),
    getKey: Effect.fn("TenantRepo.getKey")(
      function* (owner: TenantId | null, id: KeyId) {
        const found = yield* table.findKeyById(owner, id)
        return Option.isSome(found) ? found.value : yield* new KeyNotFound()
      },
      Effect.mapError(StoreError.from("TenantRepo.getKey"))
    ),
    updateKey: Effect.fn("TenantRepo.updateKey")(function* (
      owner: TenantId | null,
      id: KeyId,
      update: KeyUpdate
    ) {
      const changed = yield* edit(owner, id, (key) => ({ ...key, ...update }))
      return changed ?? (yield* new KeyNotFound())
    }),
    revokeKey: Effect.fn("TenantRepo.revokeKey")((owner: TenantId | null, id: KeyId) =>
      Effect.asVoid(edit(owner, id, () => null))
    ),
    authenticate: Effect.fnUntraced(function* (key: Redacted.Redacted) {
      const known = yield* Cache.get(keys, sha256(Redacted.value(key)))
      if (known === undefined) return Option.none()
      const now = yield* Clock.currentTimeMillis
      if (isOver(known.record, now)) return Option.none()
      touch(known, now)
      return Option.some(known.record)
    })
  }
})

/** A key in memory, and when its use was noted last (epoch milliseconds). */
class Known {
  readonly record: ApiKey
  touchedAt: number | null
  constructor(record: ApiKey) {
    this.record = record
    this.touchedAt = record.lastUsedAt
  }
}

/** Tells of a key that was made, unless it is one of before. */
const isNew = (made: ApiKey) => (stored: ApiKey) =>
  stored.id === made.id ? Audited.key("key.created", null, stored) : null

const isOver = ({ expiresAt }: ApiKey, now: number): boolean =>
  expiresAt !== null && expiresAt <= now

const isLasting = (key: ApiKey | null): boolean =>
  key !== null && key.expiresAt === null && key.tenantId === null && key.scopes.includes("admin")

/** Tells whether a change takes away the last admin key without an end. */
const isLast = (key: ApiKey, next: ApiKey | null, admins: ReadonlyArray<ApiKey>): boolean =>
  isLasting(key) &&
  !isLasting(next) &&
  !admins.some((other) => other.id !== key.id && isLasting(other))

const sha256 = (text: string): string => hash("sha256", text, "hex")

/** The part of a key that is stored readable; of a short one that someone made up, a third. */
const prefixOf = (key: string): string => key.slice(0, Math.min(12, Math.floor(key.length / 3)))

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/** Writes 32 bytes as one number in 43 digits: each key stands for other bytes, none is likelier. */
const base62 = (bytes: Uint8Array): string => {
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
  let text = ""
  while (text.length < 43) {
    text = digits[Number(rest % 62n)] + text
    rest /= 62n
  }
  return text
}
