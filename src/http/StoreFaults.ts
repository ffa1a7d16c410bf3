/**
 * Turns a fault of the store into the answer that asks a caller to come back.
 */
import { Cause, Effect, flow } from "effect"
import { StoreUnavailable } from "../api/Problems.ts"
import { callerMs, inTime } from "../store/InTime.ts"
import { StoreError } from "../store/StoreError.ts"
import { log } from "../telemetry/Log.ts"

/** Seconds after which a caller may try again. */
const retryAfterSeconds = 2

/**
 * Answers 503 where the store failed.
 *
 * **Details**
 *
 * A fault that passes is the store's to report, so an outage does not fill the log with one line for
 * each request. One that does not pass is ours, and is logged with its cause.
 */
export const unavailable = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, StoreError> | StoreUnavailable, R> =>
  effect.pipe(
    Effect.catch((error): Effect.Effect<never, Exclude<E, StoreError> | StoreUnavailable> =>
      error instanceof StoreError
        ? answer(error)
        : // A type guard does not narrow a type parameter in its negative branch.
          Effect.fail(error as Exclude<E, StoreError>)
    )
  )

/**
 * Answers 503 also where the store says nothing for ten seconds.
 *
 * **Gotchas** Not for what waits for anything but the store, nor for what has a bound of its own.
 */
export const answered: <A, E, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<A, Exclude<E, StoreError> | StoreUnavailable, R> = flow(
  inTime("request", callerMs),
  unavailable
)

const answer = (error: StoreError): Effect.Effect<never, StoreUnavailable> =>
  Effect.andThen(
    error.isRetryable
      ? log("store_waiting", { reason: error.message })
      : log("store_refused", { reason: error.message }, Cause.fail(error)),
    new StoreUnavailable({ retryAfterSeconds })
  )
