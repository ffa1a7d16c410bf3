/**
 * The numbers of tenants and webhooks, read from the Maps of MemoryTables.
 */
import { Clock, Effect } from "effect"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery } from "../domain/Delivery.ts"
import { type Backlog, recentMax, type Tally } from "../domain/Stats.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import * as MemoryDeliveries from "./MemoryDeliveries.ts"
import { MemoryTables } from "./MemoryTables.ts"
import * as Counter from "./Tally.ts"

/** Makes the methods of a StatsRepo over the Maps. */
export const make = Effect.gen(function* () {
  const tables = yield* MemoryTables

  const attemptsOf = (isWanted: (row: Attempt) => boolean) =>
    [...tables.attempts.values()].flat().filter(isWanted)

  const backlogOf = (isWanted: (row: Delivery) => boolean): Backlog => {
    const wanted = MemoryDeliveries.ids(tables)
      .map((id) => MemoryDeliveries.find(tables, id))
      .filter((found) => found !== undefined)
      .filter(isWanted)
    const open = wanted.filter(({ settledAt }) => settledAt === null)
    const due = open.flatMap(({ nextAttemptAt }) => (nextAttemptAt === null ? [] : [nextAttemptAt]))
    return {
      pending: open.filter(({ attempts }) => attempts === 0).length,
      waiting: open.filter(({ attempts }) => attempts > 0).length,
      held: open.filter(({ status }) => status === "held").length,
      cancelled: wanted.filter(({ status }) => status === "cancelled").length,
      nextDueAt: due.length === 0 ? null : Math.min(...due)
    }
  }

  return {
    tenant: (tenantId: TenantId) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const attempts = attemptsOf((row) => row.tenantId === tenantId)
        const minutes = Map.groupBy(
          attempts.filter(({ startedAt }) => minuteOf(startedAt) > now - 3_600_000),
          ({ startedAt }) => minuteOf(startedAt)
        )
        return {
          total: tallyOf(attempts),
          backlog: backlogOf((row) => row.tenantId === tenantId),
          minutes: [...minutes]
            .sort(([a], [b]) => a - b)
            .map(([minute, made]) => ({ ...tallyOf(made), minute }))
        }
      }),
    webhook: (tenantId: TenantId, webhookId: WebhookId) =>
      Effect.sync(() => {
        const isOf = (row: Attempt | Delivery) =>
          row.webhookId === webhookId && row.tenantId === tenantId
        const attempts = attemptsOf(isOf)
        const recent = attempts
          .filter(({ settled }) => settled !== null)
          .sort((a, b) => (a.deliveryId < b.deliveryId ? 1 : -1))
          .slice(0, recentMax)
        const durations = recent.map(({ durationMs }) => durationMs).sort((a, b) => a - b)
        const at = (share: number) => durations[Math.ceil(durations.length * share) - 1] ?? null
        return {
          total: tallyOf(attempts),
          backlog: backlogOf(isOf),
          recent: {
            ended: recent.length,
            delivered: recent.filter(({ settled }) => settled === "delivered").length,
            p50Ms: at(0.5),
            p95Ms: at(0.95)
          }
        }
      })
  }
})

const minuteOf = (instant: number): number => instant - (instant % 60_000)

const tallyOf = (attempts: ReadonlyArray<Attempt>): Tally => {
  const counter = Counter.make()
  attempts.forEach(counter.count)
  const total = { attempts: 0, delivered: 0, exhausted: 0 }
  for (const { attempts: made, delivered, exhausted } of counter.take() ?? []) {
    total.attempts += made
    total.delivered += delivered
    total.exhausted += exhausted
  }
  return total
}
