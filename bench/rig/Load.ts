/**
 * What one load was and what came of it: counted at the publisher and at the receiver, never by the
 * service about itself.
 */
import type { Published } from "../publisher.ts"
import type { Received } from "../receiver.ts"
import type { Spent } from "./Meter.ts"
import { type Sorted, sorted } from "./Stats.ts"

/** What to publish. */
export interface LoadPlan {
  /** Messages per second; null: as fast as the connections are answered. */
  readonly rate: number | null
  readonly seconds: number
  /** Messages to publish at most; by default what the rate makes of the seconds. */
  readonly count?: number
  /** Size of `data`. 1,000 bytes by default, which makes bodies of about 1 KB. */
  readonly bytes?: number
  /** Event types to go round; one by default. */
  readonly types?: number
  /** Receivers that each message goes to; one by default. */
  readonly copies?: number
  readonly connections?: number
  /** How long nothing may arrive before what is missing is given up. 5 seconds by default. */
  readonly quietMs?: number
  /** False for messages that are not expected to arrive, by number. */
  readonly expects?: (number: number) => boolean
  /** Does not wait for the messages to arrive. */
  readonly leaves?: boolean
}

/** What came of a load. Latencies are in milliseconds from the instant a message was due. */
export interface Load {
  readonly published: Published
  readonly received: Received
  readonly spent: Spent
  readonly acknowledged: number
  /** Publishes that were answered otherwise, or not at all. */
  readonly refused: number
  readonly deliveries: number
  /** Deliveries of acknowledged messages that never arrived. */
  readonly lost: number
  readonly duplicates: number
  readonly publishLatency: Sorted
  readonly deliveryLatency: Sorted
  /** Acknowledged per second of publishing. */
  readonly publishedPerSecond: number
  /** Accepted by the receiver per second, from the first publish to the last arrival. */
  readonly deliveredPerSecond: number
}

/** Joins what was published with what arrived. */
export const join = (
  plan: LoadPlan,
  first: number,
  capacity: number,
  published: Published,
  received: Received,
  spent: Spent
): Load => {
  const copies = plan.copies ?? 1
  const expects = plan.expects ?? (() => true)
  const publishLatency: Array<number> = []
  const deliveryLatency: Array<number> = []
  let lost = 0
  let duplicates = 0
  for (let i = 0; i < published.sent; i++) {
    const due = published.dueAt[i]!
    const acknowledgedAt = published.acknowledgedAt[i]!
    if (acknowledgedAt > 0) publishLatency.push(acknowledgedAt - due)
    if (!expects(first + i)) continue
    for (let copy = 0; copy < copies; copy++) {
      const at = copy * capacity + i
      const times = received.times[at]!
      if (times > 0) deliveryLatency.push(received.acceptedAt[at]! - due)
      else if (acknowledgedAt > 0) lost++
      if (times > 1) duplicates += times - 1
    }
  }
  const acknowledged = publishLatency.length
  const publishingMs = lastOf(published.acknowledgedAt) - published.beganAt
  return {
    published,
    received,
    spent,
    acknowledged,
    refused: published.sent - acknowledged,
    deliveries: deliveryLatency.length,
    lost,
    duplicates,
    publishLatency: sorted(publishLatency),
    deliveryLatency: sorted(deliveryLatency),
    publishedPerSecond: (acknowledged / publishingMs) * 1000,
    deliveredPerSecond: (received.accepted / (received.lastAt - published.beganAt)) * 1000
  }
}

const lastOf = (instants: Float64Array): number => instants.reduce((a, b) => Math.max(a, b), 0)
