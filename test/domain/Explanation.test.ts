import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { explainAttempt, explainDelivery } from "../../src/domain/Explanation.ts"
import type { MessageId } from "../../src/domain/TypeId.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

/** Explains the only delivery of a message, and its attempts. */
const explain = Effect.fnUntraced(function* ({ id }: { readonly id: MessageId }) {
  const engine = yield* TestEngine
  const [delivery] = yield* engine.deliveries(id)
  const attempts = yield* engine.attempts(delivery!.id)
  const [webhook] = yield* (yield* WebhookRepo).findMany([delivery!.webhookId])
  const now = yield* Clock.currentTimeMillis
  return {
    delivery: explainDelivery({ delivery: delivery!, attempts, webhook, now }),
    attempts: attempts.map(explainAttempt)
  }
})

describe("An explanation", () => {
  const test = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E, TestEngine | TestSender | WebhookRepo | Lanes>
  ) => it.effect(name, () => body().pipe(Effect.provide(TestEngine.layer())))

  test("counts the attempts and says when the next one is due", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 503 }, { fault: "refused" }, { status: 200 })
      yield* engine.webhook(url, { settings: { retry: "steps" } })
      const message = yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 milli")
      assert.deepStrictEqual(yield* explain(message), {
        delivery:
          "attempt 1 of 6 failed: the receiver answered 503; the next one is due in 60 seconds",
        attempts: [
          "failed: the receiver answered 503; the next one was planned for 60 seconds later"
        ]
      })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(
        (yield* explain(message)).delivery,
        "attempt 2 of 6 failed: scripted: refused; the next one is due in 5 minutes"
      )
      yield* TestClock.adjust("5 minutes")
      const { attempts, delivery } = yield* explain(message)
      assert.strictEqual(delivery, "delivered by attempt 3 in 6 minutes")
      assert.strictEqual(attempts.at(-1), "delivered: the receiver answered 200")
    }))

  test("says how long was tried before giving up, and counts anew after a redelivery", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 500 })
      yield* engine.webhook(url, {
        settings: {
          retry: { kind: "table", delaysMs: [3_600_000, 7_200_000], jitter: 0 },
          circuit: { failures: 1_000 }
        }
      })
      const message = yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("4 hours")
      const { attempts, delivery } = yield* explain(message)
      assert.strictEqual(
        delivery,
        "given up after 3 attempts in 3 hours: the receiver answered 500"
      )
      assert.strictEqual(
        attempts.at(-1),
        "failed: the receiver answered 500; no other one followed"
      )
      const [found] = yield* engine.deliveries(message.id)
      yield* (yield* Lanes).redeliver(engine.tenantId, found!.id)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(
        (yield* explain(message)).delivery,
        "attempt 1 of 3 failed: the receiver answered 500; the next one is due in 60 minutes"
      )
    }))

  test("says why a delivery is held", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const repo = yield* WebhookRepo
      const { id } = yield* engine.webhook(url)
      yield* repo.setStatus(engine.tenantId, id, "paused")
      const message = yield* engine.publish("invoice.paid", 1)
      assert.strictEqual((yield* explain(message)).delivery, "held: the webhook is paused")
      yield* network.answer(url, { status: 410 })
      yield* repo.setStatus(engine.tenantId, id, "enabled")
      yield* TestClock.adjust("1 minute")
      const held = yield* engine.publish("invoice.paid", 2)
      assert.strictEqual(
        (yield* explain(held)).delivery,
        "held: the webhook is disabled, because its receiver answered 410 Gone"
      )
      const [owed] = yield* engine.deliveries(held.id)
      yield* (yield* Lanes).cancel(engine.tenantId, owed!.id)
      assert.strictEqual((yield* explain(held)).delivery, "cancelled before its first attempt")
    }))
})
