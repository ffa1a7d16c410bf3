/**
 * Answers that stay in memory for 5 seconds: what another process changed is seen by then.
 */
import { Cache, type Effect, Exit } from "effect"
import type { StoreError } from "./StoreError.ts"

/** Answers that are kept; the longest unasked go first. */
const rememberedMax = 10_000
const remembered = "5 seconds"

/** Remembers what was found, and what was not; a lookup that failed is done again. */
export const make = <A>(lookup: (key: string) => Effect.Effect<A, StoreError>) =>
  Cache.makeWith(lookup, {
    capacity: rememberedMax,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? remembered : 0)
  })
