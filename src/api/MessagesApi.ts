/**
 * Messages over HTTP: publish, read.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { MessageRefused } from "../domain/EventType.ts"
import {
  IdempotencyConflict,
  MessageNotFound,
  MessageUidConflict,
  Overloaded
} from "../domain/Message.ts"
import { RoutingReason } from "../domain/Routing.ts"
import { SecretText } from "../domain/Secret.ts"
import { BatchOverLimit, RateLimited } from "../domain/Tenant.ts"
import { DeliveryId, MessageId, WebhookId } from "../domain/TypeId.ts"
import { ProblemItem } from "../domain/Problem.ts"
import { AdHocLimit, UrlNotAllowed } from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { DeliveryView } from "./DeliveryViews.ts"
import { OwnEventTypeName } from "./EventTypesApi.ts"
import { BodyEncoding, CallerUid, Channel, IdempotencyKey, Include, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { RawBody } from "./RawBody.ts"
import { Text } from "./Text.ts"

/** The most channels of a message, and the most messages of a batch. */
export const messageLimits = { channels: 16, batch: 1_000 } as const

/** What a message is about. */
const Resource = Schema.Struct({ type: Text(256), id: Text(256) })

/** The one destination of a message. */
const DestinationInput = Schema.Struct({
  url: Text(2_048).annotate({ description: "https, or http where the service allows it" }),
  secret: Schema.optionalKey(
    SecretText.annotate({
      description:
        "whsec_… or whsk_…; one is generated for the URL when absent, and shown by the webhook's /secret"
    })
  )
}).annotate({ identifier: "DestinationInput" })
export type DestinationInput = typeof DestinationInput.Type

/** What a publish says around `data`. Names below `posthaste.` are ours. */
const envelope = {
  type: OwnEventTypeName,
  uid: Schema.optionalKey(
    Schema.NullOr(CallerUid).annotate({
      description: "The caller's own id: publishing it again answers the first message"
    })
  ),
  resource: Schema.optionalKey(Schema.NullOr(Resource)),
  orderingKey: Schema.optionalKey(
    Schema.NullOr(Text(256)).annotate({
      description: "Webhooks that ask for order get messages with one key in their order"
    })
  ),
  channels: Schema.optionalKey(
    Schema.Array(Channel)
      .check(Schema.isMaxLength(messageLimits.channels))
      .annotate({ description: "Webhooks that name channels get only messages with one of theirs" })
  ),
  deliverAt: Schema.optionalKey(
    Schema.NullOr(Instant).annotate({ description: "Nothing is sent before" })
  ),
  expiresAt: Schema.optionalKey(
    Schema.NullOr(Instant).annotate({ description: "Nothing is sent from then on" })
  ),
  webhook: Schema.optionalKey(
    Schema.NullOr(DestinationInput).annotate({
      description:
        "Sends to this destination alone, and to no registered webhook. It becomes an ad-hoc " +
        "webhook, the same for each message with this url and secret"
    })
  )
}

/** A message to be published. */
export const PublishInput = Schema.Struct({
  ...envelope,
  data: Schema.Json.annotate({ description: "Any JSON; receivers get it as it was written" })
}).annotate({ identifier: "PublishInput" })
export type PublishInput = typeof PublishInput.Type

/** The same as the server checks it: `data` must be there and is not walked. */
export const PublishShape = Schema.Struct({ ...envelope, data: Schema.Unknown })

const rawQuery = {
  type: envelope.type,
  uid: Schema.optionalKey(CallerUid),
  resourceType: Schema.optionalKey(Text(256)),
  resourceId: Schema.optionalKey(Text(256)),
  orderingKey: Schema.optionalKey(Text(256)),
  channels: envelope.channels,
  deliverAt: Schema.optionalKey(Instant),
  expiresAt: Schema.optionalKey(Instant),
  webhookUrl: Schema.optionalKey(
    Text(2_048).annotate({ description: "Sends to this URL alone, and to no registered webhook" })
  )
}
const RawQuery = Schema.Struct(rawQuery)
/** What a raw publish says in its query. */
export type RawQuery = typeof RawQuery.Type

/** A message that was accepted, with the number of webhooks it is owed to. */
export const MessageAccepted = Schema.Struct({
  id: MessageId,
  uid: Schema.NullOr(Schema.String),
  type: Schema.String,
  createdAt: Instant,
  deliveries: Schema.Int
}).annotate({ identifier: "MessageAccepted" })
export type MessageAccepted = typeof MessageAccepted.Type

/** Messages to be published together. */
export const PublishBatchInput = Schema.Struct({
  messages: Schema.Array(PublishInput)
    .check(Schema.isMinLength(1), Schema.isMaxLength(messageLimits.batch))
    .annotate({ description: "Each is accepted or refused on its own" })
}).annotate({ identifier: "PublishBatchInput" })

/** The same as the server checks it: its messages are judged one by one. */
export const PublishBatchShape = Schema.Struct({
  messages: Schema.Array(Schema.Unknown).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(messageLimits.batch)
  )
})

/** What became of the messages of a batch, in their order. */
export const BatchAnswer = Schema.Struct({
  accepted: Schema.Int,
  refused: Schema.Int,
  data: Schema.Array(
    Schema.Union([
      Schema.Struct({
        index: Schema.Int,
        status: Schema.Literal(202),
        message: MessageAccepted
      }),
      Schema.Struct({
        index: Schema.Int,
        status: Schema.Literals([409, 413, 422]),
        problem: Schema.Struct({
          code: Schema.String,
          title: Schema.String,
          detail: Schema.NullOr(Schema.String),
          errors: Schema.Array(ProblemItem)
        })
      })
    ])
  )
}).annotate({ identifier: "BatchAnswer" })
export type BatchAnswer = typeof BatchAnswer.Type

