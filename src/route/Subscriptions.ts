/**
 * Every tenant's webhooks in memory, so that routing a message reads nothing.
 *
 * Loaded at the start, then kept in step by `WebhookRepo.watch`: whoever was answered that a webhook
 * exists finds it here. Which of them want a type is found once for each type and change. Paused and
 * disabled webhooks are here too, because their deliveries are held and not dropped. A webhook takes
 * about 2 kB. Ad-hoc webhooks want no type; they are found by what messages name them by.
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
    /** The ad-hoc webhook of a tenant that messages name by a digest. */
    readonly adHoc: (tenantId: TenantId, digest: string) => Webhook | undefined
    /** Counts the ad-hoc webhooks of a tenant that messages may still name. */
    readonly adHocSize: (tenantId: TenantId) => number
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
        const owned = tenants.get(webhook.tenantId) ?? nothing()
        const former = owned.webhooks.get(webhook.id)
        if (former === undefined) size++
        else forget(owned, former)
        owned.webhooks.set(webhook.id, webhook)
        if (webhook.adHoc === null) owned.byType.clear()
        else if (webhook.adHoc.digest !== null) owned.adHoc.set(webhook.adHoc.digest, webhook)
        tenants.set(webhook.tenantId, owned)
      }
      const remove = (webhook: Webhook) => {
        const owned = tenants.get(webhook.tenantId)
        const former = owned?.webhooks.get(webhook.id)
        if (owned === undefined || former === undefined) return
        owned.webhooks.delete(webhook.id)
        size--
        forget(owned, former)
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
          const wanting = [...owned.webhooks.values()].filter(
            ({ adHoc, eventTypes }) => adHoc === null && wants(eventTypes, type)
          )
          if (owned.byType.size >= typesMax) owned.byType.clear()
          owned.byType.set(type, wanting)
          return wanting
        },
        adHoc: (tenantId, digest) => tenants.get(tenantId)?.adHoc.get(digest),
        adHocSize: (tenantId) => tenants.get(tenantId)?.adHoc.size ?? 0,
        size: () => size
      })
    })
  )
}

/** A tenant's webhooks, and what routing found out about them since the last change. */
interface Owned {
  readonly webhooks: Map<WebhookId, Webhook>
  readonly byType: Map<EventTypeName, ReadonlyArray<Webhook>>
  /** By their digests. */
  readonly adHoc: Map<string, Webhook>
}

const nothing = (): Owned => ({ webhooks: new Map(), byType: new Map(), adHoc: new Map() })

/** Takes a webhook that changed or went out of what was found. */
const forget = ({ adHoc, byType }: Owned, former: Webhook) => {
  if (former.adHoc === null) byType.clear()
  else if (former.adHoc.digest !== null) adHoc.delete(former.adHoc.digest)
}

/** Types that are remembered for each tenant. */
const typesMax = 1_024
