/**
 * Every tenant's webhooks in memory, so that routing a message reads nothing.
 *
 * Loaded at the start, then kept in step by `WebhookRepo.watch`: whoever was answered that a webhook
 * exists finds it here. Which of them want a type is found once for each type and change. Paused and
 * disabled webhooks are here too, because their deliveries are held and not dropped. A webhook takes
 * about 2 kB.
 */
import { Context, Effect, Layer, Stream } from "effect"
import { type EventTypeName, wants } from "../domain/EventType.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { StoreError } from "../store/StoreError.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"

export class Subscriptions extends Context.Service<
  Subscriptions,
  {
    /** The webhooks of a tenant whose event types want the type, in no order. */
    readonly wanting: (tenantId: TenantId, type: EventTypeName) => ReadonlyArray<Webhook>
    /** Counts the webhooks of all tenants. */
    readonly size: () => number
  }
>()("posthaste/route/Subscriptions") {
  static readonly layer: Layer.Layer<Subscriptions, StoreError, WebhookRepo> = Layer.effect(
    Subscriptions,
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenants = new Map<TenantId, Owned>()
      let size = 0

      const save = (webhook: Webhook) => {
        const owned = tenants.get(webhook.tenantId) ?? { webhooks: new Map(), byType: new Map() }
        if (!owned.webhooks.has(webhook.id)) size++
        owned.webhooks.set(webhook.id, webhook)
        owned.byType.clear()
        tenants.set(webhook.tenantId, owned)
      }
      const remove = (webhook: Webhook) => {
        const owned = tenants.get(webhook.tenantId)
        if (owned?.webhooks.delete(webhook.id) === true) size--
        owned?.byType.clear()
      }

      // Watching begins before loading, and a load never replaces what was heard meanwhile.
      yield* repo.watch((change) =>
        Effect.sync(() => (change._tag === "Saved" ? save(change.webhook) : remove(change.webhook)))
      )
      yield* Stream.runForEach(repo.all, (webhook) =>
        Effect.sync(() => {
          if (tenants.get(webhook.tenantId)?.webhooks.has(webhook.id) !== true) save(webhook)
        })
      )

      return Subscriptions.of({
        wanting: (tenantId, type) => {
          const owned = tenants.get(tenantId)
          if (owned === undefined) return []
          const known = owned.byType.get(type)
          if (known !== undefined) return known
          const wanting = [...owned.webhooks.values()].filter(({ eventTypes }) =>
            wants(eventTypes, type)
          )
          if (owned.byType.size >= typesMax) owned.byType.clear()
          owned.byType.set(type, wanting)
          return wanting
        },
        size: () => size
      })
    })
  )
}

/** A tenant's webhooks, and what routing found out about them since the last change. */
interface Owned {
  readonly webhooks: Map<WebhookId, Webhook>
  readonly byType: Map<EventTypeName, ReadonlyArray<Webhook>>
}

/** Types that are remembered for each tenant. */
const typesMax = 1_024
