/**
 * Bounds what waits for the store behind nobody's back: a server that is frozen, or whose connection
 * leads nowhere, never answers and never fails.
 */
import { Effect } from "effect"
import { statementMs } from "./InTime.ts"
import { StoreError } from "./StoreError.ts"

/** Fails what the store does not answer for 35 seconds; whether it was done is not known then. */
export const answered =
  (operation: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.timeoutOrElse(effect, {
      duration: statementMs,
      orElse: () => Effect.fail(StoreError.unanswered(operation))
    })
