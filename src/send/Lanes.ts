/**
 * The lanes of this engine, one per webhook with work, and the hands that feed and stop them.
 */
import { Context, type Effect } from "effect"
import type {
  Delivery,
  DeliveryNotFound,
  DeliveryStateConflict
} from "../domain/Delivery.ts"
import type { DeliveryId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import type { StoreError } from "../store/StoreError.ts"

export class Lanes extends Context.Service<Lanes, {
  /**
   * Reserves room in memory for a delivery that is about to be committed. False when the webhook's
   * lane is full, behind or held: the delivery then waits in the store. Synchronous, for the hot path.
   */
  readonly reserve: (delivery: DueDelivery) => boolean
  /** Gives up reservations whose commit failed or whose outcome is unknown. */
  readonly release: (deliveries: ReadonlyArray<DueDelivery>) => void
  /** Hands over reserved deliveries that are committed. */
  readonly hand: (deliveries: ReadonlyArray<DueDelivery>) => void
  /** Tells a lane that the store has something for it, due at `dueAt` (epoch milliseconds). */
  readonly expect: (webhookId: WebhookId, dueAt: number) => void
  /** Cancels a delivery that is not final; an attempt in flight still ends. */
  readonly cancel: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
  /** Starts a fresh round for a final delivery, now, under the same message id. */
  readonly redeliver: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
  /** Counts what is alive. */
  readonly stats: Effect.Effect<LaneStats>
}>()("posthaste/send/Lanes") {}

/** What the lanes of this engine hold at a moment. */
export interface LaneStats {
  readonly lanes: number
  /** Deliveries in memory, in flight included. */
  readonly held: number
  readonly heldBytes: number
  readonly inFlight: number
}
