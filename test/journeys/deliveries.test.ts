/**
 * Whole stories through the engine, under a fake clock: what happens to a message until it is done.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { encode } from "../../src/domain/Secret.ts"
import type { MessageId } from "../../src/domain/TypeId.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { Ids } from "../../src/store/Ids.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"

const url = "https://receiver.example/hook"
const hour = 3_600_000

const journey = <A, E>(
  name: string,
  story: () => Effect.Effect<A, E, TestEngine | TestSender | Lanes | WebhookRepo | Ids>
) => it.effect(name, () => story().pipe(Effect.provide(TestEngine.layer())))

/** The only delivery of a message. */
const deliveryOf = Effect.fnUntraced(function* (message: { readonly id: MessageId }) {
  const engine = yield* TestEngine
  const [delivery, ...others] = yield* engine.deliveries(message.id)
  assert.lengthOf(others, 0)
  assert.isDefined(delivery)
  return delivery!
})

describe("a delivery", () => {
  journey("arrives at once when the receiver works", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(url)
      const message = yield* engine.publish("invoice.paid", { amount: 100 })
      assert.strictEqual(message.deliveries, 1)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* deliveryOf(message)).status, "delivered")
      assert.lengthOf(yield* network.sent(), 1)
    })
  )

  journey("goes out at the instant that its message names, and stands in nobody's way before", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(url)
      const later = yield* engine.publish("invoice.due", {}, { deliverAt: hour })
      assert.deepInclude(yield* deliveryOf(later), { status: "pending", nextAttemptAt: hour })
      yield* engine.publish("invoice.paid", {})
      yield* engine.publish("invoice.paid", {}, { deliverAt: 0 })
      yield* TestClock.adjust(0)
      assert.lengthOf(yield* network.sent(url), 2)
      yield* TestClock.adjust("30 minutes")
      yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust(hour / 2 - 1)
      assert.lengthOf(yield* network.sent(url), 3)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* network.sent(url))[3]?.sentAt, hour)
      assert.strictEqual((yield* deliveryOf(later)).status, "delivered")
    })
  )

  journey("goes through the whole standard schedule and is exhausted after 75 hours", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 500 })
      yield* engine.webhook(url, {
        settings: { circuit: { failures: 100 }, disableAfter: {} }
      })
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("90 hours")

      const delivery = yield* deliveryOf(message)
      assert.strictEqual(delivery.status, "exhausted")
      assert.strictEqual(delivery.attempts, 10)
      const sent = yield* network.sent(url)
      assert.lengthOf(sent, 10)
      const waits = sent.slice(1).map((request, i) => request.sentAt - sent[i]!.sentAt)
      const standard = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
      standard.forEach((seconds, i) => {
        assert.isAtLeast(waits[i]!, seconds * 900 - 1)
        assert.isAtMost(waits[i]!, seconds * 1_100 + 1)
      })
      assert.isAbove(
        waits.reduce((a, b) => a + b, 0),
        65 * hour
      )
      assert.deepStrictEqual(
        sent.map((request) => request.headers["posthaste-attempt"]),
        ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
      )
      const attempts = yield* engine.attempts(delivery.id)
      assert.deepStrictEqual(
        attempts.map((attempt) => attempt.number),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      )
      assert.strictEqual(attempts[9]!.settled, "exhausted")
    })
  )

  journey("recovers on the fourth attempt, with one id and one body", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(
        url,
        { status: 503 },
        { fault: "reset" },
        { status: 200, delayMs: 60_000 },
        { status: 200 }
      )
      yield* engine.webhook(url)
      const message = yield* engine.publish("invoice.paid", { amount: 1 })
      yield* TestClock.adjust("1 hour")
      const delivery = yield* deliveryOf(message)
      assert.strictEqual(delivery.status, "delivered")
      const attempts = yield* engine.attempts(delivery.id)
      assert.deepStrictEqual(
        attempts.map((attempt) => attempt.class),
        ["status_5xx", "reset", "headers_timeout", "status_2xx"]
      )
      const sent = yield* network.sent(url)
      assert.strictEqual(new Set(sent.map((request) => request.headers["webhook-id"])).size, 1)
      assert.strictEqual(new Set(sent.map((request) => String(request.body))).size, 1)
    })
  )

  journey("ends at the first 404 where client errors are permanent, and not at a 429", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 429 }, { status: 404 }, { status: 200 })
      yield* engine.webhook(url, { settings: { clientErrors: "permanent" } })
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("90 hours")
      const delivery = yield* deliveryOf(message)
      assert.strictEqual(delivery.status, "exhausted")
      assert.strictEqual(delivery.lastStatusCode, 404)
      assert.lengthOf(yield* network.sent(url), 2)
    })
  )

  journey("waits for what Retry-After asks, and so does the whole webhook", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(
        url,
        { status: 429, headers: { "retry-after": "600" } },
        { status: 200 }
      )
      yield* engine.webhook(url)
      const first = yield* engine.publish("invoice.paid", { n: 1 })
      yield* TestClock.adjust("1 second")
      const second = yield* engine.publish("invoice.paid", { n: 2 })
      yield* TestClock.adjust("590 seconds")
      assert.lengthOf(yield* network.sent(url), 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* deliveryOf(first)).status, "delivered")
      assert.strictEqual((yield* deliveryOf(second)).status, "delivered")
    })
  )

  journey("can be redelivered when it is final, under the same message id", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* engine.webhook(url)
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust(0)
      const delivery = yield* deliveryOf(message)
      yield* lanes.redeliver(engine.tenantId, delivery.id)
      yield* TestClock.adjust("1 second")
      const again = yield* deliveryOf(message)
      assert.strictEqual(again.status, "delivered")
      assert.strictEqual(again.attempts, 2)
      const sent = yield* network.sent(url)
      assert.lengthOf(sent, 2)
      assert.strictEqual(sent[0]!.headers["webhook-id"], sent[1]!.headers["webhook-id"])
    })
  )

  journey("is sent no more once it is cancelled", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 500 }, { status: 200 })
      yield* engine.webhook(url)
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("1 second")
      const waiting = yield* deliveryOf(message)
      assert.strictEqual(waiting.status, "waiting")
      yield* lanes.cancel(engine.tenantId, waiting.id)
      yield* TestClock.adjust("100 hours")
      assert.strictEqual((yield* deliveryOf(message)).status, "cancelled")
      assert.lengthOf(yield* network.sent(url), 1)
    })
  )
})

