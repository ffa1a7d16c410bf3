/**
 * Whole stories of what keeps a message from being sent though its receiver has no part in it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

describe("a webhook", () => {
  for (const fault of ["proxy", "crowd"] as const) {
    it.effect(`is charged with nothing while the ${fault} keeps its messages from being sent`, () =>
      Effect.gen(function* () {
        const engine = yield* TestEngine
        const network = yield* TestSender
        const webhooks = yield* WebhookRepo
        const webhook = yield* engine.webhook(url, { settings: { retry: "quick" } })
        yield* network.answer(url, { fault })
        const messages = yield* Effect.forEach(Array.from({ length: 30 }), (_, i) =>
          engine.publish("a.b", { i })
        )
        yield* TestClock.adjust("5 minutes")
        for (const { id } of messages) {
          const [delivery] = yield* engine.deliveries(id)
          assert.deepInclude(delivery, { attempts: 0, settledAt: null })
          assert.deepStrictEqual(yield* engine.attempts(delivery!.id), [])
        }
        const asked = (yield* network.sent(url)).map(({ sentAt }) => sentAt)
        // Ten workers found it out together; from then on one asked at a time, ever later.
        assert.isBelow(asked.length, 10 + (fault === "proxy" ? 15 : 90))
        const last = asked.slice(-2)
        assert.isAtLeast(last[1]! - last[0]!, fault === "proxy" ? 33_750 : 3_750)

        yield* network.answer(url, { status: 200 })
        yield* TestClock.adjust("75 seconds")
        for (const { id } of messages) {
          const [delivery] = yield* engine.deliveries(id)
          assert.deepInclude(delivery, { status: "delivered", attempts: 1 })
        }
        const { health } = yield* webhooks.get(webhook.tenantId, webhook.id)
        assert.deepInclude(health, {
          consecutiveFailures: 0,
          failingSince: null,
          lastFailureAt: null,
          circuitOpenings: 0
        })
      }).pipe(Effect.provide(TestEngine.layer()))
    )
  }
})
