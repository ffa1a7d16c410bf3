/**
 * Proves who calls: the key, its scope, and the tenant that the request acts for.
 *
 * Whatever a key may not see is answered as if it did not exist.
 */
import { Clock, Context, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { Authorization, Caller, RequiredScope, tenantHeader } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import {
  type ApiKey,
  defaultTenantUid,
  type Scope,
  ScopeMissing,
  TenantNotFound,
  TooManyFailures,
  Unauthorized
} from "../domain/Tenant.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import * as FailedAuth from "./FailedAuth.ts"
import { inTheNameOf } from "./InTheNameOf.ts"
import { unavailable } from "./StoreFaults.ts"

/** How patient it is. */
export interface AuthorizationOptions {
  /** Requests with invalid keys that one address may make in a minute. 60 by default. */
  readonly failuresMax?: number | undefined
}

/** Authenticates against `TenantRepo`. */
export const AuthorizationLayer = (options: AuthorizationOptions = {}) =>
  Layer.effect(
    Authorization,
    Effect.gen(function* () {
      const tenants = yield* TenantRepo
      const failed = FailedAuth.make(yield* Clock.Clock, options.failuresMax ?? 60)

      const unauthorized = Effect.fnUntraced(function* (detail: string) {
        const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
        const retryAfterSeconds = failed.count(Option.getOrElse(remoteAddress, () => ""))
        return yield* retryAfterSeconds === undefined
          ? new Unauthorized({ detail })
          : new TooManyFailures({ retryAfterSeconds })
      })

      const tenantOf = Effect.fnUntraced(function* (key: ApiKey, ref: string | undefined) {
        const tenant =
          ref === undefined || isRef(ref)
            ? yield* tenants.find(ref ?? defaultTenantUid)
            : Option.none()
        return Option.isSome(tenant) && (key.tenantId ?? tenant.value.id) === tenant.value.id
          ? tenant.value.id
          : yield* new TenantNotFound()
      })

      const callerOf = Effect.fnUntraced(function* (
        credential: Redacted.Redacted,
        required: Scope
      ) {
        const { length } = Redacted.value(credential)
        if (length === 0) return yield* unauthorized("Send a key as a bearer token")
        const found =
          length > keyLengthMax ? Option.none() : yield* tenants.authenticate(credential)
        if (Option.isNone(found)) {
          return yield* unauthorized("The key is unknown or past its end")
        }
        const key = found.value
        if (!key.scopes.includes(required) && !key.scopes.includes("admin")) {
          return yield* new ScopeMissing({ detail: `This needs a key with the scope ${required}` })
        }
        const ref = (yield* HttpServerRequest.HttpServerRequest).headers[tenantHeader]
        const tenantId =
          ref === undefined && key.tenantId !== null ? key.tenantId : yield* tenantOf(key, ref)
        return Caller.of({
          tenantId,
          ownTenantId: key.tenantId,
          scopes: key.scopes,
          actor: { keyId: key.id, name: key.name }
        })
      }, unavailable)

      return Authorization.of({
        bearer: (httpEffect, { credential, endpoint }) => {
          const scope = Context.get(endpoint.annotations, RequiredScope)
          return Effect.flatMap(callerOf(credential, scope), (caller) =>
            inTheNameOf(httpEffect, caller, scope)
          )
        }
      })
    })
  )

/** Longer text is no key; it is not worth a hash. */
const keyLengthMax = 256
