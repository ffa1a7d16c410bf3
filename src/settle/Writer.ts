/**
 * Writes settlements: many at a time, again while the store is away, each to its own end.
 *
 * Concurrent settlements share a commit. While the store is away their flush stays in flight and is
 * tried again, so that an outage costs one retry for each flush and not one for each settlement.
 * When the store refuses a flush for good, halves of it are tried until the one that it refuses is
 * alone: a receiver whose answer cannot be stored spoils nobody else's.
 */
import { Array, Effect, Result, Schedule, type Scope } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { DeliveryLog, type Settlement } from "../store/DeliveryLog.ts"
import * as GroupCommit from "../store/GroupCommit.ts"
import { callerMs } from "../store/InTime.ts"
import { StoreError } from "../store/StoreError.ts"
import { log } from "../telemetry/Log.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { jitteredBy } from "./Backoff.ts"

/** Writes one settlement and answers when it is durable, or why it cannot be written. */
export type Write = (settlement: Settlement) => Effect.Effect<Result.Result<void, StoreError>>

/** The bounds and times of writing. */
export interface WriterOptions {
  /** Settlements that wait to be written, in all. At the bound more wait to wait. 4,096 by default. */
  readonly pendingMax?: number
  /** Settlements per commit. 200 by default. */
  readonly rowsMax?: number
  /** Bytes per commit, a kibibyte counted for each row beside its body. 1 MiB by default. */
  readonly bytesMax?: number
  /** Commits in flight at once. 2 by default. */
  readonly inFlightMax?: number
  /** The first wait for a store that is away, in milliseconds; it doubles. 100 by default. */
  readonly retryMs?: number
  /** The longest such wait, in milliseconds. 5,000 by default; all waits are jittered by 25 %. */
  readonly retryMsMax?: number
}

/**
 * Makes a writer that lives in the current scope. As the scope closes, what waits is tried once more
 * and what comes is interrupted.
 */
export const make = Effect.fnUntraced(function* (
  options: WriterOptions
): Effect.fn.Return<Write, never, DeliveryLog | Scope.Scope> {
  const log = yield* DeliveryLog
  let closing = false
  const retries = Schedule.min([
    Schedule.exponential(options.retryMs ?? 100),
    Schedule.spaced(options.retryMsMax ?? 5_000)
  ]).pipe(jitteredBy(0.25))

  const flush = (
    settlements: NonEmptyReadonlyArray<Settlement>
  ): Effect.Effect<ReadonlyArray<Result.Result<void, StoreError>>> =>
    log.settle(settlements).pipe(
      Effect.timeoutOrElse({
        duration: callerMs,
        orElse: () => Effect.fail(StoreError.unanswered("DeliveryLog.settle"))
      }),
      Effect.tapError((error) => (error.isRetryable ? logAway(error) : Effect.void)),
      Effect.retry({ schedule: retries, while: (error) => error.isRetryable && !closing }),
      Effect.matchEffect({
        onSuccess: () => Effect.succeed(settlements.map(() => Result.void)),
        onFailure: (error) =>
          error.isRetryable || settlements.length === 1
            ? Effect.succeed(settlements.map(() => Result.fail(error)))
            : Effect.map(
                Effect.forEach(
                  Array.chunksOf(settlements, Math.ceil(settlements.length / 2)),
                  flush
                ),
                Array.flatten
              )
      })
    )

  const { submit } = yield* GroupCommit.make<Settlement, Result.Result<void, StoreError>, never>({
    name: "settlements",
    flush: (settlements) => Metrics.commit("settlements", settlements.length, flush(settlements)),
    sizeOf: ({ attempt }) => 1_024 + (attempt.responseBody?.length ?? 0),
    pendingMax: options.pendingMax ?? 4_096,
    rowsMax: options.rowsMax ?? 200,
    bytesMax: options.bytesMax ?? 1_048_576,
    inFlightMax: options.inFlightMax ?? 2
  })
  const untilClosing = { schedule: retries, while: () => !closing }
  yield* Effect.addFinalizer(() => Effect.sync(() => (closing = true)))

  return (settlement) =>
    submit(settlement).pipe(
      // Asked again outside of the common way, which then pays nothing for it.
      Effect.catchTag("Overloaded", () => Effect.retry(submit(settlement), untilClosing)),
      Effect.catchTag("Overloaded", () => Effect.interrupt)
    )
})

const logAway = (error: StoreError): Effect.Effect<void> =>
  log("settlements_waiting", { reason: error.message })
