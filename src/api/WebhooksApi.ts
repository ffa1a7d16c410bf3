/**
 * Webhooks over HTTP: register, read, change, remove, pause and resume, and their secrets.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Auth, AuthEncoded } from "../domain/Auth.ts"
import { EventTypePattern } from "../domain/EventType.ts"
import { Filter } from "../domain/Filter.ts"
import { Format, Method } from "../domain/Format.ts"
import { IdempotencyConflict } from "../domain/Message.ts"
import { OnFailure } from "../domain/OnFailure.ts"
import { Ordering } from "../domain/Ordering.ts"
import { RequestHeaders } from "../domain/RequestHeaders.ts"
import { AnySecretText } from "../domain/Secret.ts"
import { Signature } from "../domain/Signature.ts"
import { Template } from "../domain/Template.ts"
import { WebhookId } from "../domain/TypeId.ts"
import {
  CircuitSettings,
  CircuitState,
  ClientErrors,
  DisabledReason,
  Rate,
  SecretUnreadable,
  UrlNotAllowed,
  WebhookNotFound,
  WebhookSettings,
  WebhookStatus,
  WebhookUidTaken
} from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { CallerUid, Channel, IdempotencyKey, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

/** The most event types, resources, channels and metadata entries of one webhook. */
export const webhookLimits = {
  eventTypes: 250,
  resources: 250,
  channels: 250,
  metadata: 50
} as const

/** Null says the same as leaving it out of a webhook that is new, and in a patch goes back to that. */
const orDefault = <S extends Schema.Top>(field: S, message?: string) =>
  Schema.optionalKey(
    message === undefined
      ? Schema.NullOr(field)
      : Schema.NullOr(field.annotate({ message })).annotate({ message })
  )

/** What an answer says and nobody sets: it may be sent back with the rest. */
const told = Schema.optionalKey(Schema.Unknown.annotate({ description: "Read only: ignored" }))

const CircuitInput = Schema.Struct({
  failures: Schema.optionalKey(Schema.toEncoded(CircuitSettings.fields.failures)),
  openMs: Schema.optionalKey(Schema.toEncoded(CircuitSettings.fields.openMs)),
  openMsMax: Schema.optionalKey(Schema.toEncoded(CircuitSettings.fields.openMsMax)),
  state: told
})

