/**
 * Tenants and webhooks in numbers, at a cost that does not grow with what was ever sent.
 *
 * What was attempted is counted in memory as it is written down, and added to the store every 10
 * seconds, before it is read, and at the end: a kill loses what was not yet added. What is owed is
 * counted where it stands, up to a bound. How a webhook does lately is read from its newest attempts.
 */
import { Cause, Clock, Context, Effect, Layer, Schedule, Semaphore } from "effect"
import type { TenantStats, WebhookStats } from "../domain/Stats.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import { DeliveryLog } from "./DeliveryLog.ts"
import * as StatsMemory from "./StatsMemory.ts"
import * as StatsSql from "./StatsSql.ts"
import { log } from "../telemetry/Log.ts"
import { StoreError } from "./StoreError.ts"
import * as Tally from "./Tally.ts"

export class StatsRepo extends Context.Service<
  StatsRepo,
  {
    /** Reads the numbers of a tenant. */
    readonly tenant: (tenantId: TenantId) => Effect.Effect<TenantStats, StoreError>
    /** Reads the numbers of a tenant's webhook. */
    readonly webhook: (
      tenantId: TenantId,
      webhookId: WebhookId
    ) => Effect.Effect<WebhookStats, StoreError>
  }
>()("posthaste/store/StatsRepo") {
  /** Numbers in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    StatsRepo,
    Effect.gen(function* () {
      const table = yield* StatsSql.make
      const tally = Tally.make()
      yield* (yield* DeliveryLog).watch((settlements) =>
        settlements.forEach(({ attempt }) => tally.count(attempt))
      )

      // One at a time, so that whoever reads finds all that was counted before.
      const lock = yield* Semaphore.make(1)
      const flush = Effect.suspend(() => {
        const counted = tally.take()
        return counted === undefined
          ? Effect.void
          : Effect.onError(table.add(counted), () => Effect.sync(() => tally.giveBack(counted)))
      }).pipe(Semaphore.withPermit(lock))

      yield* Effect.addFinalizer(() =>
        flush.pipe(
          Effect.timeout(flushTimeout),
          Effect.catchCause((cause) => log("counting_waiting", {}, cause))
        )
      )
      yield* Effect.gen(function* () {
        yield* flush
        yield* table.expire((yield* Clock.currentTimeMillis) - keptMs)
      }).pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.failCause(cause)
            : log("counting_waiting", {}, cause)
        ),
        Effect.schedule(Schedule.spaced(flushEvery)),
        Effect.forkScoped
      )

      return StatsRepo.of({
        tenant: Effect.fn("StatsRepo.tenant")(
          function* (tenantId) {
            yield* flush
            return yield* table.tenant(tenantId, yield* Clock.currentTimeMillis)
          },
          Effect.mapError(StoreError.from("StatsRepo.tenant"))
        ),
        webhook: Effect.fn("StatsRepo.webhook")(
          function* (tenantId, webhookId) {
            yield* flush
            return yield* table.webhook(tenantId, webhookId)
          },
          Effect.mapError(StoreError.from("StatsRepo.webhook"))
        )
      })
    })
  )

  /** Numbers read from the memory of this process. */
  static readonly layerMemory = Layer.effect(
    StatsRepo,
    Effect.suspend(() => Effect.map(StatsMemory.make, StatsRepo.of))
  )
}

const flushEvery = "10 seconds"
const flushTimeout = "2 seconds"

/** How long minutes are kept: twice what is shown. */
const keptMs = 7_200_000
