/**
 * Counts attempts in memory, by webhook, by tenant and by minute. Synchronous, for the hot path; it
 * holds as much as there are webhooks with attempts since it was last taken.
 */
import type { Attempt } from "../domain/Attempt.ts"
import type { Tally } from "../domain/Stats.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"

/** What was counted for one webhook in one minute. */
export interface Counted extends Tally {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  /** Epoch milliseconds of the minute in which the attempts began. */
  readonly minute: number
}

/** A counter. */
export interface Counter {
  readonly count: (attempt: Attempt) => void
  /** Takes out all that was counted; undefined when nothing was. */
  readonly take: () => ReadonlyArray<Counted> | undefined
  /** Adds again what could not be kept. */
  readonly giveBack: (counted: ReadonlyArray<Counted>) => void
}

/** Makes a counter that stands at nothing. */
export const make = (): Counter => {
  let counts = new Map<string, Mutable>()
  const at = (tenantId: TenantId, webhookId: WebhookId, minute: number): Mutable => {
    const key = `${webhookId}${minute}`
    let one = counts.get(key)
    if (one === undefined) {
      one = { tenantId, webhookId, minute, attempts: 0, delivered: 0, exhausted: 0 }
      counts.set(key, one)
    }
    return one
  }
  return {
    count: ({ settled, startedAt, tenantId, webhookId }) => {
      const one = at(tenantId, webhookId, startedAt - (startedAt % 60_000))
      one.attempts++
      if (settled !== null) one[settled]++
    },
    take: () => {
      if (counts.size === 0) return undefined
      const taken = [...counts.values()]
      counts = new Map()
      return taken
    },
    giveBack: (counted) => {
      for (const { attempts, delivered, exhausted, minute, tenantId, webhookId } of counted) {
        const one = at(tenantId, webhookId, minute)
        one.attempts += attempts
        one.delivered += delivered
        one.exhausted += exhausted
      }
    }
  }
}

type Mutable = { -readonly [K in keyof Counted]: Counted[K] }
