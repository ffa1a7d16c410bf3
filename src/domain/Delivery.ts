/**
 * One message owed to one webhook.
 *
 * ```
 *  pending ──► delivered
 *     │  ╲
 *     │   ╲──► waiting ──► delivered | exhausted
 *     ▼          ▲ ▼
 *  exhausted     held            pending, waiting and held may be cancelled
 * ```
 *
 * `held` is not stored: it is `pending` or `waiting` while all sending is held, the webhook is paused or
 * disabled, or its circuit is not closed. `delivered`, `exhausted` and `cancelled` are final until someone redelivers.
 */
import * as Schema from "effect/Schema"
import { problem } from "./Problem.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "./TypeId.ts"

/** The states of a delivery; see the drawing above. */
export const DeliveryStatus = Schema.Literals([
  "pending",
  "waiting",
  "held",
  "delivered",
  "exhausted",
  "cancelled"
])
export type DeliveryStatus = typeof DeliveryStatus.Type

/** Tells whether nothing more will be sent unless someone redelivers. */
export const isFinal = (status: DeliveryStatus): boolean =>
  status === "delivered" || status === "exhausted" || status === "cancelled"

/** A delivery as lists show it. */
export interface Delivery {
  readonly id: DeliveryId
  readonly tenantId: TenantId
  readonly messageId: MessageId
  readonly webhookId: WebhookId
  readonly type: string
  readonly status: DeliveryStatus
  /** Attempts made so far. */
  readonly attempts: number
  /** Epoch milliseconds of the next attempt, or null when none is planned. */
  readonly nextAttemptAt: number | null
  readonly lastStatusCode: number | null
  readonly lastClass: string | null
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds at which it became final, or null. */
  readonly settledAt: number | null
  /** Why the engine cancelled it: its message was worth sending no longer. */
  readonly reason?: "expired"
}

/** No delivery of the tenant has this id. */
export class DeliveryNotFound extends problem<DeliveryNotFound>()("DeliveryNotFound", {
  code: "delivery_not_found",
  status: 404,
  title: "No such delivery"
}) {}

/** The delivery is not in a state in which this can be done. */
export class DeliveryStateConflict extends problem<DeliveryStateConflict>()(
  "DeliveryStateConflict",
  {
    code: "delivery_state_conflict",
    status: 409,
    title: "The delivery is in another state"
  },
  { deliveryStatus: DeliveryStatus }
) {}
