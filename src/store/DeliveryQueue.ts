/**
 * Deliveries that are still owed, and who holds them.
 *
 * ```
 *             publish, room in a lane                publish, no room
 *                      │                                    │
 *                      ▼              park                  ▼
 *                    owed ─────────────────────────────► waiting ◄──┐ retry (DeliveryLog.settle)
 *                      │                                    │ ──────┘
 *                      └─────────► settled ◄────────────────┘
 * ```
 *
 * A row in `owed` is in some engine's memory; a row in `waiting` is read by its lane when it is due.
 * Nothing is written to claim: the engine that owns the database owns them all. After a crash
 * `recover` turns every owed row into a waiting one that is due at once.
 */
import { Context, type Effect } from "effect"
import type {
  Delivery,
  DeliveryNotFound,
  DeliveryStateConflict
} from "../domain/Delivery.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type { StoreError } from "./StoreError.ts"

export class DeliveryQueue extends Context.Service<DeliveryQueue, {
  /** Makes every owed delivery of an earlier engine due now; answers how many there were. */
  readonly recover: Effect.Effect<number, StoreError>
  /** Reads the earliest due time of every webhook that has waiting deliveries. */
  readonly agenda: Effect.Effect<ReadonlyArray<AgendaEntry>, StoreError>
  /** Reads what is due for one webhook, oldest first, and when more will be. Claims nothing. */
  readonly pull: (request: PullRequest) => Effect.Effect<Pulled, StoreError>
  /** Moves deliveries out of memory: from owed to waiting, due at `dueAt` (epoch milliseconds). */
  readonly park: (
    deliveries: ReadonlyArray<OwedDelivery>,
    dueAt: number
  ) => Effect.Effect<void, StoreError>
  /** Reads every owed delivery, to find those that no memory holds. */
  readonly owed: Effect.Effect<ReadonlyArray<OwedDelivery>, StoreError>
  /** Cancels a delivery that is not final. */
  readonly cancel: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
  /** Starts a fresh round for a final delivery, due now, under the same message id. */
  readonly redeliver: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
}>()("posthaste/store/DeliveryQueue") {}

/** When a webhook's lane has something to read next. */
export interface AgendaEntry {
  readonly webhookId: WebhookId
  /** Epoch milliseconds. */
  readonly dueAt: number
}

/** What a lane asks for. */
export interface PullRequest {
  readonly webhookId: WebhookId
  /** Epoch milliseconds: what is due by then. */
  readonly now: number
  /** The most deliveries to read. */
  readonly limit: number
  /** The most body bytes to read; the first delivery is read whatever its size. */
  readonly bytesMax: number
  /** Deliveries that the lane holds already and that shall not be read again. */
  readonly held: ReadonlySet<DeliveryId>
}

/** What a lane got. */
export interface Pulled {
  readonly deliveries: ReadonlyArray<DueDelivery>
  /** Epoch milliseconds of the earliest delivery that was left, or null when none was. */
  readonly nextDueAt: number | null
}

/** A delivery by its keys alone. */
export interface OwedDelivery {
  readonly id: DeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
}

/** A delivery with all that sending it needs. */
export interface DueDelivery extends OwedDelivery {
  /** Attempts made in all, and in the present round. */
  readonly attempts: number
  readonly tries: number
  readonly message: OutgoingMessage
}

/** The part of a message that goes out. */
export interface OutgoingMessage {
  readonly id: MessageId
  readonly type: string
  readonly contentType: string
  readonly body: Uint8Array
  /** Epoch milliseconds. */
  readonly createdAt: number
}
