/**
 * Bulk redeliveries over HTTP: start, watch, cancel.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { IdempotencyConflict } from "../domain/Message.ts"
import {
  RedeliverableStatus,
  RedeliveriesBusy,
  RedeliveryFinished,
  RedeliveryNotFound,
  RedeliveryState
} from "../domain/Redelivery.ts"
import { RedeliveryId, WebhookId } from "../domain/TypeId.ts"
import { WebhookNotFound } from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { IdempotencyKey, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

/** Which deliveries shall be redelivered: those that meet every condition given. */
export const RedeliveryInput = Schema.Struct({
  webhook: Schema.optionalKey(Ref),
  type: Schema.optionalKey(Text(256)),
  status: Schema.optionalKey(
    RedeliverableStatus.annotate({ description: "`exhausted` when absent" })
  ),
  after: Schema.optionalKey(Instant),
  before: Schema.optionalKey(Instant),
  dryRun: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Count what would be redelivered, and change nothing" })
  )
}).annotate({ identifier: "RedeliveryInput" })
export type RedeliveryInput = typeof RedeliveryInput.Type

/** A bulk redelivery as every answer shows it. */
export const RedeliveryView = Schema.Struct({
  id: RedeliveryId,
  state: RedeliveryState,
  matched: Schema.Int.annotate({ description: "Deliveries found; it grows while `counting`" }),
  done: Schema.Int.annotate({ description: "Deliveries redelivered so far" }),
  webhookId: Schema.NullOr(WebhookId),
  type: Schema.NullOr(Schema.String),
  status: RedeliverableStatus,
  after: Schema.NullOr(Instant),
  before: Schema.NullOr(Instant),
  dryRun: Schema.Boolean,
  createdAt: Instant,
  updatedAt: Instant,
  finishedAt: Schema.NullOr(Instant)
}).annotate({ identifier: "Redelivery" })
export type RedeliveryView = typeof RedeliveryView.Type

const params = { id: Schema.String.annotate({ description: "The id of a redelivery" }) }

/** The endpoints below `/v1/redeliveries`. */
export class RedeliveriesApi extends HttpApiGroup.make("redeliveries")
  .add(
    HttpApiEndpoint.post("create", "/", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: RedeliveryInput,
      success: RedeliveryView.pipe(HttpApiSchema.status(202)),
      error: [WebhookNotFound, IdempotencyConflict, RedeliveriesBusy]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Redeliver many settled deliveries, each once")
      .annotate(
        OpenApi.Description,
        "Starts a job that first counts and then redelivers what was made before it, at a bounded rate. It goes on after a restart."
      ),
    HttpApiEndpoint.get("list", "/", { query: PageQuery, success: PageOf(RedeliveryView) })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List bulk redeliveries"),
    HttpApiEndpoint.get("get", "/:id", {
      params,
      success: RedeliveryView,
      error: RedeliveryNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get a bulk redelivery"),
    HttpApiEndpoint.post("cancel", "/:id/cancel", {
      params,
      success: RedeliveryView,
      error: [RedeliveryNotFound, RedeliveryFinished]
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Cancel a bulk redelivery; what it redelivered stays so")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1/redeliveries")
  .annotate(OpenApi.Title, "Redeliveries") {}
