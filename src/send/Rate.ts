/**
 * Counts what may happen within a time: a bucket of `limit` tokens, each of which comes back `perMs`
 * after it was taken. Lanes pace the attempts of a webhook so, and the publisher a tenant's messages.
 *
 * So no span of `perMs` ever has more than `limit` in it, and up to `limit` may come at once after a
 * rest. Tokens that were taken together are counted together, at most 64 counts for a span: a high limit
 * costs no memory, and each token comes back up to 1/64 of `perMs` late. A changed rate counts what was
 * taken under the old one. A new process begins with a full bucket.
 */
import type { WebhookId } from "../domain/TypeId.ts"
import type { Rate, Webhook } from "../domain/Webhook.ts"

/** The tokens of one webhook or tenant. Times are epoch milliseconds. */
export interface Bucket {
  /** Takes tokens, one if nothing is said, if there are so many. */
  readonly take: (rate: Rate, now: number, tokens?: number) => boolean
  /** Puts the token back that was taken last, where no attempt came of it. */
  readonly putBack: () => void
  /** Counts the tokens that are there. */
  readonly left: (rate: Rate, now: number) => number
  /**
   * Tells when so many tokens will be there again, one if nothing is said: now, where they are. They are
   * to be no more than the limit.
   */
  readonly nextAt: (rate: Rate, now: number, tokens?: number) => number
  /** Tells whether every token is back. */
  readonly isFull: (now: number) => boolean
}

/** Makes a full bucket. */
export const make = (): Bucket => {
  const counts: Array<Count> = []
  let taken = 0
  let fullAt = 0

  const expire = ({ perMs }: Rate, now: number) => {
    let expired = 0
    for (const count of counts) {
      // A clock that went back must not hold tokens for as long as it went.
      count.lastAt = Math.min(count.lastAt, now)
      if (count.lastAt + perMs > now) break
      taken -= count.tokens
      expired++
    }
    if (expired > 0) counts.splice(0, expired)
  }
  const left = (rate: Rate, now: number) => {
    expire(rate, now)
    return Math.max(0, rate.limit - taken)
  }

  return {
    take: (rate, now, tokens = 1) => {
      if (left(rate, now) < tokens) return false
      taken += tokens
      fullAt = now + rate.perMs
      const last = counts.at(-1)
      if (last === undefined || now - last.firstAt > rate.perMs / countsMax) {
        counts.push({ firstAt: now, lastAt: now, tokens })
      } else {
        last.lastAt = now
        last.tokens += tokens
      }
      return true
    },
    putBack: () => {
      const last = counts.at(-1)
      if (last === undefined) return
      taken--
      if (--last.tokens === 0) counts.pop()
    },
    left,
    nextAt: (rate, now, tokens = 1) => {
      if (left(rate, now) >= tokens) return now
      let missing = taken - rate.limit + tokens
      for (const count of counts) {
        missing -= count.tokens
        if (missing <= 0) return count.lastAt + rate.perMs
      }
      return now
    },
    isFull: (now) => now >= fullAt
  }
}

/** Keeps the bucket of a lane that leaves for the next one, and drops those that are full again. */
export const leave = (
  buckets: Map<WebhookId, Bucket>,
  webhook: Webhook,
  bucket: Bucket,
  now: number
): void => {
  buckets.delete(webhook.id)
  for (const [id, other] of buckets) if (other.isFull(now)) buckets.delete(id)
  if (!bucket.isFull(now)) buckets.set(webhook.id, bucket)
}

/** Tokens that were taken within a short time. */
interface Count {
  readonly firstAt: number
  lastAt: number
  tokens: number
}

const countsMax = 64
