/**
 * Publishes operational messages: what Posthaste tells a tenant about its own webhooks, sent to those
 * of them that name `posthaste.*`.
 *
 * Promises: a message is owed from the commit of what it tells of, so a kill loses none; it is
 * published once, whatever happens between publishing and forgetting it; nobody waits for it, and a
 * receiver that is broken for long holds up only its own deliveries, as of any message.
 *
 * It stands above the path, because settling an attempt must not know how to publish.
 */
import { Effect, Latch, Layer, Schedule, Stream } from "effect"
import type { Notice } from "./domain/Notice.ts"
import { Publisher } from "./publish/Publisher.ts"
import { Subscriptions } from "./route/Subscriptions.ts"
import { Alerts } from "./settle/Alerts.ts"
import { NoticeQueue } from "./store/NoticeQueue.ts"
import { StoreError } from "./store/StoreError.ts"
import { reach } from "./telemetry/Failpoint.ts"
import { log } from "./telemetry/Log.ts"

/** The times of publishing what is owed. */
export interface OperationsOptions {
  /**
   * How often notices are looked for that nobody told of, as after a commit whose fate was unknown, in
   * milliseconds. 30,000 by default.
   */
  readonly lookMs?: number
}

/** Publishes what is owed at the start, what comes, and what nobody told it of. */
export const layer = (options: OperationsOptions = {}) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const lookMs = options.lookMs ?? 30_000
      const alerts = yield* Alerts
      const notices = yield* NoticeQueue
      const publisher = yield* Publisher
      const subscriptions = yield* Subscriptions
      const raised = Latch.makeUnsafe(true)

      const publish = Effect.fnUntraced(
        function* ({ data, id, tenantId, type }: Notice) {
          if (subscriptions.wanting(tenantId, type).length === 0) return
          yield* publisher.publish({
            tenantId,
            type,
            uid: null,
            resource: null,
            data,
            // Publishing it again after a kill answers the first message.
            idempotencyKey: id
          })
        },
        // What cannot ever be published must not stand in the way of the others.
        Effect.catchIf(
          (error) => error._tag !== "Overloaded" && !(error instanceof StoreError),
          (error) => log("notice_lost", { reason: error._tag })
        )
      )

      const round = Effect.gen(function* () {
        const found = yield* notices.pull(roundMax)
        if (found.length === 0) return
        reach("notice.pulled")
        yield* Effect.forEach(found, publish, { concurrency, discard: true })
        reach("notice.published")
        yield* notices.remove(found.map(({ id }) => id))
        reach("notice.removed")
        if (found.length === roundMax) raised.openUnsafe()
      })

      yield* Stream.runForEach(alerts.changes, () => Effect.sync(() => raised.openUnsafe())).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
      yield* Effect.forever(
        Effect.gen(function* () {
          yield* Effect.timeoutOption(raised.await, lookMs)
          raised.closeUnsafe()
          yield* round.pipe(
            Effect.tapError((error) => log("notices_waiting", { reason: error._tag })),
            Effect.retry(retries)
          )
        }).pipe(
          Effect.catchCause((cause) =>
            Effect.andThen(log("notices_waiting", {}, cause), Effect.sleep(lookMs))
          )
        )
      ).pipe(Effect.forkScoped)
    })
  )

/** Notices that are published in one round, and how many of them at once. */
const roundMax = 100
const concurrency = 16

const retries = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])
