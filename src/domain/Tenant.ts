/**
 * Who owns webhooks and messages, and the keys that open the API to them.
 */
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { problem } from "./Problem.ts"
import type { KeyId, TenantId } from "./TypeId.ts"

/** An owner. `default` is the uid of the only one where nobody asks for more. */
export interface Tenant {
  readonly id: TenantId
  readonly uid: string
  readonly name: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly updatedAt: number
}

/** The uid of the tenant that exists from the first start. */
export const defaultTenantUid = "default"

/** What a key may do. `admin` opens every tenant and the administration of tenants and keys. */
export const Scope = Schema.Literals(["publish", "read", "manage", "admin"])
export type Scope = typeof Scope.Type

/** A key as it is stored: never the key itself, only its SHA-256. */
export interface ApiKey {
  readonly id: KeyId
  /** Null for an admin key, which names the tenant in each request. */
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

/** A key just made: shown once. */
export interface NewApiKey {
  readonly record: ApiKey
  readonly key: Redacted.Redacted
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
