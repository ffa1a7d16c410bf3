/**
 * Webhooks over HTTP: register, read, change, remove, pause and resume, and their secrets.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { IdempotencyConflict } from "../domain/Message.ts"
import {
  SecretUnreadable,
  UrlNotAllowed,
  WebhookLimit,
  WebhookNotFound,
  WebhookStatus,
  WebhookUidTaken
} from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { IdempotencyKey, Ref } from "./Fields.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"
import { RotateInput, WebhookInput, WebhookPatch } from "./WebhookInputs.ts"
import { SecretView, WebhookCreated, WebhookView } from "./WebhookViews.ts"

const params = { id: Ref }
const created = WebhookCreated.pipe(HttpApiSchema.status(201))

/** The endpoints below `/v1/webhooks`. */
export class WebhooksApi extends HttpApiGroup.make("webhooks")
  .add(
    HttpApiEndpoint.post("create", "/", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: WebhookInput,
      success: created,
      error: [WebhookUidTaken, WebhookLimit, IdempotencyConflict, UrlNotAllowed, SecretUnreadable]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Register a webhook"),
    HttpApiEndpoint.get("list", "/", {
      query: {
        ...PageQuery,
        status: Schema.optionalKey(WebhookStatus),
        q: Schema.optionalKey(Text(256).annotate({ description: "Part of a name, uid or URL" })),
        adHoc: Schema.optionalKey(
          Schema.Literals(["true", "false"]).annotate({
            description: "true: those that came with messages, instead of registered ones"
          })
        )
      },
      success: PageOf(WebhookView)
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List webhooks"),
    HttpApiEndpoint.get("get", "/:id", { params, success: WebhookView, error: WebhookNotFound })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get a webhook"),
    HttpApiEndpoint.put("put", "/:id", {
      params,
      payload: WebhookInput,
      success: [created, WebhookView],
      error: [WebhookNotFound, WebhookUidTaken, WebhookLimit, UrlNotAllowed, SecretUnreadable]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Replace a webhook, or register it under its uid"),
    HttpApiEndpoint.patch("patch", "/:id", {
      params,
      payload: WebhookPatch,
      success: WebhookView,
      error: [WebhookNotFound, WebhookUidTaken, UrlNotAllowed]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Change fields of a webhook"),
    HttpApiEndpoint.delete("delete", "/:id", {
      params,
      success: HttpApiSchema.NoContent,
      error: WebhookNotFound
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Remove a webhook"),
    HttpApiEndpoint.get("getSecret", "/:id/secret", {
      params,
      success: SecretView,
      error: [WebhookNotFound, SecretUnreadable]
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Show the secret that signs"),
    HttpApiEndpoint.post("rotateSecret", "/:id/rotate-secret", {
      params,
      payload: [RotateInput, HttpApiSchema.NoContent],
      success: SecretView,
      error: [WebhookNotFound, SecretUnreadable]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Replace the secret; the former one signs on for a while"),
    HttpApiEndpoint.post("pause", "/:id/pause", {
      params,
      success: WebhookView,
      error: WebhookNotFound
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Hold all deliveries"),
    HttpApiEndpoint.post("resume", "/:id/resume", {
      params,
      success: WebhookView,
      error: WebhookNotFound
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Deliver again, after a pause or after being disabled")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1/webhooks")
  .annotate(OpenApi.Title, "Webhooks") {}
