/**
 * Answers the endpoints below `/v1/deliveries`.
 */
import { Clock, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { pageRequest } from "../api/Page.ts"
import type { AttemptDetail } from "../api/DeliveryViews.ts"
import type { Attempt } from "../domain/Attempt.ts"
import { type Delivery, DeliveryNotFound, type DeliveryStatus } from "../domain/Delivery.ts"
import { explainAttempt, explainDelivery } from "../domain/Explanation.ts"
import type { Page } from "../domain/Page.ts"
import { DeliveryId, MessageId, parse, type TenantId, WebhookId } from "../domain/TypeId.ts"
import { WebhookNotFound } from "../domain/Webhook.ts"
import { Lanes } from "../send/Lanes.ts"
import { recall } from "../send/Recall.ts"
import { Signer } from "../send/Signer.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { MessageRepo } from "../store/MessageRepo.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { DeliveryStream } from "./DeliveryStream.ts"
import { answered } from "./StoreFaults.ts"
import { attemptView, deliveryView } from "./Views.ts"

export const DeliveriesHandlers = HttpApiBuilder.group(
  Api,
  "deliveries",
  Effect.fn(function* (handlers) {
    const lanes = yield* Lanes
    const log = yield* DeliveryLog
    const messages = yield* MessageRepo
    const signer = yield* Signer
    const stream = yield* DeliveryStream
    const webhooks = yield* WebhookRepo

    const get = Effect.fnUntraced(function* (tenantId: TenantId, text: string) {
      const id = yield* idOf(text)
      const found = yield* log.find(tenantId, id)
      return Option.isSome(found) ? found.value : yield* new DeliveryNotFound()
    })
    // An id is taken as it is: deliveries outlive the webhook they were owed to.
    const webhookIdOf = Effect.fnUntraced(function* (tenantId: TenantId, ref: string) {
      const id = parse(WebhookId, ref)
      if (Option.isSome(id) || !isRef(ref)) return id
      return Option.map(yield* webhooks.find(tenantId, ref), (webhook) => webhook.id)
    })
    const messageIdOf = Effect.fnUntraced(function* (tenantId: TenantId, ref: string) {
      const id = parse(MessageId, ref)
      if (Option.isSome(id) || !isRef(ref)) return id
      return Option.map(yield* messages.find(tenantId, ref), (message) => message.id)
    })

    /** Finds what the attempts of a delivery are shown with: its webhook and its message. */
    const detailsOf = Effect.fnUntraced(function* ({ messageId, tenantId, webhookId }: Delivery) {
      const webhook = Option.getOrUndefined(yield* webhooks.find(tenantId, webhookId))
      const message = Option.getOrUndefined(yield* messages.find(tenantId, messageId))
      const detail = (attempt: Attempt, withBody: boolean): AttemptDetail => ({
        ...attemptView(attempt, withBody),
        explanation: explainAttempt(attempt),
        request:
          webhook === undefined || message === undefined
            ? null
            : Option.getOrNull(recall(attempt, webhook, message, signer))
      })
      return { detail, webhook }
    })

    const open = Effect.fn("DeliveriesHandlers.stream")(function* (query: StreamQuery) {
      const { tenantId } = yield* Caller
      const webhookId =
        query.webhook === undefined ? null : yield* answered(webhookIdOf(tenantId, query.webhook))
      // Nothing would ever come, and nobody would learn why.
      if (isNone(webhookId)) return yield* new WebhookNotFound()
      return yield* stream.open(tenantId, {
        webhookId: webhookId?.value ?? null,
        type: query.type ?? null,
        status: query.status ?? null
      })
    })

    return handlers
      .handleRaw("stream", ({ query }) => open(query))
      .handleAll({
        list: Effect.fn("DeliveriesHandlers.list")(function* ({ query }) {
          const { tenantId } = yield* Caller
          const request = yield* Effect.fromResult(pageRequest(query))
          const webhookId =
            query.webhook === undefined ? null : yield* webhookIdOf(tenantId, query.webhook)
          const messageId =
            query.message === undefined ? null : yield* messageIdOf(tenantId, query.message)
          // A uid that nothing has narrows the list to nothing.
          if (isNone(webhookId) || isNone(messageId)) return emptyPage
          const page = yield* log.list(tenantId, request, {
            webhookId: webhookId?.value ?? null,
            messageId: messageId?.value ?? null,
            type: query.type ?? null,
            status: query.status ?? null,
            statusCodeClass:
              query.statusCodeClass === undefined ? null : Number(query.statusCodeClass[0])
          })
          return { ...page, data: page.data.map(deliveryView) }
        }, answered),

        get: Effect.fn("DeliveriesHandlers.get")(function* ({ params }) {
          const { tenantId } = yield* Caller
          const delivery = yield* get(tenantId, params.id)
          const attempts = yield* log.attempts(tenantId, delivery.id)
          const { detail, webhook } = yield* detailsOf(delivery)
          const last = attempts.at(-1)
          const now = yield* Clock.currentTimeMillis
          return {
            ...deliveryView(delivery),
            explanation: explainDelivery({ delivery, attempts, webhook, now }),
            lastAttempt: last === undefined ? null : detail(last, false)
          }
        }, answered),

        attempts: Effect.fn("DeliveriesHandlers.attempts")(function* ({ params, query }) {
          const { tenantId } = yield* Caller
          const delivery = yield* get(tenantId, params.id)
          const attempts = yield* log.attempts(tenantId, delivery.id)
          const { detail } = yield* detailsOf(delivery)
          return {
            ...emptyPage,
            data: attempts.map((attempt) => detail(attempt, query.include === "body"))
          }
        }, answered),

        redeliver: Effect.fn("DeliveriesHandlers.redeliver")(function* ({ params }) {
          const { tenantId } = yield* Caller
          return deliveryView(yield* lanes.redeliver(tenantId, yield* idOf(params.id)))
        }, answered),

        cancel: Effect.fn("DeliveriesHandlers.cancel")(function* ({ params }) {
          const { tenantId } = yield* Caller
          return deliveryView(yield* lanes.cancel(tenantId, yield* idOf(params.id)))
        }, answered)
      })
  })
)

/** What a stream is asked for. */
interface StreamQuery {
  readonly webhook?: string
  readonly type?: string
  readonly status?: DeliveryStatus
}

const emptyPage: Page<never> = { data: [], nextCursor: null, prevCursor: null }

const idOf = (text: string): Effect.Effect<DeliveryId, DeliveryNotFound> =>
  Option.match(parse(DeliveryId, text), {
    onNone: () => Effect.fail(new DeliveryNotFound()),
    onSome: (id) => Effect.succeed(id)
  })

const isNone = <A>(option: Option.Option<A> | null): option is Option.None<A> =>
  option !== null && Option.isNone(option)
