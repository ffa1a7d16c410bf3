import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { recall } from "../../src/send/Recall.ts"
import { Signer } from "../../src/send/Signer.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

/** Publishes to a webhook that fails once, and recalls the requests of both attempts. */
const publish = Effect.fnUntraced(function* () {
  const engine = yield* TestEngine
  const message = yield* engine.publish("invoice.paid", { user: "u 1" })
  yield* TestClock.adjust("1 minute")
  const [delivery] = yield* engine.deliveries(message.id)
  return delivery!
})

const recalled = Effect.fnUntraced(function* (
  delivery: Effect.Success<ReturnType<typeof publish>>
) {
  const engine = yield* TestEngine
  const signer = yield* Signer
  const webhook = yield* (yield* WebhookRepo).find(engine.tenantId, delivery.webhookId)
  const message = yield* (yield* MessageRepo).find(engine.tenantId, delivery.messageId)
  const attempts = yield* engine.attempts(delivery.id)
  return attempts.map((attempt) =>
    Option.getOrNull(
      recall(attempt, Option.getOrThrow(webhook), Option.getOrThrow(message), signer)
    )
  )
})

describe("recall", () => {
  const test = <A, E>(
    name: string,
    body: () => Effect.Effect<
      A,
      E,
      TestEngine | TestSender | Signer | WebhookRepo | MessageRepo | Ids
    >
  ) => it.effect(name, () => body().pipe(Effect.provide(TestEngine.layer())))

  test("makes every attempt's request as it was sent, signature included", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* TestClock.adjust("1234567 millis")
      yield* network.answer(url, { status: 503 }, { status: 200 })
      yield* engine.webhook(url, { headers: { "x-shop": "7" }, settings: { signature: "svix" } })
      const made = yield* recalled(yield* publish())
      const sent = yield* network.sent(url)
      assert.lengthOf(made, 2)
      assert.deepStrictEqual(
        made,
        sent.map(({ headers, method, url }) => ({ exact: true, method, url, headers }))
      )
    }))

  test("fills the templates of a URL, and masks what may be a credential", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook("https://receiver.example/u/{data.user}?token=hunter2", {
        headers: { "x-api-key": "hunter2" },
        settings: { format: "query" }
      })
      const [made] = yield* recalled(yield* publish())
      const [sent] = yield* network.sent()
      assert.strictEqual(made?.url, sent?.url.replace("hunter2", "********"))
      assert.include(made?.url ?? "", "/u/u%201?")
      assert.deepStrictEqual(made?.headers, { ...sent?.headers, "x-api-key": "********" })
      assert.notInclude(JSON.stringify(made), "hunter2")
    }))

  test("knows the request still when the webhook was paused and resumed since", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const repo = yield* WebhookRepo
      yield* engine.webhook(url)
      const delivery = yield* publish()
      yield* repo.setStatus(engine.tenantId, delivery.webhookId, "paused")
      yield* repo.update(engine.tenantId, delivery.webhookId, { name: "another" })
      yield* TestClock.adjust("1 second")
      yield* repo.setStatus(engine.tenantId, delivery.webhookId, "enabled")
      const [made] = yield* recalled(delivery)
      assert.isTrue(made?.exact)
      assert.property(made?.headers, "webhook-signature")
    }))

  test("says so and signs nothing when the webhook has another secret since", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const repo = yield* WebhookRepo
      const ids = yield* Ids
      yield* engine.webhook(url)
      const delivery = yield* publish()
      yield* repo.rotateSecret(engine.tenantId, delivery.webhookId, () =>
        Effect.runSync(
          Effect.gen(function* () {
            return Result.succeed({
              id: yield* ids.next("secret"),
              key: Redacted.make(yield* ids.bytes(32)),
              graceMs: 0
            })
          })
        )
      )
      const [made] = yield* recalled(delivery)
      assert.isFalse(made?.exact)
      assert.notProperty(made?.headers, "webhook-signature")
      assert.property(made?.headers, "webhook-id")
    }))

  test("knows no request of an attempt that sent nothing", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook("https://10.0.0.1/hook")
      const made = yield* recalled(yield* publish())
      assert.deepStrictEqual(made, [null])
    }))
})