const view = {
  id: MessageId,
  uid: Schema.NullOr(Schema.String),
  type: Schema.String,
  resource: Schema.NullOr(Schema.Struct({ type: Schema.String, id: Schema.String })),
  orderingKey: Schema.NullOr(Schema.String),
  channels: Schema.Array(Schema.String),
  deliverAt: Schema.NullOr(Instant),
  expiresAt: Schema.NullOr(Instant),
  contentType: Schema.String,
  createdAt: Instant,
  body: Schema.optionalKey(
    Schema.String.annotate({ description: "What every receiver gets, only with include=body" })
  ),
  bodyEncoding: Schema.optionalKey(BodyEncoding)
}

/** A message as lists show it, with the number of webhooks it was owed to. */
export const MessageView = Schema.Struct({ ...view, deliveries: Schema.Int }).annotate({
  identifier: "Message"
})
export type MessageView = typeof MessageView.Type

/** A message with its newest deliveries; the cursor continues in `/v1/deliveries?message=…`. */
export const MessageDetail = Schema.Struct({
  ...view,
  deliveries: Schema.Array(DeliveryView),
  deliveriesNextCursor: Schema.NullOr(Schema.String)
}).annotate({ identifier: "MessageDetail" })
export type MessageDetail = typeof MessageDetail.Type

/** Why a webhook got a message or did not. */
export const RoutingView = Schema.Struct({
  webhookId: WebhookId,
  uid: Schema.NullOr(Schema.String),
  name: Schema.NullOr(Schema.String),
  url: Schema.String,
  matched: Schema.Boolean.annotate({ description: "Whether it is owed the message" }),
  reason: Schema.NullOr(RoutingReason).annotate({
    description:
      "What decided; `paused` and `disabled` had their delivery held. Null where too much was decided " +
      "about the message to be kept"
  }),
  clause: Schema.NullOr(Schema.String).annotate({
    description: "Where the filter said no, an RFC 6901 pointer into it"
  }),
  deliveryId: Schema.NullOr(DeliveryId)
}).annotate({ identifier: "Routing" })
export type RoutingView = typeof RoutingView.Type

const refusals = [
  MessageRefused,
  MessageUidConflict,
  IdempotencyConflict,
  UrlNotAllowed,
  AdHocLimit,
  RateLimited,
  Overloaded
] as const

/** The endpoints below `/v1/messages`. */
export class MessagesApi extends HttpApiGroup.make("messages")
  .add(
    HttpApiEndpoint.post("publish", "/", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: PublishInput,
      success: MessageAccepted.pipe(HttpApiSchema.status(202)),
      error: refusals
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "publish")
      .annotate(OpenApi.Summary, "Publish a message"),
    HttpApiEndpoint.post("raw", "/raw", {
      headers: {
        "idempotency-key": Schema.optionalKey(IdempotencyKey),
        "posthaste-webhook-secret": Schema.optionalKey(
          SecretText.annotate({
            description: "Signs for webhookUrl; one is generated for the URL when absent"
          })
        )
      },
      query: rawQuery,
      payload: Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array()),
      success: MessageAccepted.pipe(HttpApiSchema.status(202)),
      error: refusals
    })
      .middleware(RawBody)
      .annotate(RequiredScope, "publish")
      .annotate(OpenApi.Summary, "Publish bytes of any content type, sent as they are")
      .annotate(
        OpenApi.Description,
        "The body is the payload and its content-type is what receivers get. The rest is in the query."
      ),
    HttpApiEndpoint.post("batch", "/batch", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: PublishBatchInput,
      success: BatchAnswer.pipe(HttpApiSchema.status(202)),
      error: [IdempotencyConflict, RateLimited, BatchOverLimit, Overloaded]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "publish")
      .annotate(OpenApi.Summary, "Publish up to 1,000 messages in one commit")
      .annotate(
        OpenApi.Description,
        "Each message is accepted or refused on its own, with its index and the status that it would " +
          "have had alone. The Idempotency-Key counts for the batch as a whole: with another one it is 409. " +
          "A batch that is more than the tenant may publish now is refused as a whole."
      ),
    HttpApiEndpoint.get("list", "/", {
      query: {
        ...PageQuery,
        type: Schema.optionalKey(Text(256)),
        resourceType: Schema.optionalKey(Text(256)),
        resourceId: Schema.optionalKey(Text(256)),
        include: Include
      },
      success: PageOf(MessageView)
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List messages"),
    HttpApiEndpoint.get("get", "/:id", {
      params: { id: Ref },
      query: { include: Include },
      success: MessageDetail,
      error: MessageNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get a message with its deliveries"),
    HttpApiEndpoint.get("routing", "/:id/routing", {
      params: { id: Ref },
      query: { limit: PageQuery.limit, cursor: PageQuery.cursor },
      success: PageOf(RoutingView),
      error: MessageNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Tell why each webhook got a message or did not")
      .annotate(
        OpenApi.Description,
        "Of the webhooks that were there when the message came and still are, newest first."
      )
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1/messages")
  .annotate(OpenApi.Title, "Messages") {}
