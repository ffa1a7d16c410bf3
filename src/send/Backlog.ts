/**
 * What a lane knows of the store: when something is due there, and whether messages stand in line.
 *
 * Messages in line came first: while there are any, later ones join them, or they would overtake. The
 * line ends with a reading that leaves nobody in it, and begun after one that left nobody either.
 */
import type { Latch } from "effect"
import type { DueDelivery } from "../store/DeliveryQueue.ts"

export interface Backlog {
  /** When the store has something due, epoch milliseconds, or null. */
  readonly at: () => number | null
  /** Tells whether something is due at `now`, epoch milliseconds. */
  readonly isDue: (now: number) => boolean
  /** Tells whether messages stand in line, so that a later one must not go to memory. */
  readonly isQueued: () => boolean
  /** Learns that the store has something due at `at`, epoch milliseconds; `inLine` when messages do. */
  readonly expect: (at: number, inLine: boolean) => void
  /** Begins to read what is due: whoever expects something from now on is heard again. */
  readonly begin: () => Reading
}

/** A reading of what is due, under way. */
export interface Reading {
  /** The ordering key to read on behind, so that no key waits for others for long; empty at first. */
  readonly after: string
  /** True when the line may end with this: what comes to memory meanwhile follows what is read. */
  readonly isLast: boolean
  /** Takes note of what was read at `now`, and of when there is more. */
  readonly end: (taken: ReadonlyArray<DueDelivery>, nextDueAt: number | null, now: number) => void
}

/** Makes the backlog of a lane that has something due at `first`, or null; opens `changed` for news. */
export const make = (changed: Latch.Latch, first: number | null, now: number): Backlog => {
  let at = first
  let queued = first !== null && first <= now
  // The last reading left nobody in line, so the next one will leave nobody either.
  let isShort = false
  let joined = 0
  // The last key that was read.
  let lastKey = ""

  const expect = (dueAt: number, inLine: boolean) => {
    if (inLine) {
      queued = true
      joined++
    }
    if (at !== null && at <= dueAt) return
    at = dueAt
    changed.openUnsafe()
  }

  return {
    at: () => at,
    isDue: (now) => at !== null && at <= now,
    isQueued: () => queued,
    expect,
    begin: () => {
      at = null
      const before = joined
      const after = lastKey
      const isLast = queued && isShort
      if (isLast) queued = false
      return {
        after,
        isLast,
        end: (taken, nextDueAt, now) => {
          isShort = nextDueAt === null || nextDueAt > now
          if (isShort && joined === before) queued = false
          if (nextDueAt !== null) expect(nextDueAt, false)
          // Having come to the end of the keys, it begins again with the first.
          if (isShort && after !== "") expect(now, false)
          lastKey = isShort ? "" : greatestKey(taken, after)
        }
      }
    }
  }
}

const greatestKey = (taken: ReadonlyArray<DueDelivery>, least: string): string => {
  let greatest = least
  for (const { orderingKey } of taken) {
    if (orderingKey !== null && orderingKey > greatest) greatest = orderingKey
  }
  return greatest
}
