/**
 * Who owns webhooks and messages, and the keys that open the API to them.
 */
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { problem } from "./Problem.ts"
import type { KeyId, TenantId } from "./TypeId.ts"

/** An owner. `default` is the uid of the only one where nobody asks for more. */
export interface Tenant {
  readonly id: TenantId
  readonly uid: string
  readonly name: string
  readonly limits: TenantLimits
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly updatedAt: number
}

/** What a tenant may have and do at most. Null is what the installation says. */
export interface TenantLimits {
  /** Registered webhooks. Ad-hoc ones are bounded apart. */
  readonly webhooks: number | null
  /** Messages that are published, taken over five seconds. */
  readonly messagesPerSecond: number | null
}

/** No limits of a tenant's own. */
export const noLimits: TenantLimits = { webhooks: null, messagesPerSecond: null }

/** The uid of the tenant that exists from the first start. */
export const defaultTenantUid = "default"

/**
 * What a key may do. `admin` is everything: in the key's own tenant, its keys included, or in every
 * tenant where the key belongs to none.
 */
export const Scope = Schema.Literals(["publish", "read", "manage", "admin"])
export type Scope = typeof Scope.Type

/** A key as it is stored: never the key itself, only its SHA-256. */
export interface ApiKey {
  readonly id: KeyId
  /** Null for an operator's key, which names the tenant in each request. */
  readonly tenantId: TenantId | null
  readonly name: string
  /** The first characters of the key, to recognise it by. */
  readonly prefix: string
  readonly scopes: ReadonlyArray<Scope>
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly lastUsedAt: number | null
  readonly expiresAt: number | null
}

/** A key just made: shown once. None where a repeated request made nothing. */
export interface NewApiKey {
  readonly record: ApiKey
  readonly key: Option.Option<Redacted.Redacted>
}

/** No key, an unknown one, or one that is past its end. */
export class Unauthorized extends problem<Unauthorized>()("Unauthorized", {
  code: "unauthorized",
  status: 401,
  title: "Missing or invalid API key"
}) {}

/** The key lacks the scope that the request needs. */
export class ScopeMissing extends problem<ScopeMissing>()("ScopeMissing", {
  code: "scope_missing",
  status: 403,
  title: "The API key lacks a scope"
}) {}

/** No tenant has this id or uid. */
export class TenantNotFound extends problem<TenantNotFound>()("TenantNotFound", {
  code: "tenant_not_found",
  status: 404,
  title: "No such tenant"
}) {}

/** Another tenant has the uid. */
export class TenantUidTaken extends problem<TenantUidTaken>()("TenantUidTaken", {
  code: "tenant_uid_taken",
  status: 409,
  title: "Another tenant has this uid"
}) {}

/** The default tenant can be neither deleted nor given another uid. */
export class DefaultTenantStays extends problem<DefaultTenantStays>()("DefaultTenantStays", {
  code: "default_tenant_stays",
  status: 409,
  title: "The default tenant stays as it is"
}) {}

/** The tenant has no key with this id. */
export class KeyNotFound extends problem<KeyNotFound>()("KeyNotFound", {
  code: "key_not_found",
  status: 404,
  title: "No such API key"
}) {}

/** Without this key nobody could administer anything. */
export class LastAdminKey extends problem<LastAdminKey>()("LastAdminKey", {
  code: "last_admin_key",
  status: 409,
  title: "This is the last admin key without an end; make another one first"
}) {}

/** The tenant has published as much as it may in a while. Nothing was stored. */
export class RateLimited extends problem<RateLimited>()(
  "RateLimited",
  { code: "rate_limited", status: 429, title: "The tenant publishes faster than it may" },
  { retryAfterSeconds: Schema.Int }
) {}

/** The batch holds more messages than the tenant may ever publish at once. Nothing was stored. */
export class BatchOverLimit extends problem<BatchOverLimit>()("BatchOverLimit", {
  code: "batch_over_limit",
  status: 422,
  title: "The batch holds more messages than the tenant may publish at once"
}) {}

/** The caller's address sent too many keys that are none. A valid key is never refused for that. */
export class TooManyFailures extends problem<TooManyFailures>()(
  "TooManyFailures",
  {
    code: "too_many_failures",
    status: 429,
    title: "Too many requests with invalid API keys"
  },
  { retryAfterSeconds: Schema.Int }
) {}
