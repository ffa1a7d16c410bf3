/**
 * Removes tenants with all that they own, without holding up anything else.
 *
 * Ending a tenant is one short commit: from then on its keys open nothing. Its webhooks are removed
 * one by one in the background, each as if a person had done it, so what is owed to them ends
 * `cancelled` and their lanes stop; then what is left of the tenant, in steps. Messages and attempts
 * stay unseen until retention takes them. A kill loses nothing: the next start goes on.
 */
import { Context, Effect, Latch, Layer, Schedule } from "effect"
import { firstPage, pageLimit } from "../domain/Page.ts"
import type { DefaultTenantStays, TenantNotFound } from "../domain/Tenant.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import type { StoreError } from "./StoreError.ts"
import { TenantRepo } from "./TenantRepo.ts"
import { WebhookRepo } from "./WebhookRepo.ts"

export class TenantErasure extends Context.Service<
  TenantErasure,
  {
    /** Ends a tenant, and begins to remove what it owns. The default tenant stays. */
    readonly erase: (
      id: TenantId
    ) => Effect.Effect<void, TenantNotFound | DefaultTenantStays | StoreError>
  }
>()("posthaste/store/TenantErasure") {
  static readonly layer = Layer.effect(
    TenantErasure,
    Effect.gen(function* () {
      const tenants = yield* TenantRepo
      const webhooks = yield* WebhookRepo
      const wanted = Latch.makeUnsafe(true)

      const removeWebhooks = Effect.fnUntraced(function* (id: TenantId) {
        while (true) {
          const request = { ...firstPage, limit: pageLimit.max }
          const { data } = yield* webhooks.list(id, request, {
            status: null,
            text: null,
            adHoc: null
          })
          if (data.length === 0) return
          for (const webhook of data) {
            yield* Effect.catchTag(
              webhooks.delete(id, webhook.id),
              "WebhookNotFound",
              () => Effect.void
            )
          }
        }
      })

      const round = Effect.gen(function* () {
        wanted.closeUnsafe()
        for (const id of yield* tenants.retired) {
          yield* removeWebhooks(id)
          reach("erasure.emptied")
          yield* tenants.purge(id)
          reach("erasure.purged")
        }
      }).pipe(
        Effect.catchCause((cause) => {
          wanted.openUnsafe()
          return Effect.andThen(log("erasure_waiting", {}, cause), Effect.sleep(retryAfter))
        })
      )

      yield* Effect.andThen(wanted.await, round).pipe(
        Effect.repeat(Schedule.forever),
        Effect.forkScoped
      )

      return TenantErasure.of({
        erase: (id) =>
          Effect.ensuring(
            Effect.tap(tenants.retire(id), () => Effect.sync(() => reach("erasure.retired"))),
            Effect.sync(() => wanted.openUnsafe())
          )
      })
    })
  )
}

/** How long a store that failed is left alone. */
const retryAfter = "5 seconds"
