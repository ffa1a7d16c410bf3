/**
 * Answers that stay in memory for 5 seconds: what another process changed is seen by then.
 */
import { Cache, Effect, Exit } from "effect"
import { StoreError } from "./StoreError.ts"

/** Answers that are kept; the longest unasked go first. */
const rememberedMax = 10_000
const remembered = "5 seconds"

/** How long a lookup may take: requests wait for it. */
const answerWithin = "5 seconds"

/** Remembers what was found, and what was not; a lookup that failed is done again. */
export const make = <A>(lookup: (key: string) => Effect.Effect<A, StoreError>) =>
  Cache.makeWith(bounded(lookup), {
    capacity: rememberedMax,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? remembered : 0)
  })

const bounded =
  <A>(lookup: (key: string) => Effect.Effect<A, StoreError>) =>
  (key: string): Effect.Effect<A, StoreError> =>
    Effect.timeoutOrElse(lookup(key), {
      duration: answerWithin,
      orElse: () => Effect.fail(StoreError.unanswered("Remembered.get"))
    })
