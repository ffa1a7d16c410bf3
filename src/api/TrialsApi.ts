/**
 * Trying a webhook out over HTTP: send it one example, or look how far a connection to it comes.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AttemptClass } from "../domain/Attempt.ts"
import { EventTypeName } from "../domain/EventType.ts"
import { MessageId } from "../domain/TypeId.ts"
import { SecretUnreadable, TrialsBusy, WebhookNotFound } from "../domain/Webhook.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { AttemptView } from "./DeliveryViews.ts"
import { BodyEncoding, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { RequestProblems } from "./Problems.ts"

/** What an example is to be. */
export const TestInput = Schema.Struct({
  type: Schema.optionalKey(
    EventTypeName.annotate({
      description:
        "The event type whose example of the catalogue is sent, or data that says it is a test where " +
        "there is none; posthaste.test when absent"
    })
  )
}).annotate({ identifier: "TestInput" })

/** What came of an example. */
export const WebhookTested = Schema.Struct({
  ...AttemptView.fields,
  messageId: MessageId.annotate({ description: "The webhook-id that was sent; nothing is stored" }),
  type: Schema.String,
  explanation: Schema.String.annotate({
    description: "What happened, and what a delivery would make of it"
  }),
  request: Schema.NullOr(
    Schema.Struct({
      method: Schema.String,
      url: Schema.String.annotate({ description: "Without its query" }),
      headerNames: Schema.Array(Schema.String),
      body: Schema.NullOr(Schema.String),
      bodyEncoding: Schema.NullOr(BodyEncoding)
    })
  ).annotate({ description: "null: no request could be made" })
}).annotate({ identifier: "WebhookTested" })
export type WebhookTested = typeof WebhookTested.Type

const ms = Schema.NullOr(Schema.Int)

/** How far a connection to a webhook's URL came. */
export const WebhookChecked = Schema.Struct({
  ok: Schema.Boolean.annotate({ description: "Nothing stands in the way of a delivery" }),
  checkedAt: Instant,
  warnings: Schema.Array(Schema.String),
  failure: Schema.NullOr(Schema.Struct({ class: AttemptClass, detail: Schema.String })),
  dns: Schema.Struct({
    verdict: Schema.Literals(["allowed", "refused", "failed"]),
    rule: Schema.NullOr(Schema.String).annotate({ description: "What refuses the address" }),
    addresses: Schema.Array(Schema.String).annotate({
      description: "All that were judged; none where one of them is refused"
    })
  }),
  egress: Schema.Literals(["direct", "proxy", "proxy_failing"]),
  tls: Schema.NullOr(
    Schema.Struct({
      protocol: Schema.String,
      daysToExpiry: Schema.Int.annotate({ description: "Of the certificate that ends first" }),
      chain: Schema.Array(
        Schema.Struct({
          subject: Schema.String,
          issuer: Schema.String,
          validFrom: Instant,
          validUntil: Instant
        })
      )
    })
  ),
  http: Schema.NullOr(
    Schema.Struct({
      version: Schema.String,
      statusCode: Schema.Int.annotate({ description: "To HEAD; a delivery may get another" }),
      redirectHost: Schema.NullOr(Schema.String)
    })
  ),
  latency: Schema.Struct({
    dnsMs: ms,
    connectMs: ms,
    tlsMs: ms,
    answerMs: ms,
    totalMs: ms
  })
}).annotate({ identifier: "WebhookChecked" })
export type WebhookChecked = typeof WebhookChecked.Type

const params = { id: Ref }

/** The endpoints that try a webhook out. */
export class TrialsApi extends HttpApiGroup.make("trials")
  .add(
    HttpApiEndpoint.post("test", "/:id/test", {
      params,
      payload: [TestInput, HttpApiSchema.NoContent],
      success: WebhookTested,
      error: [WebhookNotFound, SecretUnreadable, TrialsBusy]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Send one example now")
      .annotate(
        OpenApi.Description,
        "Signed and sent as a delivery is, also to a webhook that is paused. It is not written down and counts for no health."
      ),
    HttpApiEndpoint.post("check", "/:id/check", {
      params,
      success: WebhookChecked,
      error: [WebhookNotFound, TrialsBusy]
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Look what stands in the way of deliveries")
      .annotate(
        OpenApi.Description,
        "Opens a connection as a delivery does and sends HEAD: no body, no secret, none of the webhook's headers. Any status shows that the receiver speaks HTTP."
      )
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1/webhooks")
  .annotate(OpenApi.Title, "Trying webhooks out") {}
