/**
 * What answers show of a webhook, with its secret or without.
 */
import * as Schema from "effect/Schema"
import { AuthEncoded } from "../domain/Auth.ts"
import { Format, Method } from "../domain/Format.ts"
import { OnFailure } from "../domain/OnFailure.ts"
import { Ordering } from "../domain/Ordering.ts"
import { Signature } from "../domain/Signature.ts"
import { Template } from "../domain/Template.ts"
import { WebhookId } from "../domain/TypeId.ts"
import {
  CircuitState,
  ClientErrors,
  DisabledReason,
  Rate,
  WebhookSettings,
  WebhookStatus
} from "../domain/Webhook.ts"
import { Instant } from "./Instant.ts"

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
