/**
 * Runs the API inside the process that calls it: the same contract, without a socket and without a
 * key, for whoever has the database open anyway.
 */
import { Effect, Layer, Option, Scope } from "effect"
import { HttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Authorization, Caller, tenantHeader } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { defaultTenantUid, TenantNotFound } from "../domain/Tenant.ts"
import { fromUuid } from "../domain/TypeId.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { Draining } from "./Draining.ts"
import { type HttpOptions, routesFor } from "./Http.ts"
import { unavailable } from "./StoreFaults.ts"

/** Builds the routes and answers a client that calls them, as long as the scope is open. */
export const client = Effect.fnUntraced(function* (options: HttpOptions = {}) {
  const doors = routesFor(OperatorAuthorization, options).pipe(Layer.provide(Draining.layer))
  const handler = yield* HttpRouter.toHttpEffect(doors)
  const scope = yield* Scope.Scope
  return HttpClient.make((request) =>
    handler.pipe(
      Effect.map((response) => HttpServerResponse.toClientResponse(response, { request })),
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromClientRequest(request)
      ),
      Effect.provideService(Scope.Scope, scope),
      Effect.orDie
    )
  )
})

/** Lets everything pass, for the tenant that the request names. */
const OperatorAuthorization = Layer.effect(
  Authorization,
  Effect.gen(function* () {
    const tenants = yield* TenantRepo
    const callerOf = Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const ref = headers[tenantHeader] ?? defaultTenantUid
      const tenant = isRef(ref) ? yield* tenants.find(ref) : Option.none()
      if (Option.isNone(tenant)) return yield* new TenantNotFound()
      return Caller.of({
        tenantId: tenant.value.id,
        ownTenantId: null,
        scopes: ["admin"],
        keyId: operator
      })
    }).pipe(unavailable)
    return Authorization.of({
      bearer: (httpEffect) =>
        Effect.flatMap(callerOf, (caller) => Effect.provideService(httpEffect, Caller, caller))
    })
  })
)

/** The key of a caller that has none. */
const operator = fromUuid("key", "00000000-0000-0000-0000-000000000000")
