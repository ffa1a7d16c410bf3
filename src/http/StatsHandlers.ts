/**
 * Answers the endpoints that answer numbers.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { type Backlog, backlogMax, type Tally, type TenantStats } from "../domain/Stats.ts"
import { circuitState, WebhookNotFound } from "../domain/Webhook.ts"
import { StatsRepo } from "../store/StatsRepo.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { answered } from "./StoreFaults.ts"

export const StatsHandlers = HttpApiBuilder.group(
  Api,
  "stats",
  Effect.fn(function* (handlers) {
    const stats = yield* StatsRepo
    const webhooks = yield* WebhookRepo

    return handlers.handleAll({
      tenant: Effect.fn("StatsHandlers.tenant")(function* () {
        const { tenantId } = yield* Caller
        const { backlog, minutes, total } = yield* stats.tenant(tenantId)
        const now = yield* Clock.currentTimeMillis
        return { ...totals(total, backlog, now), throughput: lastHour(minutes, now) }
      }, answered),

      webhook: Effect.fn("StatsHandlers.webhook")(function* ({ params }) {
        const { tenantId } = yield* Caller
        if (!isRef(params.id)) return yield* new WebhookNotFound({})
        const webhook = yield* webhooks.get(tenantId, params.id)
        const { backlog, recent, total } = yield* stats.webhook(tenantId, webhook.id)
        const now = yield* Clock.currentTimeMillis
        const { health, status } = webhook
        const { delivered, ended, p50Ms, p95Ms } = recent
        return {
          ...totals(total, backlog, now),
          recent: {
            deliveries: ended,
            successRate: ended === 0 ? null : delivered / ended,
            p50Ms,
            p95Ms
          },
          status,
          circuit: { state: circuitState(health, now), openUntil: health.circuitOpenUntil },
          consecutiveFailures: health.consecutiveFailures
        }
      }, answered)
    })
  })
)

const totals = (total: Tally, backlog: Backlog, now: number) => {
  const { cancelled, held, nextDueAt, pending, waiting } = backlog
  const { attempts, delivered, exhausted } = total
  return {
    deliveries: { pending, waiting, held, delivered, exhausted, cancelled },
    attempts,
    backlog: {
      count: pending + waiting,
      isCapped: pending >= backlogMax || waiting >= backlogMax,
      nextDueAt,
      ageMs: nextDueAt === null ? 0 : Math.max(0, now - nextDueAt)
    }
  }
}

const minuteMs = 60_000

/** All 60 minutes, those without an attempt too. */
const lastHour = (minutes: TenantStats["minutes"], now: number) => {
  const known = new Map(minutes.map((one) => [one.minute, one]))
  const last = now - (now % minuteMs)
  return Array.from({ length: 60 }, (_, i) => {
    const minute = last - (59 - i) * minuteMs
    const { attempts = 0, delivered = 0, exhausted = 0 } = known.get(minute) ?? {}
    return { minute, attempts, delivered, exhausted }
  })
}
