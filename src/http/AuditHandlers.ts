/**
 * Answers `/v1/audit`.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller, tenantHeader } from "../api/Authorization.ts"
import { pageRequest } from "../api/Page.ts"
import { TenantNotFound } from "../domain/Tenant.ts"
import { AuditLog } from "../store/AuditLog.ts"
import { answered } from "./StoreFaults.ts"

export const AuditHandlers = HttpApiBuilder.group(
  Api,
  "audit",
  Effect.fn(function* (handlers) {
    const audit = yield* AuditLog
    return handlers.handleAll({
      list: Effect.fn("AuditHandlers.list")(function* ({ query, request }) {
        const { ownTenantId, tenantId } = yield* Caller
        const { action = null, actor = null, target = null, tenantId: asked } = query
        if (ownTenantId !== null && (asked ?? ownTenantId) !== ownTenantId) {
          return yield* new TenantNotFound()
        }
        const isNamed = ownTenantId !== null || request.headers[tenantHeader] !== undefined
        return yield* audit.list(
          asked ?? (isNamed ? tenantId : null),
          yield* Effect.fromResult(pageRequest(query)),
          { action, actor, target }
        )
      }, answered)
    })
  })
)