/** What every write of a webhook may name; the settings in their short form, defaults left out. */
const optional = {
  uid: orDefault(CallerUid),
  name: orDefault(Text(256)),
  description: orDefault(Text(2_048)),
  metadata: orDefault(
    Schema.Record(
      Schema.String.check(
        Schema.isPattern(/^(?!__proto__$)[\x20-\x7e]{1,64}$/u, {
          message: "Expected a key of 1 to 64 printable ASCII characters"
        })
      ),
      Text(512)
    ).check(Schema.isMaxProperties(webhookLimits.metadata))
  ),
  eventTypes: orDefault(
    Schema.Array(EventTypePattern).check(Schema.isMaxLength(webhookLimits.eventTypes))
  ),
  resources: orDefault(
    Schema.Array(Schema.Struct({ type: Text(256), id: Schema.optionalKey(Text(256)) })).check(
      Schema.isMaxLength(webhookLimits.resources)
    )
  ),
  channels: orDefault(
    Schema.Array(Channel)
      .check(Schema.isMaxLength(webhookLimits.channels))
      .annotate({ description: "Only messages that carry one of them; all when empty" })
  ),
  filter: orDefault(
    Filter.annotate({
      description:
        'A condition on `data` that a message has to meet, such as {"amount": {"$gt": 100}}'
    })
  ),
  headers: orDefault(
    RequestHeaders.annotate({ description: "A masked value stands for the one that is there" })
  ),
  auth: orDefault(
    Auth.annotate({
      identifier: "AuthInput",
      description: "Says who calls, besides the signature; a masked credential stays as it is"
    }),
    "Expected an auth whose kind is none, basic, bearer, header, oauth2 or mtls"
  ),
  format: orDefault(Format.annotate({ description: "json when absent" })),
  method: orDefault(
    Method.annotate({
      description: "POST when absent or null, and GET for the format query"
    })
  ),
  template: orDefault(
    Template.annotate({
      description:
        "For chats: the text, or parts of it, with placeholders such as {type} and {data.amount}; " +
        "made from the message when absent or null"
    })
  ),
  signature: orDefault(
    Signature.annotate({ identifier: "SignatureInput" }),
    "Expected a signature by its name, or in hex with a header"
  ),
  traceHeaders: orDefault(
    Schema.Boolean.annotate({
      description:
        "Whether requests carry a traceparent, whose trace id is the message's; false when absent"
    })
  ),
  timeoutMs: orDefault(Schema.toEncoded(WebhookSettings.fields.timeoutMs)),
  retry: orDefault(Schema.toEncoded(WebhookSettings.fields.retry)),
  clientErrors: orDefault(
    ClientErrors.annotate({
      description: "What a 4xx other than 408, 410, 425 and 429 means; retry when absent"
    })
  ),
  onFailure: orDefault(
    OnFailure.annotate({
      description:
        "What follows from a failure of each class, before clientErrors and the defaults: retry, " +
        "exhaust the delivery, exhaust it and disable the webhook, or keep it and pause the webhook"
    })
  ),
  concurrency: orDefault(Schema.toEncoded(WebhookSettings.fields.concurrency)),
  rate: orDefault(
    Rate.annotate({
      description: "At most `limit` attempts begin within any `perMs`; none when absent or null"
    })
  ),
  ordering: orDefault(
    Ordering.annotate({
      description:
        "key: one attempt at a time for each orderingKey, in the order of acceptance; for messages " +
        "accepted from then on. After an exhausted delivery those behind it are held until someone " +
        "redelivers or cancels it, or go on with onExhausted park"
    })
  ),
  circuit: orDefault(CircuitInput),
  disableAfter: orDefault(Schema.toEncoded(WebhookSettings.fields.disableAfter)),
  alertAt: orDefault(Schema.toEncoded(WebhookSettings.fields.alertAt))
}

/** What answers say besides; `id` and `status` have to be those that there are. */
const answered = {
  id: Schema.optionalKey(
    WebhookId.annotate({ description: "Read only: expected to be that of the webhook" })
  ),
  status: Schema.optionalKey(
    WebhookStatus.annotate({
      description: "Read only: expected to be that of the webhook; pause and resume change it"
    })
  ),
  adHoc: told,
  certificates: told,
  unreadable: told,
  disabledReason: told,
  consecutiveFailures: told,
  lastSuccessAt: told,
  lastFailureAt: told,
  createdAt: told,
  updatedAt: told
}

const Url = Text(2_048).annotate({
  description:
    "https, or http where the service allows it; for the format query with placeholders such as " +
    "{data.user.id} in its path and query"
})

/** A webhook to be registered, or to replace one. */
export const WebhookInput = Schema.Struct({
  url: Url,
  ...optional,
  ...answered,
  secret: Schema.optionalKey(
    AnySecretText.annotate({
      description:
        "whsec_… for all signatures, whsk_… (Ed25519) for standard ones, another text for those in " +
        "hex; whsec_… is generated when absent; a changed one rotates"
    })
  )
}).annotate({ identifier: "WebhookInput" })
export type WebhookInput = typeof WebhookInput.Type

/** The fields of a webhook to be changed; null takes each but the URL back to its default. */
export const WebhookPatch = Schema.Struct({
  url: Schema.optionalKey(Url),
  ...optional,
  ...answered
}).annotate({ identifier: "WebhookPatch" })
export type WebhookPatch = typeof WebhookPatch.Type

/** A certificate of a webhook's `auth`. */
export const CertificateView = Schema.Struct({
  use: Schema.Literals(["client", "ca"]),
  subject: Schema.String,
  issuer: Schema.String,
  validFrom: Instant,
  expiresAt: Instant
}).annotate({ identifier: "Certificate" })

