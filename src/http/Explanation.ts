/**
 * Says why each webhook got a message or did not.
 *
 * What was decided is kept with the message, deliveries say who got it, and for whom there is neither
 * its event types wanted another type: so nothing is guessed from what a webhook wants today. Webhooks
 * that were made later or are gone are left out. A message that named its one destination asked no other.
 */
import { Effect, Option } from "effect"
import type { RoutingView } from "../api/MessagesApi.ts"
import type { Delivery } from "../domain/Delivery.ts"
import { wants } from "../domain/EventType.ts"
import type { Message } from "../domain/Message.ts"
import { decodeCursor, firstPage, pageLimit, type Page, type PageRequest } from "../domain/Page.ts"
import { decisionsMax } from "../domain/Routing.ts"
import type { DeliveryId, WebhookId } from "../domain/TypeId.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { MessageRepo } from "../store/MessageRepo.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"

/** Makes the explanation of a message over a page of its tenant's webhooks. */
export const make = Effect.gen(function* () {
  const log = yield* DeliveryLog
  const messages = yield* MessageRepo
  const webhooks = yield* WebhookRepo

  /** Finds the deliveries of a message by their webhooks. */
  const deliveriesOf = Effect.fnUntraced(function* ({ id, tenantId }: Message) {
    const found = new Map<WebhookId, DeliveryId>()
    let request: PageRequest | null = { ...firstPage, limit: pageLimit.max }
    while (request !== null) {
      const page: Page<Delivery> = yield* log.list(tenantId, request, {
        webhookId: null,
        messageId: id,
        type: null,
        status: null,
        statusCodeClass: null
      })
      for (const delivery of page.data) found.set(delivery.webhookId, delivery.id)
      const cursor: string | null = page.nextCursor
      request =
        cursor === null ? null : { ...request, cursor: Option.getOrNull(decodeCursor(cursor)) }
    }
    return found
  })

  return Effect.fnUntraced(function* (message: Message, request: PageRequest) {
    const decisions = yield* messages.decisions(message.tenantId, message.id)
    const adHoc = decisions.find(({ reason }) => reason === "adHoc")
    const page = yield* webhooks.list(message.tenantId, request, {
      status: null,
      text: null,
      adHoc: adHoc?.webhookId ?? false
    })
    const deliveries = yield* deliveriesOf(message)
    const decided = new Map(decisions.map((decision) => [decision.webhookId, decision]))
    const data = page.data.map(({ eventTypes, id, name, uid, url }): RoutingView => {
      const deliveryId = deliveries.get(id) ?? null
      const decision = decided.get(id)
      const isUntold = decisions.length >= decisionsMax && wants(eventTypes, message.type)
      return {
        webhookId: id,
        uid,
        name,
        url,
        matched: deliveryId !== null,
        reason:
          (adHoc ?? decision)?.reason ??
          (deliveryId !== null ? "matched" : isUntold ? null : "type"),
        clause: decision?.clause ?? null,
        deliveryId
      }
    })
    const explained: Page<RoutingView> = { ...page, data }
    return explained
  })
})
