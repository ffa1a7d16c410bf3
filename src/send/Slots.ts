/**
 * Shares out the attempts that may be under way at once: over all webhooks, and over those of one tenant.
 *
 * Webhooks that wait are served in turn. What waits for room of its tenant takes none of what all share.
 */
import { type Effect, PartitionedSemaphore } from "effect"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"

/** Gives each lane its share. */
export interface Slots {
  readonly enter: (webhook: Webhook) => Slot
}

/** What the attempts of one lane run in. */
export interface Slot {
  /** Runs an attempt once there is room for it. */
  readonly run: <A, E, R>(attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Ends the share of a lane without an attempt under way. */
  readonly leave: () => void
}

/** How many attempts may be under way at once. */
export interface SlotsOptions {
  /** Attempts at once, over all webhooks, shared out evenly. 512 by default. */
  readonly inFlightMax?: number
  /** Of these over the webhooks of one tenant. As many by default. */
  readonly tenantInFlightMax?: number
}

/** Makes the slots of an engine. */
export const make = ({
  inFlightMax = 512,
  tenantInFlightMax = inFlightMax
}: SlotsOptions): Slots => {
  const all = PartitionedSemaphore.makeUnsafe<WebhookId>({ permits: inFlightMax })
  const tenants = new Map<TenantId, Share>()

  return {
    enter: ({ id, tenantId }) => {
      const inAll = all.withPermit(id)
      if (tenantInFlightMax >= inFlightMax) return { run: inAll, leave: () => undefined }
      const share = tenants.get(tenantId) ?? {
        slots: PartitionedSemaphore.makeUnsafe<WebhookId>({ permits: tenantInFlightMax }),
        lanes: 0
      }
      tenants.set(tenantId, share)
      share.lanes++
      const inTenant = share.slots.withPermit(id)
      return {
        run: (attempt) => inTenant(inAll(attempt)),
        leave: () => {
          if (--share.lanes === 0) tenants.delete(tenantId)
        }
      }
    }
  }
}

/** What the lanes of a tenant share. */
interface Share {
  readonly slots: PartitionedSemaphore.PartitionedSemaphore<WebhookId>
  lanes: number
}
