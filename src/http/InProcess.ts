/**
 * Runs the API inside the process that calls it: the same contract, without a socket and without a
 * key, for whoever has the database open anyway.
 */
import { Context, Effect, Layer, Option, Scope } from "effect"
import { HttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Authorization, Caller, RequiredScope, tenantHeader } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { operator } from "../domain/AuditEntry.ts"
import { defaultTenantUid, TenantNotFound } from "../domain/Tenant.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { Draining } from "./Draining.ts"
import { type HttpOptions, routesFor } from "./Http.ts"
import { inTheNameOf } from "./InTheNameOf.ts"
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
        actor: operator
      })
    }).pipe(unavailable)
    return Authorization.of({
      bearer: (httpEffect, { endpoint }) =>
        Effect.flatMap(callerOf, (caller) =>
          inTheNameOf(httpEffect, caller, Context.get(endpoint.annotations, RequiredScope))
        )
    })
  })
)
