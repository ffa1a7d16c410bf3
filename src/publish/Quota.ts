/**
 * Says how many messages of a tenant may be published now.
 *
 * Messages are counted when they are asked for, whatever becomes of them: repetitions and messages that
 * are refused for another reason too. In no five seconds there are more than five seconds' worth, all of
 * which may come at once. What the engine publishes itself, below `posthaste.`, does not count.
 *
 * A tenant without a limit costs one look into a Map.
 */
import { isReserved } from "../domain/EventType.ts"
import { BatchOverLimit, RateLimited } from "../domain/Tenant.ts"
import type { TenantId } from "../domain/TypeId.ts"
import type * as Webhook from "../domain/Webhook.ts"
import * as Rate from "../send/Rate.ts"
import type { TenantRepo } from "../store/TenantRepo.ts"
import type { Draft } from "./Draft.ts"

/** Counts messages, and says why they may not be published: null where they may. */
export interface Quota {
  /** Counts one message at an instant (epoch milliseconds). */
  readonly one: (draft: Draft, now: number) => RateLimited | null
  /** Counts messages that are published together: all of them, or none. */
  readonly all: (drafts: ReadonlyArray<Draft>, now: number) => RateLimited | BatchOverLimit | null
}

/** Makes it, given how many messages a tenant may publish in a second. */
export const make = (perSecondOf: TenantRepo["Service"]["messagesPerSecond"]): Quota => {
  const counted = new Map<TenantId, Counted>()
  let dropAt = keptMin

  const countedOf = (tenantId: TenantId, perSecond: number, now: number): Counted => {
    const known = counted.get(tenantId)
    if (known?.perSecond === perSecond) return known
    if (counted.size >= dropAt) {
      for (const [id, { bucket }] of counted) if (bucket.isFull(now)) counted.delete(id)
      dropAt = Math.max(keptMin, 2 * counted.size)
    }
    const fresh: Counted = {
      perSecond,
      rate: { limit: perSecond * spanSeconds, perMs: spanSeconds * 1_000 },
      // A changed limit counts what was published under the former one.
      bucket: known?.bucket ?? Rate.make(),
      refusals: new Map()
    }
    counted.set(tenantId, fresh)
    return fresh
  }

  const take = (tenantId: TenantId, perSecond: number, messages: number, now: number) => {
    const found = countedOf(tenantId, perSecond, now)
    const { bucket, rate } = found
    return bucket.take(rate, now, messages)
      ? null
      : refusalOf(found, bucket.nextAt(rate, now, messages) - now)
  }

  return {
    one: ({ tenantId, type }, now) => {
      const perSecond = perSecondOf(tenantId)
      return perSecond === null || isReserved(type) ? null : take(tenantId, perSecond, 1, now)
    },
    all: (drafts, now) => {
      const asked = new Map<TenantId, number>()
      for (const { tenantId, type } of drafts) {
        if (!isReserved(type)) asked.set(tenantId, (asked.get(tenantId) ?? 0) + 1)
      }
      for (const [tenantId, messages] of asked) {
        const perSecond = perSecondOf(tenantId)
        if (perSecond === null) continue
        if (messages > perSecond * spanSeconds) {
          return new BatchOverLimit({
            detail: `The batch has ${messages} messages. ${boundOf(perSecond)}`
          })
        }
        const refusal = take(tenantId, perSecond, messages, now)
        if (refusal !== null) return refusal
      }
      return null
    }
  }
}

/** What a tenant with a limit has published of late. */
interface Counted {
  readonly perSecond: number
  readonly rate: Webhook.Rate
  readonly bucket: Rate.Bucket
  /** By seconds. Under a flood a stack trace for each refusal would cost the most. */
  readonly refusals: Map<number, RateLimited>
}

const refusalOf = (found: Counted, waitMs: number): RateLimited => {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1_000))
  const known = found.refusals.get(retryAfterSeconds)
  if (known !== undefined) return known
  const refusal = new RateLimited({ detail: boundOf(found.perSecond), retryAfterSeconds })
  found.refusals.set(retryAfterSeconds, refusal)
  return refusal
}

const boundOf = (perSecond: number): string =>
  `The tenant may publish ${perSecond} messages a second, ${perSecond * spanSeconds} of them at once.`

/** Over how long messages are counted. */
const spanSeconds = 5

/** How many tenants are kept without a look at which of them have rested. */
const keptMin = 1_024
