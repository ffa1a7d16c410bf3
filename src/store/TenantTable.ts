/**
 * What a TenantRepo needs of the place where tenants and keys are kept; TenantSql and TenantMemory
 * are the two places. Hashing, caching, the end of keys and which changes are allowed are decided
 * above.
 */
import type { Effect, Option, Result } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { IdempotencyConflict } from "../domain/Message.ts"
import type { PageRequest } from "../domain/Page.ts"
import type { ApiKey, Tenant, TenantUidTaken } from "../domain/Tenant.ts"
import type { KeyId, TenantId } from "../domain/TypeId.ts"

/** Reads and writes tenants and keys, each method in one commit. */
export interface TenantTable extends KeyTable {
  /** Adds a tenant unless its uid is there; answers the one that is there now. */
  readonly ensure: (tenant: Tenant) => Effect.Effect<Tenant, SqlError>
  /** Adds a tenant, or answers the one that the same key made before. */
  readonly insert: (
    tenant: Tenant,
    idempotency: Idempotency | null
  ) => Effect.Effect<Tenant, TenantUidTaken | IdempotencyConflict | SqlError>
  /** Locks a tenant, changes its uid, name and limits, and saves it; none if there is no such one. */
  readonly edit: <E>(
    id: TenantId,
    change: (tenant: Tenant) => Result.Result<Tenant, E>
  ) => Effect.Effect<
    Option.Option<{ readonly tenant: Tenant; readonly previous: Tenant }>,
    E | TenantUidTaken | SqlError
  >
  readonly findById: (id: TenantId) => Effect.Effect<Option.Option<Tenant>, SqlError>
  readonly findByUid: (uid: string) => Effect.Effect<Option.Option<Tenant>, SqlError>
  /** Reads the tenants that have a rate of their own to publish at. */
  readonly rated: Effect.Effect<ReadonlyArray<Tenant>, SqlError>
  /** Reads up to `limit + 1` tenants in the direction of the cursor. */
  readonly page: (request: PageRequest) => Effect.Effect<ReadonlyArray<Tenant>, SqlError>
  /** Removes a tenant's keys and hides the tenant; answers the keys' hashes, none without it. */
  readonly retire: (
    id: TenantId,
    now: number
  ) => Effect.Effect<Option.Option<ReadonlyArray<Uint8Array>>, SqlError>
  /** Reads the tenants that are hidden and not yet purged, oldest first. */
  readonly retired: Effect.Effect<ReadonlyArray<TenantId>, SqlError>
  /** Removes a hidden tenant and what of it is left, in steps that lock little. */
  readonly purge: (id: TenantId) => Effect.Effect<void, SqlError>
}

/** Reads and writes keys. An owner of null stands for the keys of no tenant. */
export interface KeyTable {
  /** Adds a key unless its hash is there; answers the one that is there now. */
  readonly ensureKey: (record: ApiKey, hash: Uint8Array) => Effect.Effect<ApiKey, SqlError>
  /** Adds a key, or answers the one that the same idempotency key made before. */
  readonly insertKey: (
    record: ApiKey,
    hash: Uint8Array,
    idempotency: Idempotency | null
  ) => Effect.Effect<ApiKey, IdempotencyConflict | SqlError>
  readonly findKey: (hash: Uint8Array) => Effect.Effect<Option.Option<StoredKey>, SqlError>
  readonly findKeyById: (
    owner: TenantId | null,
    id: KeyId
  ) => Effect.Effect<Option.Option<ApiKey>, SqlError>
  /** Reads up to `limit + 1` keys of an owner in the direction of the cursor. */
  readonly keyPage: (
    owner: TenantId | null,
    request: PageRequest
  ) => Effect.Effect<ReadonlyArray<ApiKey>, SqlError>
  /** Reads the keys of no tenant with the scope `admin`. */
  readonly admins: Effect.Effect<ReadonlyArray<ApiKey>, SqlError>
  /**
   * Locks an owner's key and, where the owner is null, all admins; saves what `change` makes of it,
   * or removes the key where that is null.
   */
  readonly editKey: <E>(
    owner: TenantId | null,
    id: KeyId,
    change: (key: ApiKey, admins: ReadonlyArray<ApiKey>) => Result.Result<ApiKey | null, E>
  ) => Effect.Effect<Option.Option<EditedKey>, E | SqlError>
  /**
   * Notes the last use of keys, unless a use at most `withinMs` before is noted. Times are epoch
   * milliseconds.
   */
  readonly touch: (
    uses: ReadonlyMap<KeyId, number>,
    withinMs: number
  ) => Effect.Effect<void, SqlError>
}

/** The caller's key for a request that creates, and the SHA-256 of that request. */
export interface Idempotency {
  readonly key: string
  readonly digest: Uint8Array
}

/** A key with the SHA-256 that it is found by. */
export interface StoredKey {
  readonly record: ApiKey
  readonly hash: Uint8Array
}

/**
 * A key after a change, null when it was removed, and before it; and the SHA-256 that it is found by.
 */
export interface EditedKey {
  readonly record: ApiKey | null
  readonly previous: ApiKey
  readonly hash: Uint8Array
}
