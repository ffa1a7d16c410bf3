/**
 * Who calls, and what a caller needs for an endpoint.
 *
 * A key is a bearer token. A tenant's key opens that tenant; an admin key names the tenant with the
 * header `Posthaste-Tenant`.
 */
import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import type { Actor } from "../domain/AuditEntry.ts"
import {
  type Scope,
  ScopeMissing,
  TenantNotFound,
  TooManyFailures,
  Unauthorized
} from "../domain/Tenant.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { StoreUnavailable } from "./Problems.ts"

/** The header with which an admin key names a tenant, by id or uid. */
export const tenantHeader = "posthaste-tenant"

/** The caller of a request, proven by a key. */
export class Caller extends Context.Service<
  Caller,
  {
    /** The tenant that the request acts for. */
    readonly tenantId: TenantId
    /** The tenant that the key belongs to; null for a key that may act for each. */
    readonly ownTenantId: TenantId | null
    readonly scopes: ReadonlyArray<Scope>
    readonly actor: Actor
  }
>()("posthaste/api/Caller") {}

/** The scope that an endpoint needs, as an annotation. `admin` is enough everywhere. */
export const RequiredScope = Context.Reference<Scope>("posthaste/api/RequiredScope", {
  defaultValue: () => "admin"
})

/** Proves the caller's key and scope, and provides the `Caller`. */
export class Authorization extends HttpApiMiddleware.Service<
  Authorization,
  {
    provides: Caller
  }
>()("posthaste/api/Authorization", {
  requiredForClient: true,
  security: {
    bearer: HttpApiSecurity.bearer.pipe(
      HttpApiSecurity.annotate(OpenApi.Description, "An API key: `Authorization: Bearer phk_…`")
    )
  },
  error: [Unauthorized, TooManyFailures, ScopeMissing, TenantNotFound, StoreUnavailable]
}) {}
