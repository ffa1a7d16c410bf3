/**
 * Ends what has a deadline, with one sleeping fiber for all of it.
 *
 * A timer for each request costs as much as the rest of the request. Nearly all end long before their
 * deadline, so it is enough to look at those that are left, at the earliest deadline and at least
 * twice a second. Times are monotonic milliseconds of the Effect clock: a wall clock that jumps
 * expires nothing, and a test clock that is adjusted does.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { log } from "../../telemetry/Log.ts"

/** Something that must end. Where `endsAt` comes nearer, that is noticed within half a second. */
export interface Timed {
  readonly endsAt: number
  /** Ends it; it deletes itself from the deadlines. */
  expire(): void
}

/** Watches deadlines for as long as the scope lives. */
export interface Deadlines {
  readonly add: (timed: Timed) => void
  readonly delete: (timed: Timed) => void
}

/** The longest sleep while something is watched, in milliseconds. */
const sleepMaxMs = 500

/** Reads the monotonic clock, in milliseconds. */
export const monotonicMs = (clock: Clock.Clock): number =>
  Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

/** Starts watching, in a fiber of the scope. */
export const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const watched = new Set<Timed>()
  const latch = Latch.makeUnsafe(false)
  let wakesAt = Infinity

  const look = (): void => {
    const now = monotonicMs(clock)
    wakesAt = watched.size === 0 ? Infinity : now + sleepMaxMs
    for (const timed of watched) {
      if (timed.endsAt > now) {
        wakesAt = Math.min(wakesAt, timed.endsAt)
        continue
      }
      // First, so that one that fails to end is not met again.
      watched.delete(timed)
      timed.expire()
    }
  }

  const round = Effect.suspend(() => {
    latch.closeUnsafe()
    look()
    return wakesAt === Infinity
      ? latch.await
      : Effect.timeoutOption(latch.await, wakesAt - monotonicMs(clock))
  })

  yield* round.pipe(
    Effect.catchDefect((defect) => log("deadline_unkept", {}, Cause.die(defect))),
    Effect.forever,
    Effect.forkScoped
  )

  const deadlines: Deadlines = {
    add: (timed) => {
      watched.add(timed)
      if (timed.endsAt < wakesAt) latch.openUnsafe()
    },
    delete: (timed) => {
      watched.delete(timed)
    }
  }
  return deadlines
})
