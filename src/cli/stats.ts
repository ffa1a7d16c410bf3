/**
 * `posthaste stats`: numbers of the tenant, or of one webhook.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { StatsView, WebhookStatsView } from "../api/StatsApi.ts"
import { withClient } from "./Client.ts"
import { answer, both, instant, record } from "./Print.ts"

/** Counts what is owed and what was done. */
export const stats = Command.make(
  "stats",
  {
    webhook: Argument.String("webhook").pipe(
      Argument.withDescription("Of one webhook, by id or uid"),
      Argument.optional
    )
  },
  ({ webhook }) =>
    withClient(({ stats }) =>
      Effect.gen(function* () {
        if (Option.isSome(webhook)) {
          const found = yield* stats.webhook({ params: { id: webhook.value }, ...both })
          return yield* answer(found, showWebhook)
        }
        yield* answer(yield* stats.tenant({ ...both }), showTenant)
      })
    )
).pipe(Command.withDescription("Count what is owed and what was done"))

const totals = ({ attempts, backlog, deliveries }: Omit<StatsView, "throughput">) => ({
  ...deliveries,
  attempts,
  backlog: `${backlog.count}${backlog.isCapped ? " or more" : ""}`,
  "next due": backlog.nextDueAt === null ? null : instant(backlog.nextDueAt),
  "overdue ms": backlog.ageMs
})

const showTenant = (view: StatsView) => {
  const hour = view.throughput.reduce((sum, minute) => sum + minute.attempts, 0)
  return record({ ...totals(view), "attempts in the last hour": hour })
}

const showWebhook = (view: WebhookStatsView) =>
  record({
    ...totals(view),
    status: view.status,
    circuit: view.circuit.state,
    "failures in a row": view.consecutiveFailures,
    "recent success rate":
      view.recent.successRate === null ? null : `${(view.recent.successRate * 100).toFixed(1)} %`,
    "recent p50 ms": view.recent.p50Ms,
    "recent p95 ms": view.recent.p95Ms
  })
