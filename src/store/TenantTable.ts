/**
 * What a TenantRepo needs of the place where tenants and keys are kept; TenantSql and TenantMemory
 * are the two places. Hashing, caching and the end of keys are decided above.
 */
import type { Effect, Option } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { ApiKey, Tenant } from "../domain/Tenant.ts"
import type { KeyId, TenantId } from "../domain/TypeId.ts"

/** Reads and writes tenants and keys, each method in one commit. */
export interface TenantTable {
  /** Adds a tenant unless its uid is there; answers the one that is there now. */
  readonly ensure: (tenant: Tenant) => Effect.Effect<Tenant, SqlError>
  readonly findById: (id: TenantId) => Effect.Effect<Option.Option<Tenant>, SqlError>
  readonly findByUid: (uid: string) => Effect.Effect<Option.Option<Tenant>, SqlError>
  /** Adds a key unless its hash is there; answers the one that is there now. */
  readonly ensureKey: (record: ApiKey, hash: Uint8Array) => Effect.Effect<ApiKey, SqlError>
  readonly findKey: (hash: Uint8Array) => Effect.Effect<Option.Option<StoredKey>, SqlError>
  /** Counts the keys with the scope `admin`. */
  readonly adminKeys: Effect.Effect<number, SqlError>
  /** Notes the use of a key unless a use after `since` is noted; both in epoch milliseconds. */
  readonly touch: (id: KeyId, now: number, since: number) => Effect.Effect<void, SqlError>
}

/** A key with the SHA-256 that it is found by. */
export interface StoredKey {
  readonly record: ApiKey
  readonly hash: Uint8Array
}
