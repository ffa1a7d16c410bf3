/**
 * What a message writes and to whom it is owed, decided just before its commit.
 */
import type { Webhook } from "../domain/Webhook.ts"
import { deliveryOf, type MessageId } from "../domain/TypeId.ts"
import type { Router, Routing } from "../route/Router.ts"
import type { Lanes } from "../send/Lanes.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import type { NewMessage } from "../store/MessageRepo.ts"
import type { Draft } from "./Draft.ts"

/** A message on its way into a commit. */
export interface Pending {
  readonly draft: Draft
  readonly destination: Webhook | undefined
  readonly id: MessageId
  readonly body: Uint8Array
  readonly data: () => unknown
  readonly digest: Uint8Array
  readonly createdAt: number
}

/** What one message writes, and those of its deliveries that memory has room for. */
export interface Plan {
  readonly row: NewMessage
  readonly held: ReadonlyArray<DueDelivery>
}

/** Plans what a message writes: routes it, and reserves room for its deliveries that are due at once. */
export const plan = (
  { body, createdAt, data, destination, digest, draft, id }: Pending,
  router: Router["Service"],
  lanes: Lanes["Service"]
): Plan => {
  const { channels = none, deliverAt = null, expiresAt = null, orderingKey = null } = draft
  const { resource, type } = draft
  const { decisions, wanted } =
    destination === undefined
      ? router.route(draft.tenantId, { type, resource, channels, data })
      : only(destination)
  const message = {
    id,
    type,
    contentType: typeof draft.data === "string" ? "application/json" : draft.data.contentType,
    body,
    orderingKey,
    expiresAt,
    createdAt
  }
  const laterAt = deliverAt !== null && deliverAt > createdAt ? deliverAt : null
  const held: Array<DueDelivery> = []
  const deliveries = wanted.map((webhook: Webhook, i) => {
    const delivery: DueDelivery = {
      id: deliveryOf(id, i + 1),
      tenantId: draft.tenantId,
      webhookId: webhook.id,
      attempts: 0,
      tries: 0,
      orderingKey: webhook.settings.ordering === "none" ? null : orderingKey,
      message
    }
    const reserved = laterAt === null && lanes.reserve(webhook, delivery)
    if (reserved) held.push(delivery)
    return {
      id: delivery.id,
      webhookId: webhook.id,
      dueAt: reserved ? null : (laterAt ?? createdAt),
      orderingKey: delivery.orderingKey
    }
  })
  return {
    held,
    row: {
      message: {
        ...message,
        tenantId: draft.tenantId,
        uid: draft.uid,
        resource,
        channels,
        deliverAt,
        fanOut: wanted.length
      },
      digest,
      idempotencyKey: draft.idempotencyKey,
      decisions,
      deliveries
    }
  }
}

/** Routes to the one webhook that the message names. */
const only = (webhook: Webhook): Routing => ({
  wanted: [webhook],
  decisions: [{ webhookId: webhook.id, reason: "adHoc", clause: null }]
})

/** Tells whether a message has deliveries that stand in the order of its key. */
export const isOrdered = ({ row }: Plan): boolean =>
  row.message.orderingKey !== null && row.deliveries.some((one) => one.orderingKey !== null)

const none: ReadonlyArray<string> = []
