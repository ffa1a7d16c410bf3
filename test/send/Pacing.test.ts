/**
 * Webhooks with a rate, from publishing to arrival, under a fake clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

const publishMany = (count: number) =>
  Effect.gen(function* () {
    const engine = yield* TestEngine
    for (let n = 0; n < count; n++) yield* engine.publish("a.b", { n })
  })

/** When requests were sent so far, in epoch milliseconds. */
const sentAt = Effect.gen(function* () {
  return (yield* (yield* TestSender).sent(url)).map((request) => request.sentAt)
})

/** The most requests within any span of this length. */
const mostWithin = (times: ReadonlyArray<number>, spanMs: number): number =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + spanMs).length))

describe("A webhook with a rate", () => {
  it.effect("gets no more than that in any span, and not much less", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook(url, { settings: { rate: { limit: 10, perMs: 1_000 } } })
      for (let i = 0; i < 10; i++) {
        yield* publishMany(100)
        yield* TestClock.adjust(137)
      }
      yield* TestClock.adjust("2 minutes")
      const times = yield* sentAt
      assert.lengthOf(times, 1_000)
      assert.strictEqual(mostWithin(times, 1_000), 10)
      assert.isAtMost(times.at(-1)! - times[0]!, 101_000)
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("gets the first ones at once, and another webhook all of them", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook(url, { settings: { rate: { limit: 5, perMs: 3_600_000 } } })
      yield* engine.webhook("https://other.example/")
      yield* publishMany(20)
      yield* TestClock.adjust(0)
      assert.lengthOf(yield* sentAt, 5)
      assert.lengthOf(yield* (yield* TestSender).sent("https://other.example/"), 20)
      yield* TestClock.adjust("2 hours")
      assert.lengthOf(yield* sentAt, 15)
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("counts retries and probes like first attempts", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 500 })
      yield* engine.webhook(url, {
        settings: {
          rate: { limit: 2, perMs: 10_000 },
          circuit: { failures: 2, openMs: 100, openMsMax: 200 },
          retry: {
            kind: "exponential",
            baseMs: 100,
            factor: 1,
            capMs: 100,
            jitter: 0,
            attemptsMax: 50
          }
        }
      })
      yield* publishMany(5)
      yield* TestClock.adjust("3 minutes")
      const times = yield* sentAt
      assert.isAbove(times.length, 30)
      assert.strictEqual(mostWithin(times, 10_000), 2)
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("takes a changed rate at once, and keeps what it took while it was paused", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const repo = yield* WebhookRepo
      const { id, tenantId } = yield* engine.webhook(url, {
        settings: { rate: { limit: 1, perMs: 86_400_000 } }
      })
      yield* publishMany(6)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* sentAt, 1)
      yield* repo.setStatus(tenantId, id, "paused")
      yield* TestClock.adjust("1 hour")
      yield* repo.setStatus(tenantId, id, "enabled")
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* sentAt, 1)
      yield* repo.update(tenantId, id, () =>
        Result.succeed({ settings: { rate: { limit: 3, perMs: 86_400_000 } } })
      )
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* sentAt, 3)
      yield* repo.update(tenantId, id, () => Result.succeed({ settings: { rate: null } }))
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* sentAt, 6)
    }).pipe(Effect.provide(TestEngine.layer()))
  )
})
