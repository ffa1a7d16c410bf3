/**
 * Months with the engine, under a fake clock: what it still knows of them.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const day = 86_400_000

it.effect("ninety days leave the last thirty, and all that is still open", () =>
  Effect.gen(function* () {
    const engine = yield* TestEngine
    const network = yield* TestSender
    const repo = yield* WebhookRepo
    const { attempts, messages } = yield* MemoryTables
    yield* network.answer("https://failing.example/hook", { status: 500 })
    yield* engine.webhook("https://working.example/hook", { eventTypes: ["kept.short"] })
    yield* engine.webhook("https://failing.example/hook", {
      eventTypes: ["kept.failing"],
      settings: { circuit: { failures: 1_000 }, disableAfter: {} }
    })
    const paused = yield* engine.webhook("https://paused.example/hook", {
      eventTypes: ["kept.open"]
    })
    yield* repo.setStatus(engine.tenantId, paused.id, "paused")

    const open = yield* engine.publish("kept.open", {})
    const failing = yield* engine.publish("kept.failing", {})
    for (let i = 0; i < 90; i++) {
      yield* engine.publish("kept.short", { i })
      yield* TestClock.adjust(day)
      // It failed for the last time after three days, and stays for thirty from then on.
      if (i === 31) assert.isTrue(messages.has(failing.id))
    }
    assert.isFalse(messages.has(failing.id))
    assert.isTrue(messages.has(open.id))
    assert.isAtMost(messages.size, 1 + 31)
    assert.isAtLeast(messages.size, 1 + 30)
    assert.isAtMost(attempts.size, 31)
    const [delivery] = yield* engine.deliveries(open.id)
    assert.strictEqual(delivery!.status, "held")
    yield* repo.setStatus(engine.tenantId, paused.id, "enabled")
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* engine.deliveries(open.id))[0]!.status, "delivered")
  }).pipe(Effect.provide(TestEngine.layer()))
)
