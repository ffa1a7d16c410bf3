/**
 * What `GET /v1/deliveries/stream` tells, one JSON object an event. Its `kind` is the event's name
 * too, so that a browser's EventSource can listen for one kind.
 */
import * as Schema from "effect/Schema"
import { DeliveryStatus } from "../domain/Delivery.ts"
import { problem } from "../domain/Problem.ts"
import { WebhookId } from "../domain/TypeId.ts"
import { DisabledReason, WebhookStatus } from "../domain/Webhook.ts"
import { AttemptView, DeliveryView } from "./DeliveryViews.ts"
import { Instant } from "./Instant.ts"

/** An attempt that was made, the type of its message, and the state it left the delivery in. */
export const AttemptEvent = Schema.Struct({
  kind: Schema.Literal("attempt"),
  type: Schema.String,
  status: DeliveryStatus,
  attempt: AttemptView
}).annotate({ identifier: "AttemptEvent" })

/** A delivery that someone cancelled or redelivered. */
export const DeliveryEvent = Schema.Struct({
  kind: Schema.Literal("delivery"),
  delivery: DeliveryView
}).annotate({ identifier: "DeliveryEvent" })

/** A webhook that was registered, paused, resumed, disabled or deleted. */
export const WebhookEvent = Schema.Struct({
  kind: Schema.Literal("webhook"),
  webhookId: WebhookId,
  status: Schema.Union([WebhookStatus, Schema.Literal("deleted")]),
  disabledReason: Schema.NullOr(DisabledReason),
  at: Instant
}).annotate({ identifier: "WebhookEvent" })

/** So many events were dropped here, because they came faster than they were read. */
export const MissedEvent = Schema.Struct({
  kind: Schema.Literal("missed"),
  missed: Schema.Int
}).annotate({ identifier: "MissedEvent" })

/** One event of the stream. */
export const StreamEvent = Schema.Union([AttemptEvent, DeliveryEvent, WebhookEvent, MissedEvent])
export type StreamEvent = typeof StreamEvent.Type

/** As many streams are open as may be. */
export class StreamsBusy extends problem<StreamsBusy>()(
  "StreamsBusy",
  { code: "streams_busy", status: 503, title: "Too many streams are open; try again" },
  { retryAfterSeconds: Schema.Int }
) {}
