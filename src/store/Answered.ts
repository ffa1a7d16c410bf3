/**
 * Bounds what waits for the store behind nobody's back: a server that is frozen, or whose connection
 * leads nowhere, never answers and never fails.
 */
import { Effect } from "effect"
import { StoreError } from "./StoreError.ts"

/** Longer than the server lets a statement run, so that a slow one is the server's to end. */
const answerWithin = "35 seconds"

/** Fails what the store does not answer for 35 seconds; whether it was done is not known then. */
export const answered =
  (operation: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.timeoutOrElse(effect, {
      duration: answerWithin,
      orElse: () => Effect.fail(StoreError.unanswered(operation))
    })
