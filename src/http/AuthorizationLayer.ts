/**
 * Proves who calls: the key, its scope, and the tenant that the request acts for.
 *
 * Whatever a key may not see is answered as if it did not exist.
 */
import { Context, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { Authorization, Caller, RequiredScope, tenantHeader } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import {
  type ApiKey,
  defaultTenantUid,
  type Scope,
  ScopeMissing,
  TenantNotFound,
  Unauthorized
} from "../domain/Tenant.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { unavailable } from "./StoreFaults.ts"

/** Authenticates against `TenantRepo`. */
export const AuthorizationLayer = Layer.effect(
  Authorization,
  Effect.gen(function* () {
    const tenants = yield* TenantRepo

    const tenantOf = Effect.fnUntraced(function* (key: ApiKey, ref: string | undefined) {
      const tenant =
        ref === undefined || isRef(ref)
          ? yield* tenants.find(ref ?? defaultTenantUid)
          : Option.none()
      return Option.isSome(tenant) && (key.tenantId ?? tenant.value.id) === tenant.value.id
        ? tenant.value.id
        : yield* new TenantNotFound()
    })

    const callerOf = Effect.fnUntraced(function* (credential: Redacted.Redacted, required: Scope) {
      const { length } = Redacted.value(credential)
      if (length === 0) return yield* new Unauthorized({ detail: "Send a key as a bearer token" })
      const found = length > keyLengthMax ? Option.none() : yield* tenants.authenticate(credential)
      if (Option.isNone(found)) {
        return yield* new Unauthorized({ detail: "The key is unknown or past its end" })
      }
      const key = found.value
      if (!key.scopes.includes(required) && !key.scopes.includes("admin")) {
        return yield* new ScopeMissing({ detail: `This needs a key with the scope ${required}` })
      }
      const ref = (yield* HttpServerRequest.HttpServerRequest).headers[tenantHeader]
      const tenantId =
        ref === undefined && key.tenantId !== null ? key.tenantId : yield* tenantOf(key, ref)
      return Caller.of({ tenantId, scopes: key.scopes, keyId: key.id })
    }, unavailable)

    return Authorization.of({
      bearer: (httpEffect, { credential, endpoint }) =>
        Effect.flatMap(
          callerOf(credential, Context.get(endpoint.annotations, RequiredScope)),
          (caller) => Effect.provideService(httpEffect, Caller, caller)
        )
    })
  })
)

/** Longer text is no key; it is not worth a hash. */
const keyLengthMax = 256
