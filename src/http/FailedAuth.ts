/**
 * Counts requests with invalid keys by where they come from, so that guessing gets slow answers.
 *
 * It only chooses the answer to a key that was found invalid: whoever has a valid key is let in
 * however many others behind the same address have none. At most 10,000 addresses are remembered,
 * those that failed last; each for a minute from its first failure.
 */
import type * as Clock from "effect/Clock"
import { keep } from "../send/wire/Recency.ts"

/** Failures by address. */
export interface FailedAuth {
  /** Counts a failure; answers the seconds to wait once an address has used up its failures. */
  readonly count: (address: string) => number | undefined
}

/** Starts counting. */
export const make = (clock: Clock.Clock, failuresMax: number): FailedAuth => {
  const windows = new Map<string, { count: number; readonly endsAt: number }>()
  return {
    count: (address) => {
      const source = sourceOf(address)
      const now = clock.currentTimeMillisUnsafe()
      const known = windows.get(source)
      const open =
        known !== undefined && known.endsAt > now ? known : { count: 0, endsAt: now + windowMs }
      open.count++
      keep(windows, sourcesMax, source, open)
      return open.count > failuresMax ? Math.ceil((open.endsAt - now) / 1_000) : undefined
    }
  }
}

const windowMs = 60_000
const sourcesMax = 10_000

/** Takes an IPv6 network of /64 for one source, as one customer has all of its addresses. */
const sourceOf = (address: string): string =>
  address.includes(":") && !address.startsWith("::ffff:")
    ? address.split(":").slice(0, 4).join(":")
    : address
