/**
 * Decides which webhooks want a message.
 *
 * A webhook wants it when its event types, its resources, its channels and its filter all do; an
 * empty list and no filter want everything. Status is no criterion: what is routed to a paused webhook
 * is held for it. The payload is read only where a webhook with a filter wants all the rest.
 */
import { Context, Effect, Layer, Result } from "effect"
import * as Filter from "../domain/Filter.ts"
import type { Resource } from "../domain/Message.ts"
import { type Decision, decisionsMax } from "../domain/Routing.ts"
import { deliveriesMax, type TenantId } from "../domain/TypeId.ts"
import type { ResourceFilter, Webhook } from "../domain/Webhook.ts"
import { Subscriptions } from "./Subscriptions.ts"

export class Router extends Context.Service<
  Router,
  {
    /** Names the webhooks of the tenant that want the message, at most 65,535. */
    readonly route: (tenantId: TenantId, message: Routed) => Routing
  }
>()("posthaste/route/Router") {
  static readonly layer = Layer.effect(
    Router,
    Effect.gen(function* () {
      const subscriptions = yield* Subscriptions
      const compiled = new WeakMap<Filter.Filter, Filter.Compiled>()

      const compile = (filter: Filter.Filter): Filter.Compiled => {
        const known = compiled.get(filter)
        if (known !== undefined) return known
        // What another version wrote and this one cannot read lets nothing pass.
        const made = Result.getOrElse(Filter.compile(filter), () => ({ failing: () => "" }))
        compiled.set(filter, made)
        return made
      }

      const refusal = (webhook: Webhook, message: Routed): Omit<Decision, "webhookId"> | null => {
        if (!wantsResource(webhook.resources, message.resource)) return ofResource
        if (!wantsChannel(webhook.channels, message.channels)) return ofChannel
        if (webhook.filter === null) return null
        const clause = compile(webhook.filter).failing(message.data())
        return clause === null ? null : { reason: "filter", clause }
      }

      return Router.of({
        route: (tenantId, message) => {
          const wanted: Array<Webhook> = []
          const decisions: Array<Decision> = []
          for (const webhook of subscriptions.wanting(tenantId, message.type)) {
            if (wanted.length === deliveriesMax) break
            const refused = refusal(webhook, message)
            if (refused === null) wanted.push(webhook)
            if (decisions.length === decisionsMax) continue
            const { id: webhookId, status } = webhook
            if (refused !== null) decisions.push({ webhookId, ...refused })
            else if (status !== "enabled")
              decisions.push({ webhookId, reason: status, clause: null })
          }
          return { wanted, decisions }
        }
      })
    })
  )
}

/** What routing looks at. */
export interface Routed {
  readonly type: string
  readonly resource: Resource | null
  readonly channels: ReadonlyArray<string>
  /** Reads the payload; undefined when it is no JSON. */
  readonly data: () => unknown
}

/** Who gets a message, and what was decided besides. */
export interface Routing {
  readonly wanted: ReadonlyArray<Webhook>
  /** What types alone do not say, of the first 1,000 such webhooks. */
  readonly decisions: ReadonlyArray<Decision>
}

const ofResource = { reason: "resource", clause: null } as const
const ofChannel = { reason: "channel", clause: null } as const

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

const wantsChannel = (wanted: ReadonlyArray<string>, carried: ReadonlyArray<string>): boolean =>
  wanted.length === 0 || carried.some((channel) => wanted.includes(channel))
