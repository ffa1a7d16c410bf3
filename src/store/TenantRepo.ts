/**
 * Tenants and the API keys that open them. Keys are kept as SHA-256 and shown once, when made.
 */
import { Context, type Effect, type Option, type Redacted } from "effect"
import type { ApiKey, NewApiKey, Scope, Tenant } from "../domain/Tenant.ts"
import type { TenantId } from "../domain/TypeId.ts"
import type { StoreError } from "./StoreError.ts"

export class TenantRepo extends Context.Service<TenantRepo, {
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
}>()("posthaste/store/TenantRepo") {}
