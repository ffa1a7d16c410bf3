/**
 * Deliveries and their attempts over HTTP: read, redeliver, cancel.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AttemptClass } from "../domain/Attempt.ts"
import { DeliveryNotFound, DeliveryStateConflict, DeliveryStatus } from "../domain/Delivery.ts"
import { AttemptId, DeliveryId, MessageId, WebhookId } from "../domain/TypeId.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { BodyEncoding, Include, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

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
  settledAt: Schema.NullOr(Instant)
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
  responseHeaders: Schema.NullOr(Schema.Record(Schema.String, Schema.String)),
  responseTruncated: Schema.Boolean,
  responseBody: Schema.optionalKey(Schema.NullOr(Schema.String)),
  responseBodyEncoding: Schema.optionalKey(Schema.NullOr(BodyEncoding)),
  nextAttemptAt: Schema.NullOr(Instant),
  settled: Schema.NullOr(Schema.Literals(["delivered", "exhausted"]))
}).annotate({ identifier: "Attempt" })
export type AttemptView = typeof AttemptView.Type

const params = { id: Schema.String.annotate({ description: "The id of a delivery" }) }

/** The endpoints below `/v1/deliveries`. */
export class DeliveriesApi extends HttpApiGroup.make("deliveries")
  .add(
    HttpApiEndpoint.get("list", "/", {
      query: {
        ...PageQuery,
        webhook: Schema.optionalKey(Ref),
        message: Schema.optionalKey(Ref),
        type: Schema.optionalKey(Text(256)),
        status: Schema.optionalKey(DeliveryStatus),
        statusCodeClass: Schema.optionalKey(
          Schema.Literals(["2xx", "3xx", "4xx", "5xx", "2", "3", "4", "5"]).annotate({
            description: "Of the last attempt"
          })
        )
      },
      success: PageOf(DeliveryView)
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List deliveries"),
    HttpApiEndpoint.get("get", "/:id", { params, success: DeliveryView, error: DeliveryNotFound })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get a delivery"),
    HttpApiEndpoint.get("attempts", "/:id/attempts", {
      params,
      query: { include: Include },
      success: PageOf(AttemptView),
      error: DeliveryNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List the attempts of a delivery, first one first"),
    HttpApiEndpoint.post("redeliver", "/:id/redeliver", {
      params,
      success: DeliveryView.pipe(HttpApiSchema.status(202)),
      error: [DeliveryNotFound, DeliveryStateConflict]
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Start a fresh round for a settled delivery"),
    HttpApiEndpoint.post("cancel", "/:id/cancel", {
      params,
      success: DeliveryView,
      error: [DeliveryNotFound, DeliveryStateConflict]
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Cancel a delivery that is still owed")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1/deliveries")
  .annotate(OpenApi.Title, "Deliveries") {}
