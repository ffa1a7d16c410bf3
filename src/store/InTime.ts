/**
 * Bounds how long somebody waits for the store: a server that is frozen, or whose connection leads
 * nowhere, never answers and never fails.
 *
 * Nobody waits for the end of what is given up either. It is interrupted, and undoing what was begun
 * may take as long as the store is away.
 */
import { type Duration, Effect, Fiber } from "effect"
import { StoreError } from "./StoreError.ts"

/** How long a caller waits for the store before it is told to come again: 10 seconds. */
export const callerMs = 10_000

/** Longer than the server lets a statement run, so that a slow one is the server's to end: 35 seconds. */
export const statementMs = 35_000

/** Fails what the store does not answer within a time; whether it was done is not known then. */
export const inTime =
  (operation: string, within: Duration.Input) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.flatMap(Effect.forkDetach(effect), (working) =>
      Fiber.join(working).pipe(
        Effect.timeoutOrElse({
          duration: within,
          orElse: () => Effect.fail(StoreError.unanswered(operation))
        }),
        Effect.ensuring(Effect.sync(() => working.interruptUnsafe()))
      )
    )
