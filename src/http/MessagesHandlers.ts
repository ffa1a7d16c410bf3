/**
 * Answers the endpoints below `/v1/messages`.
 *
 * Publishing is the hot path: the body is read and parsed once, its envelope is checked, and the
 * text of `data` is handed on exactly as it was written.
 */
import { Effect, Option, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import * as Instant from "../api/Instant.ts"
import { RequestBody } from "../api/JsonBody.ts"
import type { RawQuery } from "../api/MessagesApi.ts"
import { pageRequest } from "../api/Page.ts"
import type { InvalidInput } from "../api/Problems.ts"
import { RequestBytes } from "../api/RawBody.ts"
import { MessageRefused } from "../domain/EventType.ts"
import { BodyTooLarge, type Message, MessageNotFound } from "../domain/Message.ts"
import { firstPage, pageLimit } from "../domain/Page.ts"
import { UrlNotAllowed } from "../domain/Webhook.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { type Accepted, Publisher, type PublishRefusal } from "../publish/Publisher.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { MessageRepo } from "../store/MessageRepo.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { destinationOf } from "./DestinationInput.ts"
import * as Explanation from "./Explanation.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { elements, scan, slice } from "./JsonSlice.ts"
import { batchShapeOf, draftOf, shapeOf, timely } from "./MessageInput.ts"
import { invalidAt, invalidInput } from "./RequestProblemsLayer.ts"
import { answered, unavailable } from "./StoreFaults.ts"
import { bodyView, deliveryView } from "./Views.ts"

/** Answers with messages whose `data` has at most so many bytes. */
export const MessagesHandlers = (options: { readonly maxBodyBytes: number }) =>
  HttpApiBuilder.group(
    Api,
    "messages",
    Effect.fn(function* (handlers) {
      const tooLarge = (what: string) =>
        new BodyTooLarge({ detail: `${what} is larger than ${options.maxBodyBytes} bytes` })
      const publisher = yield* Publisher
      const messages = yield* MessageRepo
      const log = yield* DeliveryLog

      const explain = yield* Explanation.make
      const messageAt = Effect.fnUntraced(function* (tenantId: TenantId, ref: string) {
        const found = isRef(ref) ? yield* messages.find(tenantId, ref) : Option.none()
        return Option.isSome(found) ? found.value : yield* new MessageNotFound()
      })

      const raw = Effect.fnUntraced(
        function* (query: RawQuery, idempotencyKey: string | null, secret: string | undefined) {
          const { tenantId } = yield* Caller
          const { bytes, contentType } = yield* RequestBytes
          const { resourceId, resourceType, uid = null, webhookUrl, ...rest } = query
          if ((resourceType === undefined) !== (resourceId === undefined)) {
            return yield* invalidAt(
              resourceType === undefined ? "/query/resourceType" : "/query/resourceId",
              "Expected both, resourceType and resourceId"
            )
          }
          yield* timely(query, "/query")
          if (secret !== undefined && webhookUrl === undefined) {
            return yield* invalidAt("/query/webhookUrl", "Expected the URL that the secret is for")
          }
          if (bytes.length > options.maxBodyBytes) return yield* tooLarge("The body")
          const accepted = yield* publisher.publish({
            ...rest,
            tenantId,
            uid,
            resource:
              resourceType === undefined || resourceId === undefined
                ? null
                : { type: resourceType, id: resourceId },
            data: { contentType, bytes },
            idempotencyKey,
            ...(webhookUrl === undefined
              ? {}
              : {
                  destination: yield* Effect.fromResult(
                    destinationOf(
                      { url: webhookUrl, ...(secret === undefined ? {} : { secret }) },
                      "/headers/posthaste-webhook-secret"
                    )
                  )
                })
          })
          return acceptedResponse(accepted)
        },
        Effect.catchTag("UrlNotAllowed", inQuery),
        unavailable
      )

      const publish = Effect.fnUntraced(function* (idempotencyKey: string | null) {
        const { tenantId } = yield* Caller
        const body = yield* RequestBody
        const shape = shapeOf(body.json)
        if (Result.isFailure(shape)) return yield* invalidInput(shape.failure.issue)
        const data = body.slice("data") ?? "null"
        // No text has more bytes than the body that it is a part of.
        if (
          body.bytes.length > options.maxBodyBytes &&
          Buffer.byteLength(data) > options.maxBodyBytes
        ) {
          return yield* tooLarge("data")
        }
        yield* timely(shape.success, "")
        const draft = { tenantId, data, idempotencyKey }
        const accepted = yield* publisher.publish(
          yield* Effect.fromResult(draftOf(draft, shape.success, ""))
        )
        reach("publish.answering")
        return acceptedResponse(accepted)
      }, unavailable)

      /** Judges the message of a batch that stands at a place. */
      const draftAt = Effect.fnUntraced(function* (
        tenantId: TenantId,
        { index, key, text, value }: Place
      ) {
        const prefix = `/messages/${index}`
        const shape = shapeOf(value)
        if (Result.isFailure(shape)) return yield* invalidInput(shape.failure.issue, prefix)
        const data = slice(text, scan(text), "data") ?? "null"
        if (Buffer.byteLength(data) > options.maxBodyBytes) return yield* tooLarge("data")
        yield* timely(shape.success, prefix)
        // No caller can give a key with a line break.
        const idempotencyKey = key === null ? null : `${key}\n${index}`
        return yield* Effect.fromResult(
          draftOf({ tenantId, data, idempotencyKey }, shape.success, prefix)
        )
      })

      const batch = Effect.fnUntraced(function* (
        idempotencyKey: string | undefined,
        request: HttpServerRequest.HttpServerRequest
      ) {
        const { tenantId } = yield* Caller
        const body = yield* RequestBody
        const shape = batchShapeOf(body.json)
        if (Result.isFailure(shape)) return yield* invalidInput(shape.failure.issue)
        const texts = elements(body.slice("messages") ?? "[]")
        const keyed = yield* idempotencyOf(idempotencyKey, request)
        const key = keyed?.key ?? null
        const judged = yield* Effect.forEach(shape.success.messages, (value, index) =>
          Effect.result(draftAt(tenantId, { index, key, value, text: texts[index] ?? "null" }))
        )
        const drafts = judged.flatMap((one) => (Result.isSuccess(one) ? [one.success] : []))
        const results = yield* publisher.publishAll(
          drafts,
          keyed === null ? undefined : { ...keyed, tenantId }
        )
        reach("publish.batch_answering")
        let next = 0
        const data = judged.map((one, index) => {
          if (Result.isFailure(one)) return problemAt(index, one.failure)
          const result = results[next++]!
          return Result.isSuccess(result)
            ? { index, status: 202 as const, message: result.success }
            : problemAt(index, result.failure)
        })
        const accepted = data.filter(({ status }) => status === 202).length
        return { accepted, refused: data.length - accepted, data }
      }, answered)

      return handlers
        .handleRaw("publish", ({ headers }) => publish(headers["idempotency-key"] ?? null))
        .handleRaw("raw", ({ headers, query }) =>
          raw(query, headers["idempotency-key"] ?? null, headers["posthaste-webhook-secret"])
        )
        .handleRaw("batch", ({ headers, request }) => batch(headers["idempotency-key"], request))
        .handleAll({
          list: Effect.fn("MessagesHandlers.list")(function* ({ query }) {
            const { tenantId } = yield* Caller
            const withBody = query.include === "body"
            const request = yield* Effect.fromResult(pageRequest(query))
            const page = yield* messages.list(tenantId, request, {
              type: query.type ?? null,
              resourceType: query.resourceType ?? null,
              resourceId: query.resourceId ?? null,
              includeBody: withBody
            })
            return {
              ...page,
              data: page.data.map((message) => ({
                ...messageView(message, withBody),
                deliveries: message.fanOut
              }))
            }
          }, answered),

          routing: Effect.fn("MessagesHandlers.routing")(function* ({ params, query }) {
            const { tenantId } = yield* Caller
            const message = yield* messageAt(tenantId, params.id)
            const request = yield* Effect.fromResult(
              pageRequest({ ...query, before: message.createdAt + 1 })
            )
            return yield* explain(message, request)
          }, answered),

          get: Effect.fn("MessagesHandlers.get")(function* ({ params, query }) {
            const { tenantId } = yield* Caller
            const message = yield* messageAt(tenantId, params.id)
            const deliveries = yield* log.list(
              tenantId,
              { ...firstPage, limit: pageLimit.max },
              {
                webhookId: null,
                messageId: message.id,
                type: null,
                status: null,
                statusCodeClass: null
              }
            )
            return {
              ...messageView(message, query.include === "body"),
              deliveries: deliveries.data.map(deliveryView),
              deliveriesNextCursor: deliveries.nextCursor
            }
          }, answered)
        })
    })
  )

/** Names the place of a URL that was refused as a raw request gives it. */
const inQuery = ({ detail, errors }: UrlNotAllowed) =>
  Effect.fail(
    new UrlNotAllowed({
      ...(detail === undefined ? {} : { detail }),
      errors: errors.map(({ message }) => ({ pointer: "/query/webhookUrl", message }))
    })
  )

/** A message of a batch: its place, its value and its text, and the key of the batch. */
interface Place {
  readonly index: number
  readonly key: string | null
  readonly value: unknown
  readonly text: string
}

const problemAt = (index: number, refusal: PublishRefusal | InvalidInput) => {
  const { code, detail = null, status, title } = refusal
  const isOfMessage = refusal instanceof MessageRefused || refusal instanceof UrlNotAllowed
  const prefix = isOfMessage ? `/messages/${index}` : ""
  const errors = "errors" in refusal ? refusal.errors : []
  return {
    index,
    status,
    problem: {
      code,
      title: title ?? code,
      detail,
      errors: errors.map(({ message, pointer }) => ({ pointer: `${prefix}${pointer}`, message }))
    }
  }
}

/** Prints the answer by hand, as its parts are known to need no escapes but the uid. */
const acceptedResponse = (accepted: Accepted): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(
    `{"id":"${accepted.id}","uid":${JSON.stringify(accepted.uid)},"type":"${accepted.type}",` +
      `"createdAt":"${Instant.format(accepted.createdAt)}","deliveries":${accepted.deliveries}}`,
    { status: 202, contentType: "application/json" }
  )

const messageView = (message: Message, withBody: boolean) => {
  const body = withBody ? bodyView(message.body) : undefined
  return {
    id: message.id,
    uid: message.uid,
    type: message.type,
    resource: message.resource,
    orderingKey: message.orderingKey,
    channels: message.channels,
    deliverAt: message.deliverAt,
    expiresAt: message.expiresAt,
    contentType: message.contentType,
    createdAt: message.createdAt,
    ...(body === undefined ? {} : { body: body.text, bodyEncoding: body.encoding })
  }
}
