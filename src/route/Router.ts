/**
 * Decides which webhooks want a message.
 *
 * A webhook wants it when its event types and its resources both do; an empty list wants everything.
 * Status is no criterion: what is routed to a paused webhook is held for it.
 */
import { Context, Effect, Layer } from "effect"
import type { Resource } from "../domain/Message.ts"
import { deliveriesMax, type TenantId } from "../domain/TypeId.ts"
import type { ResourceFilter, Webhook } from "../domain/Webhook.ts"
import { Subscriptions } from "./Subscriptions.ts"

export class Router extends Context.Service<
  Router,
  {
    /** Names the webhooks of the tenant that want the message, at most 65,535. */
    readonly route: (tenantId: TenantId, message: Routed) => ReadonlyArray<Webhook>
  }
>()("posthaste/route/Router") {
  static readonly layer = Layer.effect(
    Router,
    Effect.gen(function* () {
      const subscriptions = yield* Subscriptions
      return Router.of({
        route: (tenantId, message) => {
          const wanted: Array<Webhook> = []
          for (const webhook of subscriptions.wanting(tenantId, message.type)) {
            if (wanted.length === deliveriesMax) break
            if (wantsResource(webhook.resources, message.resource)) wanted.push(webhook)
          }
          return wanted
        }
      })
    })
  )
}

/** What routing looks at. */
export interface Routed {
  readonly type: string
  readonly resource: Resource | null
}

const wantsResource = (
  filters: ReadonlyArray<ResourceFilter>,
  resource: Resource | null
): boolean =>
  filters.length === 0 ||
  (resource !== null &&
    filters.some(
      (filter) =>
        filter.type === resource.type && (filter.id === undefined || filter.id === resource.id)
    ))
