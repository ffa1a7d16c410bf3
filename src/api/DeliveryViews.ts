/**
 * Deliveries and their attempts as every answer shows them.
 */
import * as Schema from "effect/Schema"
import { AttemptClass } from "../domain/Attempt.ts"
import { DeliveryStatus } from "../domain/Delivery.ts"
import { AttemptId, DeliveryId, MessageId, WebhookId } from "../domain/TypeId.ts"
import { BodyEncoding } from "./Fields.ts"
import { Instant } from "./Instant.ts"

/** A delivery as every answer shows it. */
export const DeliveryView = Schema.Struct({
  id: DeliveryId,
  messageId: MessageId,
  webhookId: WebhookId,
  type: Schema.String,
  status: DeliveryStatus,
  attempts: Schema.Int.annotate({ description: "Attempts made so far" }),
  nextAttemptAt: Schema.NullOr(Instant),
  lastStatusCode: Schema.NullOr(Schema.Int),
  lastClass: Schema.NullOr(Schema.String),
  createdAt: Instant,
  settledAt: Schema.NullOr(Instant),
  reason: Schema.NullOr(Schema.Literal("expired")).annotate({
    description: "Why it was cancelled by the engine: the message's expiresAt is over"
  })
}).annotate({ identifier: "Delivery" })
export type DeliveryView = typeof DeliveryView.Type

/** An attempt as every answer shows it; `responseBody` only when it was asked for. */
export const AttemptView = Schema.Struct({
  id: AttemptId,
  deliveryId: DeliveryId,
  webhookId: WebhookId,
  number: Schema.Int,
  startedAt: Instant,
  durationMs: Schema.Finite,
  class: AttemptClass,
  statusCode: Schema.NullOr(Schema.Int),
  error: Schema.NullOr(Schema.String),
  advice: Schema.NullOr(
    Schema.String.annotate({ description: "What whoever owns the receiver can do about it" })
  ),
  responseHeaders: Schema.NullOr(Schema.Record(Schema.String, Schema.String)),
  responseTruncated: Schema.Boolean,
  responseBody: Schema.optionalKey(Schema.NullOr(Schema.String)),
  responseBodyEncoding: Schema.optionalKey(Schema.NullOr(BodyEncoding)),
  nextAttemptAt: Schema.NullOr(Instant),
  settled: Schema.NullOr(Schema.Literals(["delivered", "exhausted"]))
}).annotate({ identifier: "Attempt" })
export type AttemptView = typeof AttemptView.Type

/** What was asked of the receiver. */
export const RequestView = Schema.Struct({
  exact: Schema.Boolean.annotate({
    description:
      "False when the webhook's URL, headers, auth, settings or secrets were changed since: it is shown as it would be sent today, unsigned"
  }),
  method: Schema.String,
  url: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String).annotate({
    description: "With the signature; credentials are masked, those of `auth` left out"
  })
}).annotate({ identifier: "Request" })
export type RequestView = typeof RequestView.Type

/** An attempt with what was asked of the receiver, and in words. */
export const AttemptDetail = Schema.Struct({
  ...AttemptView.fields,
  explanation: Schema.String.annotate({ description: "What came of it, for people" }),
  request: Schema.NullOr(RequestView)
}).annotate({ identifier: "AttemptDetail" })
export type AttemptDetail = typeof AttemptDetail.Type

/** A delivery with its last attempt, and in words. */
export const DeliveryDetail = Schema.Struct({
  ...DeliveryView.fields,
  explanation: Schema.String.annotate({
    description: "How it stands and what comes next, for people"
  }),
  lastAttempt: Schema.NullOr(AttemptDetail)
}).annotate({ identifier: "DeliveryDetail" })
export type DeliveryDetail = typeof DeliveryDetail.Type