const view = {
  id: WebhookId,
  uid: Schema.NullOr(Schema.String),
  name: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  metadata: Schema.Record(Schema.String, Schema.String),
  url: Schema.String.annotate({ description: "In lists its credentials are masked" }),
  eventTypes: Schema.Array(Schema.String),
  resources: Schema.Array(
    Schema.Struct({ type: Schema.String, id: Schema.optionalKey(Schema.String) })
  ),
  channels: Schema.Array(Schema.String),
  filter: Schema.NullOr(Schema.Record(Schema.String, Schema.Json)),
  headers: Schema.Record(Schema.String, Schema.String).annotate({
    description: "Values that may be credentials are masked"
  }),
  auth: AuthEncoded.annotate({ identifier: "Auth", description: "Its credential is masked" }),
  certificates: Schema.Array(CertificateView),
  unreadable: Schema.Array(Schema.Literals(["auth", "headers"])).annotate({
    description: "What the service has no key for; deliveries wait meanwhile"
  }),
  format: Format,
  method: Method,
  template: Schema.NullOr(Template),
  signature: Signature,
  traceHeaders: Schema.Boolean,
  timeoutMs: Schema.Int,
  retry: Schema.toType(WebhookSettings.fields.retry),
  clientErrors: ClientErrors,
  onFailure: OnFailure,
  concurrency: Schema.Int,
  rate: Schema.NullOr(Rate),
  ordering: Ordering,
  circuit: Schema.Struct({
    failures: Schema.Int,
    openMs: Schema.Int,
    openMsMax: Schema.Int,
    state: CircuitState
  }),
  disableAfter: Schema.toType(WebhookSettings.fields.disableAfter),
  alertAt: Schema.Array(Schema.Int),
  adHoc: Schema.Boolean.annotate({
    description: "Whether it came with a message, and gets only messages that name it"
  }),
  status: WebhookStatus,
  disabledReason: Schema.NullOr(DisabledReason),
  consecutiveFailures: Schema.Int,
  lastSuccessAt: Schema.NullOr(Instant),
  lastFailureAt: Schema.NullOr(Instant),
  createdAt: Instant,
  updatedAt: Instant
}

/** A webhook as every answer shows it: everything but its secrets. */
export const WebhookView = Schema.Struct(view).annotate({ identifier: "Webhook" })
export type WebhookView = typeof WebhookView.Type

const secretView = {
  secret: Schema.String.annotate({ description: "In full" }),
  publicKey: Schema.optionalKey(
    Schema.String.annotate({
      description: "`whpk_…`: what receivers verify with where the secret is a private key"
    })
  )
}

/** A webhook just registered, with its secret. */
export const WebhookCreated = Schema.Struct({ ...view, ...secretView }).annotate({
  identifier: "WebhookCreated"
})
export type WebhookCreated = typeof WebhookCreated.Type

/** A secret in full. */
export const SecretView = Schema.Struct(secretView).annotate({ identifier: "Secret" })
export type SecretView = typeof SecretView.Type

/** What a rotation may say. The former secret signs on for the grace period. */
export const RotateInput = Schema.Struct({
  secret: Schema.optionalKey(
    AnySecretText.annotate({
      description: "Generated when absent: whsk_… where the former one was that, else whsec_…"
    })
  ),
  gracePeriodSeconds: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 * 86_400 })).annotate({
      description: `How long the former secret signs on; ${86_400} when absent`
    })
  )
}).annotate({ identifier: "RotateInput" })

const params = { id: Ref }
const created = WebhookCreated.pipe(HttpApiSchema.status(201))

/** The endpoints below `/v1/webhooks`. */
export class WebhooksApi extends HttpApiGroup.make("webhooks")
  .add(
    HttpApiEndpoint.post("create", "/", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: WebhookInput,
      success: created,
      error: [WebhookUidTaken, IdempotencyConflict, UrlNotAllowed, SecretUnreadable]
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
      error: [WebhookNotFound, WebhookUidTaken, UrlNotAllowed, SecretUnreadable]
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
