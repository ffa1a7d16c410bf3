/**
 * Writes a line that comes again and again ever more rarely: ten at once, then one every ten seconds,
 * which says how many it stands for. Ten minutes of an outage are 70 lines of a kind at most.
 */
import type { Event } from "./Log.ts"

/** Decides about the next line of a kind: how many it stands for, or null when it is not written. */
export type Throttle = (event: Event, atMs: number) => number | null

/** Starts with every kind fresh. */
export const make = (): Throttle => {
  const buckets = new Map<Event, { tokens: number; at: number; left: number }>()
  return (event, at) => {
    const bucket = buckets.get(event) ?? { tokens: burst, at, left: 0 }
    buckets.set(event, bucket)
    const earned = Math.floor((at - bucket.at) / everyMs)
    if (earned > 0) {
      bucket.tokens = Math.min(burst, bucket.tokens + earned)
      bucket.at += earned * everyMs
    }
    if (bucket.tokens === 0) {
      bucket.left++
      return null
    }
    bucket.tokens--
    const standsFor = bucket.left + 1
    bucket.left = 0
    return standsFor
  }
}

const burst = 10
const everyMs = 10_000
