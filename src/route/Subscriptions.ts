/**
 * Every tenant's webhooks in memory, so that routing a message reads nothing.
 *
 * Loaded at the start, then kept in step by `WebhookRepo.watch`: whoever was answered that a webhook
 * exists finds it here. Paused and disabled webhooks are here too, because their deliveries are held
 * and not dropped. A webhook takes about 2 kB.
 */
import { Context, Effect, Layer, Stream } from "effect"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { StoreError } from "../store/StoreError.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"

export class Subscriptions extends Context.Service<
  Subscriptions,
  {
    /** The webhooks of a tenant, in no order. */
    readonly of: (tenantId: TenantId) => Iterable<Webhook>
    /** Counts the webhooks of all tenants. */
    readonly size: () => number
  }
>()("posthaste/route/Subscriptions") {
  static readonly layer: Layer.Layer<Subscriptions, StoreError, WebhookRepo> = Layer.effect(
    Subscriptions,
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenants = new Map<TenantId, Map<WebhookId, Webhook>>()
      let size = 0

      const save = (webhook: Webhook) => {
        const known = tenants.get(webhook.tenantId) ?? new Map<WebhookId, Webhook>()
        if (!known.has(webhook.id)) size++
        tenants.set(webhook.tenantId, known.set(webhook.id, webhook))
      }
      const remove = (webhook: Webhook) => {
        if (tenants.get(webhook.tenantId)?.delete(webhook.id) === true) size--
      }

      // Watching begins before loading, and a load never replaces what was heard meanwhile.
      yield* repo.watch((change) =>
        Effect.sync(() => (change._tag === "Saved" ? save(change.webhook) : remove(change.webhook)))
      )
      yield* Stream.runForEach(repo.all, (webhook) =>
        Effect.sync(() => {
          if (tenants.get(webhook.tenantId)?.has(webhook.id) !== true) save(webhook)
        })
      )

      return Subscriptions.of({
        of: (tenantId) => tenants.get(tenantId)?.values() ?? [],
        size: () => size
      })
    })
  )
}
