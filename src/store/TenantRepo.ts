/**
 * Tenants and the API keys that open them. Keys are kept as SHA-256 and shown once, when made.
 *
 * What is changed here is in force here at once, in other processes after 5 seconds at most.
 */
import { Cache, Clock, Context, Effect, Layer, Option, type Redacted, Result, Schema } from "effect"
import * as Audited from "../domain/Audited.ts"
import type { IdempotencyConflict } from "../domain/Message.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import {
  type ApiKey,
  DefaultTenantStays,
  defaultTenantUid,
  type KeyNotFound,
  type LastAdminKey,
  type NewApiKey,
  noLimits,
  type Tenant,
  type TenantLimits,
  TenantNotFound,
  type TenantUidTaken
} from "../domain/Tenant.ts"
import { type KeyId, parse, TenantId } from "../domain/TypeId.ts"
import { Uid } from "../domain/Webhook.ts"
import * as ApiKeys from "./ApiKeys.ts"
import { AuditLog } from "./AuditLog.ts"
import { Ids } from "./Ids.ts"
import * as PublishRates from "./PublishRates.ts"
import * as Remembered from "./Remembered.ts"
import { StoreError } from "./StoreError.ts"
import * as TenantMemory from "./TenantMemory.ts"
import * as TenantSql from "./TenantSql.ts"
import type { Idempotency, TenantTable } from "./TenantTable.ts"

