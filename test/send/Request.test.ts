/**
 * What goes on the wire, byte for byte and header for header.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Redacted, Result, Schema } from "effect"
import type { Refused } from "../../src/domain/Attempt.ts"
import * as Secret from "../../src/domain/Secret.ts"
import { SignatureName } from "../../src/domain/Signature.ts"
import { deliveryOf, fromUuid, toUuid } from "../../src/domain/TypeId.ts"
import { version } from "../../src/domain/Version.ts"
import { fieldsOf, healthy, type Webhook, WebhookSettings } from "../../src/domain/Webhook.ts"
import { pairOf } from "../../src/send/Ed25519.ts"
import type { HttpRequest } from "../../src/send/HttpSender.ts"
import { build } from "../../src/send/Request.ts"
import { Signer } from "../../src/send/Signer.ts"
import type { DueDelivery, OutgoingMessage } from "../../src/store/DeliveryQueue.ts"
import { verify, verifyHex } from "../../src/verify.ts"
import { published, raw } from "./formats/Samples.ts"

const now = 1_700_000_000_999
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

const webhookOf = (
  settings: typeof WebhookSettings.Encoded = {},
  rest: Partial<Pick<Webhook, "headers" | "unreadable" | "url">> & { readonly secret?: string } = {}
): Webhook => ({
  id: fromUuid("webhook", "01890a5d-ac96-774b-bcce-b302099a8058"),
  tenantId: fromUuid("tenant", "01890a5d-ac96-774b-bcce-b302099a8059"),
  ...fieldsOf(rest.url ?? "https://receiver.example/hook"),
  headers: rest.headers ?? {},
  settings: Schema.decodeSync(WebhookSettings)(settings),
  status: "enabled",
  disabledReason: null,
  health: healthy,
  adHoc: null,
  unreadable: rest.unreadable ?? [],
  secrets: [
    {
      id: fromUuid("secret", "01890a5d-ac96-774b-bcce-b302099a805a"),
      key: Redacted.make(Option.getOrThrow(Secret.decodeAny(rest.secret ?? secret))),
      createdAt: 0,
      expiresAt: null
    }
  ],
  createdAt: 0,
  updatedAt: 0,
  configuredAt: 0
})

const attempt = Effect.fnUntraced(function* (
  webhook: Webhook,
  message: OutgoingMessage,
  attempts = 0
) {
  const delivery: DueDelivery = {
    id: deliveryOf(message.id, 1),
    tenantId: webhook.tenantId,
    webhookId: webhook.id,
    attempts,
    tries: attempts,
    orderingKey: null,
    message
  }
  return build(webhook, new URL(webhook.url), delivery, now, yield* Signer)
}, Effect.provide(Signer.layer))

const request = (...args: Parameters<typeof attempt>): Effect.Effect<HttpRequest, Refused> =>
  Effect.flatMap(attempt(...args), Effect.fromResult)

const textOf = (body: Uint8Array | null) => new TextDecoder().decode(body ?? new Uint8Array())

const isVerified = ({ body, headers }: HttpRequest, key: string) =>
  verify({ secret: key, headers, body: body ?? "", nowSeconds: now / 1000 }).ok

describe("build", () => {
  it.effect("posts the stored bytes with the headers of Standard Webhooks", () =>
    Effect.gen(function* () {
      const message = published(`{"amount":1.0}`)
      const { headers, ...sent } = yield* request(webhookOf(), message, 2)
      const { "webhook-signature": signature, ...rest } = headers
      assert.deepStrictEqual(
        { ...sent, url: sent.url.href },
        {
          url: "https://receiver.example/hook",
          method: "POST",
          body: message.body,
          timeoutMs: 15_000
        }
      )
      assert.strictEqual(sent.body, message.body)
      assert.deepStrictEqual(rest, {
        "content-type": "application/json",
        "user-agent": `Posthaste/${version}`,
        "webhook-id": message.id,
        "webhook-timestamp": "1700000000",
        "posthaste-attempt": "3"
      })
      assert.match(signature ?? "", /^v1,/)
      assert.isTrue(isVerified({ headers, ...sent }, secret))
    })
  )

  it.effect("sends bytes of any content type as they are, and by the method that is set", () =>
    Effect.gen(function* () {
      const message = raw("application/octet-stream", new Uint8Array([0, 255, 123]))
      for (const method of ["POST", "PUT", "PATCH"] as const) {
        const sent = yield* request(webhookOf({ method, timeoutMs: 50 }), message)
        assert.strictEqual(sent.method, method)
        assert.strictEqual(sent.body, message.body)
        assert.strictEqual(sent.headers["content-type"], "application/octet-stream")
        assert.strictEqual(sent.timeoutMs, 50)
        assert.isTrue(isVerified(sent, secret))
      }
    })
  )

  it.effect("signs what the format made, not what was published", () =>
    Effect.gen(function* () {
      const message = published(`{"amount":100}`)
      const chats = [
        ["slack", "https://hooks.slack.com/services/a"],
        ["discord", "https://discord.com/api/webhooks/1/a"],
        ["telegram", "https://api.telegram.org/bot1:a/sendMessage?chat_id=1"]
      ] as const
      for (const [format, url] of chats) {
        const sent = yield* request(webhookOf({ format }, { url }), message)
        assert.strictEqual(sent.method, "POST", format)
        assert.strictEqual(sent.headers["content-type"], "application/json", format)
        assert.include(textOf(sent.body), "100", format)
        assert.notDeepEqual(sent.body, message.body, format)
        assert.isTrue(isVerified(sent, secret), format)
      }
    })
  )

  it.effect("renders the webhook's template", () =>
    Effect.gen(function* () {
      const webhook = webhookOf(
        { format: "slack", template: "{type}: {data.amount}" },
        { url: "https://hooks.slack.com/services/a" }
      )
      const sent = yield* request(webhook, published(`{"amount":100}`))
      assert.deepStrictEqual(JSON.parse(textOf(sent.body)), { text: "invoice.paid: 100" })
    })
  )

  it.effect("puts the data in the URL of a GET without a body, and signs the empty one", () =>
    Effect.gen(function* () {
      const webhook = webhookOf({ format: "query" }, { url: "https://a.example/{data.user}?k=1" })
      const sent = yield* request(webhook, published(`{"user":"u 1","n":5}`))
      assert.strictEqual(sent.url.href, "https://a.example/u%201?k=1&n=5")
      assert.strictEqual(sent.method, "GET")
      assert.isNull(sent.body)
      assert.notProperty(sent.headers, "content-type")
      assert.isTrue(isVerified(sent, secret))
      const posted = yield* request(
        webhookOf({ format: "query", method: "POST" }, { url: webhook.url }),
        published(`{"user":"u"}`)
      )
      assert.deepInclude(posted, { method: "POST", body: null })
    })
  )

  it.effect("never leaves the origin of the webhook's URL, whatever the data says", () =>
    Effect.gen(function* () {
      const url = "https://a.example/x/{data.a}/{data.b}?c={data.c}"
      for (const nasty of [
        "//b.example",
        "@b.example",
        "../../..",
        "\\\\b",
        "#",
        "a/b",
        "\r\n",
        ":1"
      ]) {
        const data = JSON.stringify({ a: nasty, b: nasty, c: nasty, [nasty]: nasty })
        const sent = yield* attempt(webhookOf({ format: "query" }, { url }), published(data))
        if (Result.isFailure(sent)) assert.strictEqual(sent.failure.rule, "format")
        else assert.match(sent.success.url.href, /^https:\/\/a\.example\/x\/[^/]+\/[^/]+\?c=/)
      }
    })
  )

  it.effect("refuses a message of which the format can make nothing, and names the rule", () =>
    Effect.gen(function* () {
      for (const format of ["slack", "discord", "query"] as const) {
        const refused = yield* Effect.flip(
          request(webhookOf({ format }), raw("text/plain", "hello"))
        )
        assert.deepInclude(refused, { _tag: "Refused", rule: "format" })
        assert.include(refused.detail, format)
      }
      const refused = yield* Effect.flip(request(webhookOf({ method: "GET" }), published("{}")))
      assert.strictEqual(refused.rule, "format")
    })
  )

  it.effect("signs in the headers that the webhook names, with its own secret's kind", () =>
    Effect.gen(function* () {
      const message = published(`{"amount":1}`)
      const sharedText = "another sender's secret"
      for (const signature of SignatureName.literals) {
        const isHex = signature !== "standard" && signature !== "svix"
        const key = isHex ? sharedText : secret
        const { body, headers } = yield* request(webhookOf({ signature }, { secret: key }), message)
        const nowSeconds = now / 1000
        const result = isHex
          ? verifyHex({ signature, secret: key, headers, body: body!, nowSeconds })
          : verify({ secret: key, headers, body: body!, nowSeconds })
        assert.isTrue(result.ok, signature)
        assert.deepInclude(headers, { "webhook-id": message.id, "webhook-timestamp": "1700000000" })
        if (isHex) assert.notProperty(headers, "webhook-signature")
      }
      const pair = pairOf(new Uint8Array(Secret.ed25519Bytes.seed).fill(9))
      const kept = Secret.keepEd25519(pair)
      const sent = yield* request(webhookOf({}, { secret: Secret.encode(kept) }), message)
      assert.match(sent.headers["webhook-signature"] ?? "", /^v1a,/)
      assert.isTrue(isVerified(sent, Option.getOrThrow(Secret.publicKey(kept))))
    })
  )

  it.effect("sends a webhook's own headers, but none that the engine or the signature sets", () =>
    Effect.gen(function* () {
      const headers = {
        Authorization: "Bearer a",
        "content-type": "text/plain",
        "user-agent": "mine",
        "webhook-id": "mine",
        "Webhook-Signature": "mine",
        "Posthaste-Attempt": "9",
        Traceparent: "mine",
        HOST: "mine",
        "X-Forwarded-For": "mine",
        "x-signature": "mine",
        "X-TIMESTAMP": "mine"
      }
      const sent = yield* request(webhookOf({ signature: "hex" }, { headers }), published("{}"))
      const { Authorization, ...rest } = sent.headers
      assert.strictEqual(Authorization, "Bearer a")
      assert.notInclude(Object.values(rest), "mine")
      assert.deepStrictEqual(
        Object.keys(rest)
          .map((name) => name.toLowerCase())
          .toSorted(),
        [
          "content-type",
          "posthaste-attempt",
          "user-agent",
          "webhook-id",
          "webhook-timestamp",
          "x-event-type",
          "x-signature",
          "x-signature-256",
          "x-timestamp"
        ]
      )
      assert.strictEqual(rest["content-type"], "application/json")
      assert.strictEqual(rest["posthaste-attempt"], "1")
    })
  )

  it.effect("carries a trace only where the webhook asks for one, a span for each attempt", () =>
    Effect.gen(function* () {
      const message = published("{}")
      const traceOf = (webhook: Webhook, attempts: number) =>
        Effect.map(request(webhook, message, attempts), ({ headers }) => headers["traceparent"])
      const silent = yield* request(webhookOf(), message)
      for (const name of Object.keys(silent.headers)) assert.notMatch(name, /^(?:trace|b3|baggage)/)
      const asking = webhookOf({ traceHeaders: true })
      const first = yield* traceOf(asking, 0)
      const trace = toUuid(message.id).replaceAll("-", "")
      assert.match(first ?? "", new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`))
      assert.strictEqual(yield* traceOf(asking, 0), first)
      assert.notStrictEqual(yield* traceOf(asking, 1), first)
    })
  )

  it.effect("makes nothing of a webhook of which a part cannot be read", () =>
    Effect.gen(function* () {
      for (const part of ["auth", "headers"] as const) {
        const exit = yield* Effect.exit(
          request(webhookOf({}, { unreadable: [part] }), published("{}"))
        )
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), part)
      }
    })
  )
})
