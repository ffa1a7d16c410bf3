/**
 * How many attempts at once a receiver is given: the steps by themselves, and a receiver of limited
 * strength through the engine, under a fake clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Outcome } from "../../src/domain/Attempt.ts"
import * as Ramp from "../../src/send/Ramp.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { type Answer, TestSender } from "../../src/testing/TestSender.ts"

const answered = (statusCode: number): Outcome => ({
  _tag: "Responded",
  statusCode,
  headers: {},
  body: new Uint8Array(),
  truncated: false,
  bodyError: null
})
const timedOut = (phase: "dns" | "connect" | "headers"): Outcome => ({ _tag: "TimedOut", phase })

describe("A ramp", () => {
  it.effect("doubles with each round of successes after an outage, up to the concurrency", () =>
    Effect.sync(() => {
      const ramp = Ramp.make("slow")
      const rounds = [1, 2, 3, 4].map(() => {
        const max = ramp.max()
        for (let i = 0; i < max; i++) ramp.rise(10)
        return max
      })
      assert.deepStrictEqual([...rounds, ramp.max()], [1, 2, 4, 8, 10])
      assert.isFalse(ramp.rise(10))
    })
  )

  it.effect("halves once for all that were under way together, and then grows by one a round", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const ramp = Ramp.make("full")
      yield* TestClock.adjust(1_000)
      for (let i = 0; i < 10; i++) ramp.bear(answered(503), 10, 900, clock)
      assert.strictEqual(ramp.max(), 5)
      yield* TestClock.adjust(1_000)
      ramp.bear(answered(503), 10, 1_000, clock)
      assert.strictEqual(ramp.max(), 5)
      ramp.bear(answered(503), 10, 1_001, clock)
      assert.strictEqual(ramp.max(), 2)
      for (const [successes, max] of [
        [2, 3],
        [3, 4],
        [4, 5],
        [5, 6]
      ] as const) {
        for (let i = 1; i < successes; i++) assert.isFalse(ramp.rise(10))
        assert.isTrue(ramp.rise(10))
        assert.strictEqual(ramp.max(), max)
      }
      ramp.restart()
      ramp.rise(10)
      assert.strictEqual(ramp.max(), 2)
    })
  )

  it.effect("never falls below one, and gives way to nothing but overload", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const cuts = (outcome: Outcome) => {
        const ramp = Ramp.make("full")
        for (let at = 1; at < 10; at++) ramp.bear(outcome, 8, at, clock)
        return ramp.max()
      }
      yield* TestClock.adjust(1)
      for (const status of [429, 502, 503, 504]) assert.strictEqual(cuts(answered(status)), 1)
      for (const phase of ["connect", "headers"] as const) {
        assert.strictEqual(cuts(timedOut(phase)), 1)
      }
      for (const status of [200, 400, 404, 410, 500, 501]) {
        assert.strictEqual(cuts(answered(status)), Infinity)
      }
      assert.strictEqual(cuts(timedOut("dns")), Infinity)
      const refused = { _tag: "Unreachable", cause: "refused", detail: "" } as const
      assert.strictEqual(cuts(refused), Infinity)
    })
  )
})

describe("A receiver that has too much to do", () => {
  const url = "https://receiver.example/hook"
  const retry = { kind: "exponential", baseMs: 500, factor: 1, capMs: 500, jitter: 0 } as const
  for (const [name, overload, tookMs] of [
    ["does not answer in time", { timeout: "headers" }, 1_000],
    ["answers 429 without a time", { status: 429, delayMs: 100 }, 100],
    ["answers 503 without a time", { status: 503, delayMs: 100 }, 100]
  ] as const satisfies ReadonlyArray<readonly [string, Answer, number]>) {
    it.effect(`and ${name} gets as many at once as it bears, and all when it can (T-55)`, () =>
      Effect.gen(function* () {
        const engine = yield* TestEngine
        const network = yield* TestSender
        // Of ten at once it bears four.
        let strength = 4
        let under: ReadonlyArray<number> = []
        let most = 0
        let overloads = 0
        yield* network.answer(url, ({ sentAt }) => {
          under = under.filter((endsAt) => endsAt > sentAt)
          most = Math.max(most, under.length + 1)
          if (under.length < strength) {
            under = [...under, sentAt + 100]
            return { status: 200, delayMs: 100 }
          }
          overloads++
          under = [...under, sentAt + tookMs]
          return overload
        })
        yield* engine.webhook(url, {
          settings: {
            timeoutMs: 1_000,
            concurrency: 10,
            circuit: { failures: 1_000 },
            retry: { ...retry, attemptsMax: 100 }
          }
        })
        for (let n = 0; n < 600; n++) yield* engine.publish("a.b", { n })
        yield* TestClock.adjust("5 seconds")
        const learning = overloads
        const before = (yield* network.sent(url)).length
        most = 0
        yield* TestClock.adjust("5 seconds")
        const later = (yield* network.sent(url)).length - before
        assert.isAbove(learning, 0)
        assert.isAbove(later, 50)
        // Ten at once would fail six times of ten.
        assert.isBelow((overloads - learning) / later, 0.3)
        assert.isAtMost(most, strength + 2)

        strength = 100
        most = 0
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(most, 10)
      }).pipe(Effect.provide(TestEngine.layer()))
    )
  }
})
