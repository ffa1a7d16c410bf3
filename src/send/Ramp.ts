/**
 * How many attempts at once a receiver is given, by how it bears them.
 *
 * ```
 *   start slow ──► 1, 2, 4 … ──► concurrency ◄── one more a round ──┐
 *                                     └────── overload: half ───────┘
 * ```
 *
 * After an outage each success allows one more (slow start). Where a receiver says or shows that it has
 * too much to do, by 429, 502, 503, 504 or by not answering in time, it gets half as many, once for all
 * that were under way together, and then one more with each round of successes, as TCP does
 * (RFC 5681, section 3.1).
 */
import type * as Clock from "effect/Clock"
import type { Outcome } from "../domain/Attempt.ts"

export interface Ramp {
  /** The attempts at once that there may be now, 1 or more, where no other bound is lower. */
  readonly max: () => number
  /** Begins anew with one at a time. */
  readonly restart: () => void
  /** Takes a success; true where more may begin than before. */
  readonly rise: (concurrency: number) => boolean
  /** Takes what came of an attempt that began at `startedAt`, epoch milliseconds. */
  readonly bear: (
    outcome: Outcome,
    concurrency: number,
    startedAt: number,
    clock: Clock.Clock
  ) => void
}

/** Makes the ramp of a lane, which begins with one attempt at a time or with all that it may. */
export const make = (start: "slow" | "full"): Ramp => {
  let allowed = start === "slow" ? 1 : Infinity
  // Up to here it grows with each success, from here on with as many as it allows at once.
  let ceiling = Infinity
  let successes = 0
  let cutAt = -Infinity

  return {
    max: () => allowed,
    restart: () => {
      allowed = 1
      ceiling = Infinity
    },
    rise: (concurrency) => {
      if (allowed >= concurrency) return false
      if (allowed >= ceiling && ++successes < allowed) return false
      successes = 0
      allowed++
      return true
    },
    bear: (outcome, concurrency, startedAt, clock) => {
      if (!isOverload(outcome)) return
      const now = clock.currentTimeMillisUnsafe()
      // A clock that went back must not hide what comes for as long as it went.
      cutAt = Math.min(cutAt, now)
      // What began before knows nothing of the last cut.
      if (startedAt <= cutAt) return
      cutAt = now
      allowed = Math.max(1, Math.floor(Math.min(allowed, concurrency) / 2))
      ceiling = allowed
      successes = 0
    }
  }
}

const isOverload = (outcome: Outcome): boolean =>
  outcome._tag === "Responded"
    ? overloaded.has(outcome.statusCode)
    : outcome._tag === "TimedOut" && outcome.phase !== "dns"

const overloaded: ReadonlySet<number> = new Set([429, 502, 503, 504])
