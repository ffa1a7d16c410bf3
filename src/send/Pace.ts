/**
 * How fast a lane may go: as its gate, what its receiver bears and the rate of its webhook let it.
 *
 * After its gate was closed a lane starts slowly, and a receiver that has too much to do gets less at
 * once; see `Ramp`. What the receiver has no part in, such as a proxy that is away, makes the lane wait
 * without a judgement on the receiver.
 */
import type { NotSent } from "../domain/Attempt.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import type { Webhook, WebhookHealth } from "../domain/Webhook.ts"
import * as Gate from "./Gate.ts"
import * as Ramp from "./Ramp.ts"
import * as Rate from "./Rate.ts"

/** The pace of one webhook. Times are epoch milliseconds. */
export interface Pace {
  /** Reads the gate at `now`. */
  readonly gate: (webhook: Webhook, health: WebhookHealth, now: number) => Gate.Gate
  /** Begins slowly again. */
  readonly slow: () => void
  /** Learns of a success; true when that lets one more attempt go at once. */
  readonly quicken: Ramp.Ramp["rise"]
  /** Learns what came of an attempt, which may mean that the receiver has too much to do. */
  readonly bear: Ramp.Ramp["bear"]
  /** Learns that an attempt was made. */
  readonly went: () => void
  /** Stops for a while, ever longer. `share`, from 0 to 1, spreads lanes that stop together. */
  readonly wait: (cause: NotSent["cause"], share: number, now: number) => void
  /** Takes a token of the rate, where there is a rate; false when none is left. */
  readonly take: (webhook: Webhook, now: number) => boolean
  /** Puts the last token back, since no attempt came of it. */
  readonly putBack: (webhook: Webhook) => void
  /** Counts the attempts that the rate lets begin at `now`. */
  readonly left: (webhook: Webhook, now: number) => number
  /** Tells when the rate lets another attempt begin, or null where it does not hold any back. */
  readonly nextAt: (webhook: Webhook, now: number) => number | null
  /** Keeps what was taken of the rate for the next lane of the webhook. */
  readonly leave: (webhook: Webhook, now: number) => void
}

/** Makes the pace of a webhook, over what is left of its rate in `buckets`. */
export const make = (
  buckets: Map<WebhookId, Rate.Bucket>,
  id: WebhookId,
  start: "slow" | "full"
): Pace => {
  const bucket = buckets.get(id) ?? Rate.make()
  const ramp = Ramp.make(start)
  let waitsUntil = 0
  // How often in a row.
  let waits = 0

  const left = ({ settings: { rate } }: Webhook, now: number) =>
    rate === null ? Infinity : bucket.left(rate, now)

  return {
    gate: (webhook, health, now) =>
      Gate.gate(webhook, health, { ramp: ramp.max(), waitsUntil }, now),
    slow: ramp.restart,
    quicken: ramp.rise,
    bear: ramp.bear,
    went: () => {
      waits = 0
    },
    wait: (cause, share, now) => {
      // Attempts that were under way together say it once.
      if (waitsUntil > now) return
      const { firstMs, mostMs } = waiting[cause]
      waitsUntil = now + Math.round(Math.min(firstMs * 2 ** waits++, mostMs) * (0.75 + share / 2))
    },
    take: ({ settings: { rate } }, now) => rate === null || bucket.take(rate, now),
    putBack: ({ settings: { rate } }) => {
      if (rate !== null) bucket.putBack()
    },
    left,
    nextAt: (webhook, now) => {
      const { rate } = webhook.settings
      return rate === null || left(webhook, now) > 0 ? null : bucket.nextAt(rate, now)
    },
    leave: (webhook, now) => {
      if (webhook.settings.rate !== null) Rate.leave(buckets, webhook, bucket, now)
    }
  }
}

/**
 * How long a lane waits that was kept from sending, in milliseconds: twice as long each time, give or
 * take a quarter, and never so long that it would leave for want of work and forget how long.
 */
const waiting = {
  proxy: { firstMs: 1_000, mostMs: 45_000 },
  crowd: { firstMs: 250, mostMs: 5_000 }
} as const
