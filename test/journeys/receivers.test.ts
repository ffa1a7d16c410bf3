/**
 * Whole stories with receivers of other kinds: chats, URLs, and those that know another signature.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { keepEd25519, publicKey } from "../../src/domain/Secret.ts"
import { pairOf } from "../../src/send/Ed25519.ts"
import { Ids } from "../../src/store/Ids.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"

const journey = <A, E>(
  name: string,
  story: () => Effect.Effect<A, E, TestEngine | TestSender | WebhookRepo | Ids>
) => it.effect(name, () => story().pipe(Effect.provide(TestEngine.layer())))

const jsonOf = (body: Uint8Array | null) => JSON.parse(new TextDecoder().decode(body!))

describe("a receiver", () => {
  journey("of each format gets the same message in its own form", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const discord = "https://discord.com/api/webhooks/1/a"
      const slack = "https://hooks.slack.com/services/a"
      const telegram = "https://api.telegram.org/bot1:a/sendMessage"
      yield* engine.webhook("https://json.example/")
      yield* engine.webhook(discord, { settings: { format: "discord" } })
      yield* engine.webhook(slack, { settings: { format: "slack", template: "{data.amount} due" } })
      yield* engine.webhook(telegram, {
        settings: { format: "telegram", template: { chatId: "{data.chat}" } }
      })
      yield* engine.webhook("https://query.example/{data.chat}", { settings: { format: "query" } })
      const message = yield* engine.publish("invoice.paid", { amount: 100, chat: -7 })
      yield* TestClock.adjust(0)

      const deliveries = yield* engine.deliveries(message.id)
      assert.deepStrictEqual(
        deliveries.map(({ status }) => status),
        Array.from({ length: 5 }, () => "delivered")
      )
      const [json] = yield* network.sent("https://json.example/")
      assert.deepInclude(jsonOf(json!.body), { id: message.id, type: "invoice.paid" })
      const [embed] = jsonOf((yield* network.sent(discord))[0]!.body).embeds
      assert.strictEqual(embed.title, "Invoice paid")
      assert.deepStrictEqual(jsonOf((yield* network.sent(slack))[0]!.body), { text: "100 due" })
      assert.deepInclude(jsonOf((yield* network.sent(telegram))[0]!.body), { chat_id: "-7" })
      const query = (yield* network.sent()).find(({ url }) => url.startsWith("https://query"))
      assert.deepInclude(query, {
        method: "GET",
        url: "https://query.example/-7?amount=100",
        body: null
      })
    })
  )

  journey("that a message cannot be told to costs one attempt without a request", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook("https://query.example/users/{data.user}", {
        settings: { format: "query" }
      })
      const impossible = yield* engine.publish("user.seen", { user: ".." })
      const possible = yield* engine.publish("user.seen", { user: "u" })
      yield* TestClock.adjust("90 hours")
      const [refused] = yield* engine.deliveries(impossible.id)
      assert.deepInclude(refused, { status: "exhausted", attempts: 1, lastClass: "blocked" })
      const [attempt] = yield* engine.attempts(refused!.id)
      assert.include(attempt?.error, "URL")
      assert.strictEqual((yield* engine.deliveries(possible.id))[0]?.status, "delivered")
      assert.deepStrictEqual(
        (yield* network.sent()).map(({ url }) => url),
        ["https://query.example/users/u"]
      )
    })
  )

  journey("verifies with a public key from the rotation to a private one on", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      const ids = yield* Ids
      const url = "https://receiver.example/"
      const { id } = yield* engine.webhook(url, { settings: { signature: "svix" } })
      const kept = keepEd25519(pairOf(yield* ids.bytes(32)))
      yield* webhooks.rotateSecret(engine.tenantId, id, {
        id: yield* ids.next("secret"),
        key: Redacted.make(kept),
        graceMs: 60_000
      })
      yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("1 hour")
      yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust(0)
      const sent = yield* network.sent(url)
      assert.deepStrictEqual(
        sent.map(({ headers }) => headers["svix-signature"]?.replaceAll(/,\S+/g, "")),
        ["v1a v1", "v1a"]
      )
      for (const { body, headers, sentAt } of sent) {
        const result = verify({
          secret: Option.getOrThrow(publicKey(kept)),
          headers,
          body: body!,
          nowSeconds: sentAt / 1000
        })
        assert.isTrue(result.ok)
      }
    })
  )
})