describe("publishing", () => {
  journey("twice with one key stores and delivers once", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(url)
      const publish = engine.publish("invoice.paid", { amount: 1 }, { idempotencyKey: "k-1" })
      const [first, second] = yield* Effect.all([publish, publish], { concurrency: 2 })
      yield* TestClock.adjust("1 second")
      const third = yield* publish
      yield* TestClock.adjust("1 second")
      assert.strictEqual(first.id, second.id)
      assert.strictEqual(third.id, first.id)
      assert.lengthOf(yield* network.sent(url), 1)
      const other = yield* Effect.flip(
        engine.publish("invoice.paid", { amount: 2 }, { idempotencyKey: "k-1" })
      )
      assert.strictEqual(other._tag, "IdempotencyConflict")
    })
  )

  journey("goes only to the webhooks that want the type", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook("https://a.example/", { eventTypes: ["invoice.*"] })
      yield* engine.webhook("https://b.example/", { eventTypes: ["order.placed"] })
      yield* engine.webhook("https://c.example/")
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust(0)
      assert.strictEqual(message.deliveries, 2)
      const urls = (yield* network.sent()).map((request) => request.url)
      assert.sameMembers(urls, ["https://a.example/", "https://c.example/"])
    })
  )
})

describe("a webhook", () => {
  journey("whose circuit opens is held, then probed once, then served again", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, ...Array.from({ length: 6 }, () => ({ status: 500 })), {
        status: 200
      })
      yield* engine.webhook(url, {
        settings: {
          concurrency: 1,
          circuit: { failures: 5, openMs: 30_000 },
          retry: { kind: "table", delaysMs: [600_000, 600_000], jitter: 0 }
        }
      })
      for (let i = 0; i < 5; i++) yield* engine.publish("invoice.paid", { i })
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* network.sent(url), 5)

      const held = yield* engine.publish("invoice.paid", { held: true })
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* deliveryOf(held)).status, "held")
      assert.strictEqual((yield* deliveryOf(held)).attempts, 0)
      assert.lengthOf(yield* network.sent(url), 5)

      // The first probe fails: open again, for twice as long.
      yield* TestClock.adjust("20 seconds")
      assert.lengthOf(yield* network.sent(url), 6)
      yield* TestClock.adjust("50 seconds")
      assert.lengthOf(yield* network.sent(url), 6)
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual((yield* deliveryOf(held)).status, "delivered")
    })
  )

  journey("that fails for five days is disabled, holds its deliveries, and is resumed", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      yield* network.answer(url, { status: 500 })
      const webhook = yield* engine.webhook(url)
      const messages = []
      for (let day = 0; day < 6; day++) {
        messages.push(yield* engine.publish("invoice.paid", { day }))
        yield* TestClock.adjust("1 day")
      }
      const disabled = yield* webhooks.get(engine.tenantId, webhook.id)
      assert.strictEqual(disabled.status, "disabled")
      assert.strictEqual(disabled.disabledReason, "failing")

      const held = yield* engine.publish("invoice.paid", { held: true })
      const before = (yield* network.sent(url)).length
      yield* TestClock.adjust("2 days")
      assert.strictEqual((yield* deliveryOf(held)).status, "held")
      assert.lengthOf(yield* network.sent(url), before)

      yield* network.answer(url, { status: 200 })
      yield* webhooks.setStatus(engine.tenantId, webhook.id, "enabled")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* deliveryOf(held)).status, "delivered")
      assert.strictEqual((yield* deliveryOf(messages.at(-1)!)).status, "delivered")
      const resumed = yield* webhooks.get(engine.tenantId, webhook.id)
      assert.strictEqual(resumed.status, "enabled")
      assert.strictEqual(resumed.health.consecutiveFailures, 0)
    })
  )

  journey("that answers 410 is disabled at once", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      yield* network.answer(url, { status: 410 })
      const webhook = yield* engine.webhook(url)
      const message = yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* deliveryOf(message)).status, "exhausted")
      const gone = yield* webhooks.get(engine.tenantId, webhook.id)
      assert.strictEqual(gone.status, "disabled")
      assert.strictEqual(gone.disabledReason, "gone")
    })
  )

  journey("that is paused holds what comes, and sends it when resumed", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      const webhook = yield* engine.webhook(url)
      yield* webhooks.setStatus(engine.tenantId, webhook.id, "paused")
      const messages = []
      for (let i = 0; i < 20; i++) messages.push(yield* engine.publish("invoice.paid", { i }))
      yield* TestClock.adjust("10 days")
      assert.lengthOf(yield* network.sent(url), 0)
      assert.strictEqual((yield* deliveryOf(messages[0]!)).status, "held")
      yield* webhooks.setStatus(engine.tenantId, webhook.id, "enabled")
      yield* TestClock.adjust("1 minute")
      for (const message of messages) {
        assert.strictEqual((yield* deliveryOf(message)).status, "delivered")
      }
    })
  )

  journey("that is resumed is served slowly at first: one, two, four at a time", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      yield* network.answer(url, { status: 200, delayMs: 100 })
      const webhook = yield* engine.webhook(url, { settings: { concurrency: 10 } })
      yield* webhooks.setStatus(engine.tenantId, webhook.id, "paused")
      for (let i = 0; i < 60; i++) yield* engine.publish("invoice.paid", { i })
      yield* webhooks.setStatus(engine.tenantId, webhook.id, "enabled")
      const sent = []
      for (let round = 0; round < 6; round++) {
        yield* TestClock.adjust(round === 0 ? 0 : 100)
        sent.push((yield* network.sent(url)).length)
      }
      assert.deepStrictEqual(sent, [1, 3, 7, 15, 25, 35])
    })
  )

  journey("whose secret is rotated between attempts is signed by both, then by the new one", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhooks = yield* WebhookRepo
      const ids = yield* Ids
      yield* network.answer(url, { status: 500 })
      const webhook = yield* engine.webhook(url, {
        settings: {
          retry: { kind: "table", delaysMs: [hour, 30 * hour], jitter: 0 },
          circuit: { failures: 100 }
        }
      })
      yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("1 minute")
      const former = encode(Redacted.value(webhook.secrets[0]!.key))
      const key = yield* ids.bytes(32)
      yield* webhooks.rotateSecret(engine.tenantId, webhook.id, {
        id: yield* ids.next("secret"),
        key: Redacted.make(key),
        graceMs: 24 * hour
      })
      yield* TestClock.adjust("40 hours")
      const current = encode(key)
      const verdicts = (yield* network.sent(url)).map((request) =>
        [former, current].map(
          (secret) =>
            verify({
              secret,
              headers: request.headers,
              body: request.body!,
              nowSeconds: request.sentAt / 1000
            }).ok
        )
      )
      assert.deepStrictEqual(verdicts, [
        [true, false],
        [true, true],
        [false, true]
      ])
    })
  )

  journey("gets at most its concurrency, and a slow one does not delay another", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const slow = "https://slow.example/"
      yield* network.answer(slow, { status: 200, delayMs: 10_000 })
      yield* engine.webhook(slow, { settings: { concurrency: 3 } })
      yield* engine.webhook(url)
      for (let i = 0; i < 50; i++) yield* engine.publish("invoice.paid", { i })
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* network.sent(url), 50)
      assert.lengthOf(yield* network.sent(slow), 3)
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(yield* network.sent(slow), 50)
      assert.strictEqual(yield* network.inFlightMax(slow), 3)
    })
  )
})