export class TenantRepo extends Context.Service<
  TenantRepo,
  {
    /** Makes the default tenant if it is missing, and answers it. */
    readonly ensureDefault: Effect.Effect<Tenant, StoreError>
    /** Makes a tenant. A repeated idempotency key answers the tenant of the first request. */
    readonly create: (input: {
      /** The caller's own id; the tenant's when null. */
      readonly uid: string | null
      /** The uid when null. */
      readonly name: string | null
      /** None of its own where they are not named. */
      readonly limits?: Partial<TenantLimits>
      readonly idempotency: Idempotency | null
    }) => Effect.Effect<Tenant, TenantUidTaken | IdempotencyConflict | StoreError>
    /** Changes what is named, of the limits too. The default tenant keeps its uid. */
    readonly update: (
      id: TenantId,
      update: TenantUpdate
    ) => Effect.Effect<Tenant, TenantNotFound | TenantUidTaken | DefaultTenantStays | StoreError>
    /**
     * Ends a tenant: its keys open nothing any more and nobody finds it. What it owned is removed by
     * TenantErasure. The default tenant stays.
     */
    readonly retire: (
      id: TenantId
    ) => Effect.Effect<void, TenantNotFound | DefaultTenantStays | StoreError>
    /** Lists the tenants that were ended and still own something, oldest first. */
    readonly retired: Effect.Effect<ReadonlyArray<TenantId>, StoreError>
    /** Removes an ended tenant and the rest of what it owned; its webhooks are to be gone by then. */
    readonly purge: (id: TenantId) => Effect.Effect<void, StoreError>
    /** Lists tenants, newest first. */
    readonly list: (request: PageRequest) => Effect.Effect<Page<Tenant>, StoreError>
    /** Finds a tenant by id or uid. Answers from memory for up to 5 seconds. */
    readonly find: (ref: string) => Effect.Effect<Option.Option<Tenant>, StoreError>
    /**
     * Tells how many messages a tenant may publish in a second, null for any number. From memory, at
     * once: what another process changes is told here after the next start.
     */
    readonly messagesPerSecond: (id: TenantId) => number | null
    /** Makes the text of a key, and stores nothing: `phk_` and 32 random bytes in base62. */
    readonly newKey: Effect.Effect<Redacted.Redacted>
    /** Makes a key. A repeated idempotency key answers the first one's record, without the key. */
    readonly createKey: (
      input: ApiKeys.NewKey
    ) => Effect.Effect<NewApiKey, IdempotencyConflict | StoreError>
    /** Stores a key that was made elsewhere, such as the admin key of a setting; once. */
    readonly importKey: (
      input: Omit<ApiKeys.NewKey, "expiresAt"> & { readonly key: Redacted.Redacted }
    ) => Effect.Effect<ApiKey, StoreError>
    /** Counts the keys of no tenant that have the scope admin and are not past their end. */
    readonly adminKeys: Effect.Effect<number, StoreError>
    /** Lists a tenant's keys, or those of no tenant, newest first. */
    readonly listKeys: (
      owner: TenantId | null,
      request: PageRequest
    ) => Effect.Effect<Page<ApiKey>, StoreError>
    /** Gets a tenant's key, or one of no tenant. */
    readonly getKey: (
      owner: TenantId | null,
      id: KeyId
    ) => Effect.Effect<ApiKey, KeyNotFound | StoreError>
    /** Changes a key's name or its end. The last admin key without an end gets none. */
    readonly updateKey: (
      owner: TenantId | null,
      id: KeyId,
      update: ApiKeys.KeyUpdate
    ) => Effect.Effect<ApiKey, KeyNotFound | LastAdminKey | StoreError>
    /** Revokes a key. The last admin key without an end stays. */
    readonly revokeKey: (
      owner: TenantId | null,
      id: KeyId
    ) => Effect.Effect<void, KeyNotFound | LastAdminKey | StoreError>
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

/** What of a tenant is changed. */
export interface TenantUpdate {
  readonly uid?: string
  readonly name?: string
  readonly limits?: Partial<TenantLimits>
}

const make = Effect.fnUntraced(function* (table: TenantTable) {
  const ids = yield* Ids
  const audit = yield* AuditLog
  const { forget: forgetKey, ...keys } = yield* ApiKeys.make(table)
  const rates = yield* Effect.mapError(
    PublishRates.make(table),
    StoreError.from("TenantRepo.messagesPerSecond")
  )

  const tenants = yield* Remembered.make(
    Effect.fnUntraced(
      function* (ref: string) {
        const id = parse(TenantId, ref)
        if (Option.isSome(id)) return yield* table.findById(id.value)
        return isUid(ref) ? yield* table.findByUid(ref) : Option.none()
      },
      Effect.mapError(StoreError.from("TenantRepo.find"))
    )
  )
  const forget = (...all: ReadonlyArray<Tenant>) =>
    Effect.forEach(
      all.flatMap(({ id, uid }) => [id, uid]),
      (ref) => Cache.invalidate(tenants, ref),
      { discard: true }
    )

  const fresh = Effect.fnUntraced(function* (
    uid: string | null,
    name: string | null,
    limits?: Partial<TenantLimits>
  ) {
    const id = yield* ids.next("tenant")
    const now = yield* Clock.currentTimeMillis
    const tenant: Tenant = {
      id,
      uid: uid ?? id,
      name: name ?? uid ?? id,
      limits: { ...noLimits, ...limits },
      createdAt: now,
      updatedAt: now
    }
    return tenant
  })

  return TenantRepo.of({
    ...keys,

    ensureDefault: Effect.gen(function* () {
      const tenant = yield* table.ensure(yield* fresh(defaultTenantUid, "Default"))
      yield* forget(tenant)
      return tenant
    }).pipe(
      Effect.mapError(StoreError.from("TenantRepo.ensureDefault")),
      Effect.withSpan("TenantRepo.ensureDefault")
    ),

    create: Effect.fn("TenantRepo.create")(
      function* ({ idempotency, limits, name, uid }) {
        const made = yield* fresh(uid, name, limits)
        const insert = audit.changing(table.insert(made, idempotency), (tenant) =>
          tenant.id === made.id ? Audited.tenant("tenant.created", null, tenant) : null
        )
        const tenant = yield* rates.noting(made.id, insert, (one) => one)
        yield* forget(tenant)
        return tenant
      },
      Effect.mapError(StoreError.from("TenantRepo.create"))
    ),

    update: Effect.fn("TenantRepo.update")(
      function* (id, update) {
        const now = yield* Clock.currentTimeMillis
        const edit = table.edit(id, (tenant) => {
          const next = {
            ...tenant,
            ...update,
            limits: { ...tenant.limits, ...update.limits },
            updatedAt: Math.max(now, tenant.updatedAt)
          }
          return tenant.uid === defaultTenantUid && next.uid !== tenant.uid
            ? Result.fail(new DefaultTenantStays())
            : Result.succeed(next)
        })
        const told = audit.changing(edit, (edited) =>
          Option.isNone(edited)
            ? null
            : Audited.tenant("tenant.updated", edited.value.previous, edited.value.tenant)
        )
        const edited = yield* rates.noting(
          id,
          told,
          (found) => Option.getOrUndefined(found)?.tenant
        )
        if (Option.isNone(edited)) return yield* new TenantNotFound()
        yield* forget(edited.value.previous, edited.value.tenant)
        return edited.value.tenant
      },
      Effect.mapError(StoreError.from("TenantRepo.update"))
    ),

    retire: Effect.fn("TenantRepo.retire")(
      function* (id) {
        const found = yield* table.findById(id)
        if (Option.isNone(found)) return yield* new TenantNotFound()
        if (found.value.uid === defaultTenantUid) return yield* new DefaultTenantStays()
        const now = yield* Clock.currentTimeMillis
        const removed = yield* audit.changing(table.retire(id, now), (removed) =>
          Option.isNone(removed) ? null : Audited.tenant("tenant.deleted", found.value, null)
        )
        yield* forget(found.value)
        rates.forget(id)
        yield* Effect.forEach(
          Option.getOrElse(removed, () => []),
          forgetKey,
          { discard: true }
        )
      },
      Effect.mapError(StoreError.from("TenantRepo.retire"))
    ),

    retired: table.retired.pipe(Effect.mapError(StoreError.from("TenantRepo.retired"))),

    purge: Effect.fn("TenantRepo.purge")(
      table.purge,
      Effect.mapError(StoreError.from("TenantRepo.purge"))
    ),

    list: Effect.fn("TenantRepo.list")(
      (request) => Effect.map(table.page(request), (rows) => pageOf(rows, request, ({ id }) => id)),
      Effect.mapError(StoreError.from("TenantRepo.list"))
    ),

    find: (ref) => Cache.get(tenants, ref),

    messagesPerSecond: rates.of
  })
})

const isUid = Schema.is(Uid)
