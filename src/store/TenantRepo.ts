/**
 * Tenants and the API keys that open them. Keys are kept as SHA-256 and shown once, when made.
 */
import {
  Cache,
  Cause,
  Clock,
  Context,
  Effect,
  Exit,
  FiberSet,
  Layer,
  Option,
  Redacted,
  Schema
} from "effect"
import { hash, timingSafeEqual } from "node:crypto"
import {
  type ApiKey,
  defaultTenantUid,
  type NewApiKey,
  type Scope,
  type Tenant
} from "../domain/Tenant.ts"
import { parse, TenantId } from "../domain/TypeId.ts"
import { Uid } from "../domain/Webhook.ts"
import { Ids } from "./Ids.ts"
import { StoreError } from "./StoreError.ts"
import * as TenantMemory from "./TenantMemory.ts"
import * as TenantSql from "./TenantSql.ts"
import type { TenantTable } from "./TenantTable.ts"

export class TenantRepo extends Context.Service<
  TenantRepo,
  {
    /** Makes the default tenant if it is missing, and answers it. */
    readonly ensureDefault: Effect.Effect<Tenant, StoreError>
    /** Finds a tenant by id or uid. Answers from memory for up to 5 seconds. */
    readonly find: (ref: string) => Effect.Effect<Option.Option<Tenant>, StoreError>
    /** Makes a key: `phk_` and 32 random bytes in base62. */
    readonly createKey: (input: {
      readonly tenantId: TenantId | null
      readonly name: string
      readonly scopes: ReadonlyArray<Scope>
      readonly expiresAt: number | null
    }) => Effect.Effect<NewApiKey, StoreError>
    /** Stores a key that was made elsewhere, such as the admin key of a setting; once. */
    readonly importKey: (input: {
      readonly key: Redacted.Redacted
      readonly tenantId: TenantId | null
      readonly name: string
      readonly scopes: ReadonlyArray<Scope>
    }) => Effect.Effect<ApiKey, StoreError>
    /** Counts the admin keys there are. */
    readonly adminKeys: Effect.Effect<number, StoreError>
    /**
     * Finds the key that a caller presented, unless it is past its end. Answers from memory for up to
     * 5 seconds, so a revoked key is refused by then; its last use is written at most once a minute.
     */
    readonly authenticate: (
      key: Redacted.Redacted
    ) => Effect.Effect<Option.Option<ApiKey>, StoreError>
  }
>()("posthaste/store/TenantRepo") {
  /** Tenants and keys in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    TenantRepo,
    Effect.suspend(() => Effect.flatMap(TenantSql.make, make))
  )

  /** Tenants and keys in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    TenantRepo,
    Effect.suspend(() => Effect.flatMap(TenantMemory.make, make))
  )
}

/** Tenants, and keys, that are answered from memory; the longest unasked go first. */
const rememberedMax = 10_000
/** For how long. What another process changed is seen by then. */
const remembered = "5 seconds"
/** How far apart two notes of a key's use are. */
const touchEveryMs = 60_000

const make = Effect.fnUntraced(function* (table: TenantTable) {
  const ids = yield* Ids
  const background = yield* FiberSet.makeRuntime()

  const tenants = yield* memory(
    Effect.fnUntraced(
      function* (ref: string) {
        const id = parse(TenantId, ref)
        if (Option.isSome(id)) return yield* table.findById(id.value)
        return isUid(ref) ? yield* table.findByUid(ref) : Option.none()
      },
      Effect.mapError(StoreError.from("TenantRepo.find"))
    )
  )

  const keys = yield* memory(
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

  const addKey = Effect.fnUntraced(function* (
    key: Redacted.Redacted,
    fields: Pick<ApiKey, "tenantId" | "name" | "scopes" | "expiresAt">
  ) {
    const { tenantId, name, scopes, expiresAt } = fields
    const text = Redacted.value(key)
    const hex = sha256(text)
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
    const stored = yield* table.ensureKey(record, Buffer.from(hex, "hex"))
    yield* Cache.invalidate(keys, hex)
    return stored
  })

  const touch = (known: Known, now: number) => {
    const since = now - touchEveryMs
    if (known.touchedAt !== null && known.touchedAt > since) return
    known.touchedAt = now
    background(
      Effect.catchCause(table.touch(known.record.id, now, since), (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.logWarning("The use of an API key could not be noted", cause)
      )
    )
  }

  return TenantRepo.of({
    ensureDefault: Effect.gen(function* () {
      const id = yield* ids.next("tenant")
      const now = yield* Clock.currentTimeMillis
      const uid = defaultTenantUid
      const tenant = yield* table.ensure({
        id,
        uid,
        name: "Default",
        createdAt: now,
        updatedAt: now
      })
      yield* Cache.invalidate(tenants, uid)
      yield* Cache.invalidate(tenants, tenant.id)
      return tenant
    }).pipe(
      Effect.mapError(StoreError.from("TenantRepo.ensureDefault")),
      Effect.withSpan("TenantRepo.ensureDefault")
    ),

    find: (ref) => Cache.get(tenants, ref),

    createKey: Effect.fn("TenantRepo.createKey")(
      function* (input) {
        const key = Redacted.make(`phk_${base62(yield* ids.bytes(32))}`)
        return { record: yield* addKey(key, input), key }
      },
      Effect.mapError(StoreError.from("TenantRepo.createKey"))
    ),

    importKey: Effect.fn("TenantRepo.importKey")(
      (input) => addKey(input.key, { ...input, expiresAt: null }),
      Effect.mapError(StoreError.from("TenantRepo.importKey"))
    ),

    adminKeys: table.adminKeys.pipe(
      Effect.mapError(StoreError.from("TenantRepo.adminKeys")),
      Effect.withSpan("TenantRepo.adminKeys")
    ),

    authenticate: Effect.fnUntraced(function* (key) {
      const known = yield* Cache.get(keys, sha256(Redacted.value(key)))
      if (known === undefined) return Option.none()
      const now = yield* Clock.currentTimeMillis
      const { expiresAt } = known.record
      if (expiresAt !== null && expiresAt <= now) return Option.none()
      touch(known, now)
      return Option.some(known.record)
    })
  })
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

/** Remembers what was found, and what was not; a lookup that failed is done again. */
const memory = <A>(lookup: (key: string) => Effect.Effect<A, StoreError>) =>
  Cache.makeWith(lookup, {
    capacity: rememberedMax,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? remembered : 0)
  })

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

const isUid = Schema.is(Uid)
