/**
 * What is said of a webhook to register, replace or change it, and to rotate its secret.
 */
import * as Schema from "effect/Schema"
import { Auth } from "../domain/Auth.ts"
import { EventTypePattern } from "../domain/EventType.ts"
import { Filter } from "../domain/Filter.ts"
import { Format, Method } from "../domain/Format.ts"
import { OnFailure } from "../domain/OnFailure.ts"
import { Ordering } from "../domain/Ordering.ts"
import { RequestHeaders } from "../domain/RequestHeaders.ts"
import { AnySecretText } from "../domain/Secret.ts"
import { Signature } from "../domain/Signature.ts"
import { Template } from "../domain/Template.ts"
import { WebhookId } from "../domain/TypeId.ts"
import {
  CircuitSettings,
  ClientErrors,
  Rate,
  WebhookSettings,
  WebhookStatus
} from "../domain/Webhook.ts"
import { CallerUid, Channel } from "./Fields.ts"
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
