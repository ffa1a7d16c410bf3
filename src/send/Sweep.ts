/**
 * Finds what got lost between a commit and its lane: once in a while, and soon after a commit whose
 * answer was lost.
 */
import { Cause, Clock, Effect, Latch, type Scope } from "effect"
import type { DeliveryId, WebhookId } from "../domain/TypeId.ts"
import type { DeliveryQueue } from "../store/DeliveryQueue.ts"
import { log } from "../telemetry/Log.ts"

/** What a sweep looks through, and whom it tells. Times are epoch milliseconds. */
export interface SweepOptions {
  readonly queue: DeliveryQueue["Service"]
  /** How often it looks without a cause, in milliseconds. */
  readonly everyMs: number
  /** Tells whether a lane has a delivery in memory. */
  readonly holds: (webhookId: WebhookId, id: DeliveryId) => boolean
  /** Hears of a delivery that was owed and held by nobody, and is now due in the store. */
  readonly onParked: (webhookId: WebhookId, dueAt: number) => void
  /** Hears when the store has something for a webhook. */
  readonly onWaiting: (webhookId: WebhookId, dueAt: number) => void
}

export interface Sweep {
  /** Has it look as soon as the store answers. */
  readonly soon: () => void
}

/** Sweeps for as long as the current scope. */
export const make = Effect.fnUntraced(function* (
  options: SweepOptions
): Effect.fn.Return<Sweep, never, Scope.Scope> {
  const { everyMs, holds, onParked, onWaiting, queue } = options
  const doubted = Latch.makeUnsafe()

  /** Reads what is owed in the store and held by nobody. */
  const strays = Effect.map(queue.owed, (owed) =>
    owed.filter(({ id, webhookId }) => !holds(webhookId, id))
  )

  /** Makes due what memory was to hold and does not. */
  const recoverStrays = Effect.gen(function* () {
    const suspects = new Set((yield* strays).map(({ id }) => id))
    if (suspects.size === 0) return
    // One that was settled while the store was read is gone when it is read again.
    const lost = (yield* strays).filter(({ id }) => suspects.has(id))
    const now = yield* Clock.currentTimeMillis
    yield* queue.park(lost, now)
    lost.forEach(({ webhookId }) => onParked(webhookId, now))
  })

  const look = Effect.gen(function* () {
    yield* Effect.timeoutOption(doubted.await, everyMs)
    // A store that lost its connection, or did not answer, may still be finishing what it was sent: it
    // is given a while from when it answers again.
    yield* queue.owed
    yield* Effect.sleep(Math.min(everyMs, 5_000))
    doubted.closeUnsafe()
    yield* recoverStrays
    const entries = yield* queue.agenda
    entries.forEach(({ dueAt, webhookId }) => onWaiting(webhookId, dueAt))
  })

  yield* Effect.forkScoped(
    Effect.forever(
      look.pipe(
        Effect.catch((error) => {
          doubted.openUnsafe()
          // A store that is away refuses at once: without a pause this would ask it all the time.
          return Effect.andThen(
            log("sweep_waiting", { reason: error.message }),
            Effect.sleep(Math.min(everyMs, 1_000))
          )
        }),
        Effect.catchDefect((defect) =>
          Effect.andThen(
            log("sweep_put_off", {}, Cause.die(defect)),
            Effect.sleep(Math.min(everyMs, 60_000))
          )
        )
      )
    )
  )

  return { soon: () => doubted.openUnsafe() }
})
