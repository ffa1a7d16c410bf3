/**
 * Numbers over HTTP: of a tenant, and of one webhook.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { backlogMax, recentMax } from "../domain/Stats.ts"
import { CircuitState, WebhookNotFound, WebhookStatus } from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { RequestProblems } from "./Problems.ts"

const capped = `Counted up to ${backlogMax}`

const deliveries = Schema.Struct({
  pending: Schema.Int.annotate({ description: `No attempt yet. ${capped}` }),
  waiting: Schema.Int.annotate({ description: `For another attempt. ${capped}` }),
  held: Schema.Int.annotate({
    description: "Those of pending and waiting that a stopped webhook or an open circuit holds"
  }),
  delivered: Schema.Int.annotate({ description: "In all, retention does not take them away" }),
  exhausted: Schema.Int.annotate({ description: "In all" }),
  cancelled: Schema.Int.annotate({ description: capped })
})

const backlog = Schema.Struct({
  count: Schema.Int,
  isCapped: Schema.Boolean.annotate({ description: "There are more than were counted" }),
  nextDueAt: Schema.NullOr(Instant).annotate({ description: "Of what waits; past: overdue" }),
  ageMs: Schema.Int.annotate({ description: "How long the oldest has been overdue" })
})

const totals = {
  deliveries,
  attempts: Schema.Int.annotate({ description: "In all" }),
  backlog
}

/** A tenant in numbers. */
export const StatsView = Schema.Struct({
  ...totals,
  throughput: Schema.Array(
    Schema.Struct({
      minute: Instant,
      attempts: Schema.Int,
      delivered: Schema.Int,
      exhausted: Schema.Int
    })
  ).annotate({ description: "The last 60 minutes, oldest first; the last one is not over" })
}).annotate({ identifier: "Stats" })
export type StatsView = typeof StatsView.Type

/** A webhook in numbers. */
export const WebhookStatsView = Schema.Struct({
  ...totals,
  recent: Schema.Struct({
    deliveries: Schema.Int,
    successRate: Schema.NullOr(Schema.Finite),
    p50Ms: Schema.NullOr(Schema.Int),
    p95Ms: Schema.NullOr(Schema.Int)
  }).annotate({
    description: `The newest ${recentMax} that ended, and how long their last attempt took`
  }),
  status: WebhookStatus,
  circuit: Schema.Struct({ state: CircuitState, openUntil: Schema.NullOr(Instant) }),
  consecutiveFailures: Schema.Int
}).annotate({ identifier: "WebhookStats" })
export type WebhookStatsView = typeof WebhookStatsView.Type

/** The endpoints that answer numbers. */
export class StatsApi extends HttpApiGroup.make("stats")
  .add(
    HttpApiEndpoint.get("tenant", "/stats", { success: StatsView })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Count what is owed and what was done"),
    HttpApiEndpoint.get("webhook", "/webhooks/:id/stats", {
      params: { id: Ref },
      success: WebhookStatsView,
      error: WebhookNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Count what is owed to a webhook and how it does")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1")
  .annotate(OpenApi.Title, "Numbers") {}
