import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"

const url = "https://receiver.example/hook"

describe("TestEngine", () => {
  it.effect(
    "lets days of failure pass, until the webhook is disabled and what it is owed is held",
    () =>
      Effect.gen(function* () {
        const engine = yield* TestEngine
        const network = yield* TestSender
        const webhooks = yield* WebhookRepo
        yield* network.answer(url, { status: 500 })
        const webhook = yield* engine.webhook(url)
        const first = yield* engine.publish("invoice.paid", 1)
        // 75 h 35 min, and up to a tenth more by jitter.
        yield* TestClock.adjust("84 hours")
        assert.strictEqual((yield* engine.deliveries(first.id))[0]?.status, "exhausted")
        const second = yield* engine.publish("invoice.paid", 2)
        yield* TestClock.adjust("60 hours")
        const found = yield* webhooks.get(engine.tenantId, webhook.id)
        assert.deepInclude(found, { status: "disabled", disabledReason: "failing" })
        assert.strictEqual((yield* engine.deliveries(second.id))[0]?.status, "held")
      }).pipe(Effect.provide(TestEngine.layer()))
  )
})
