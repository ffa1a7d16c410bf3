/**
 * Deliveries and their attempts over HTTP: read, redeliver, cancel.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { DeliveryNotFound, DeliveryStateConflict, DeliveryStatus } from "../domain/Delivery.ts"
import { WebhookNotFound } from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { StreamEvent, StreamsBusy } from "./DeliveryEvents.ts"
import { AttemptDetail, DeliveryDetail, DeliveryView } from "./DeliveryViews.ts"
import { Include, Ref } from "./Fields.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

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
    HttpApiEndpoint.get("stream", "/stream", {
      query: {
        webhook: Schema.optionalKey(Ref),
        type: Schema.optionalKey(Text(256)),
        status: Schema.optionalKey(DeliveryStatus)
      },
      success: HttpApiSchema.StreamSse({ data: StreamEvent }),
      error: [StreamsBusy, WebhookNotFound]
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Follow what happens: attempts and changes of state")
      .annotate(
        OpenApi.Description,
        "Server-Sent Events from now on, with a comment every 15 seconds. A reader that is too slow misses the oldest and is told how many, in an event `missed`. Changes of webhooks come only where neither `type` nor `status` narrows the stream. It ends after an hour and at shutdown: connect again."
      ),
    HttpApiEndpoint.get("get", "/:id", { params, success: DeliveryDetail, error: DeliveryNotFound })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get a delivery"),
    HttpApiEndpoint.get("attempts", "/:id/attempts", {
      params,
      query: { include: Include },
      success: PageOf(AttemptDetail),
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
