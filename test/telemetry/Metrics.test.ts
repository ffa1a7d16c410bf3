import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { onTestFinished, vi } from "vitest"
import * as Instruments from "../../src/telemetry/Instruments.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

/** A registry of its own, so that other tests of the process count elsewhere. */
const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

const count = (metric: Metric.Counter<number>) =>
  Effect.map(Metric.value(metric), ({ count }) => count)
const measured = (metric: Metric.Histogram<number>) =>
  Effect.map(Metric.value(metric), ({ count, sum }) => ({ count, sum }))

describe("Metrics", () => {
  it("are named by noun, what and unit, and a counter ends in _total", () => {
    for (const { name, type } of Instruments.all) {
      assert.match(name, /^posthaste_[a-z]+(_[a-z]+)+$/)
      assert.strictEqual(name.endsWith("_total"), type === "counter", name)
      if (type === "histogram") assert.match(name, /_(seconds|rows)$/)
      assert.notMatch(name, /_(count|sum|bucket|milliseconds|ms)$/, "Prometheus means else by it")
    }
    const names = Instruments.all.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
  })

  it.effect("show every metric from the start, at zero", () =>
    Effect.gen(function* () {
      yield* Instruments.show
      const shown = new Set((yield* Metric.snapshot).map(({ id }) => id))
      const missing = Instruments.all.filter(({ name }) => !shown.has(name))
      assert.sameMembers(
        missing.map(({ name }) => name),
        [
          "posthaste_message_refused_total",
          "posthaste_guard_refused_total",
          "posthaste_http_request_duration_seconds"
        ],
        "only those whose labels are not known beforehand may be missing"
      )
    }).pipe(alone)
  )

  it.effect("follow messages, attempts and deliveries", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const good = "https://good.example/hook"
      const bad = "https://bad.example/hook"
      yield* network.answer(good, { status: 503 }, { status: 200 })
      yield* network.answer(bad, { status: 410 })
      yield* engine.webhook(good)
      yield* engine.webhook(bad)
      yield* engine.webhook("https://10.0.0.1/hook")
      yield* engine.publish("invoice.paid", 1, { uid: "one" })
      yield* engine.publish("invoice.paid", 1, { uid: "one" })
      yield* Effect.flip(engine.publish("invoice.paid", 2, { uid: "one" }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* count(Metrics.messagesAccepted), 1)
      assert.strictEqual(yield* count(Metrics.messagesRepeated), 1)
      assert.strictEqual(yield* count(Metrics.messagesRefused("message_uid_conflict")), 1)
      assert.strictEqual((yield* measured(Metrics.messagePublish)).count, 2)
      assert.strictEqual(yield* count(Metrics.attempts.status_2xx), 1)
      assert.strictEqual(yield* count(Metrics.attempts.status_5xx), 1)
      assert.strictEqual(yield* count(Metrics.attempts.status_410), 1)
      assert.strictEqual(yield* count(Metrics.attempts.blocked), 1)
      assert.strictEqual(yield* count(Metrics.guardRefusals("url")), 1)
      assert.strictEqual((yield* measured(Metrics.attemptDuration)).count, 3)
      assert.strictEqual((yield* measured(Metrics.firstAttempt)).count, 3)
      const delivered = yield* measured(Metrics.delivered)
      assert.strictEqual(delivered.count, 1)
      assert.isAtLeast(delivered.sum, 4.5, "the retry came after 5 s, 10 % less at most")
      assert.strictEqual(yield* count(Metrics.deliveriesEnded.delivered), 1)
      assert.strictEqual(yield* count(Metrics.deliveriesEnded.exhausted), 2)
      assert.strictEqual(yield* count(Metrics.webhooksDisabled), 1)
      const publishing = yield* measured(Metrics.commitRows.publishing)
      assert.deepStrictEqual(publishing, { count: 3, sum: 3 })
      const settlements = yield* measured(Metrics.commitRows.settlements)
      assert.strictEqual(settlements.sum, 4)
    }).pipe(Effect.provide(TestEngine.layer()), alone)
  )

  it.effect("tell what lanes hold as long as the engine lives", () =>
    Effect.gen(function* () {
      const value = (gauge: Metric.Gauge<number>) =>
        Effect.map(Metric.value(gauge), ({ value }) => value)
      yield* Effect.gen(function* () {
        const engine = yield* TestEngine
        const network = yield* TestSender
        const url = "https://slow.example/hook"
        yield* network.answer(url, { status: 200, delayMs: 10_000 })
        yield* engine.webhook(url)
        yield* engine.publish("invoice.paid", 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* value(Metrics.lanes), 1)
        assert.strictEqual(yield* value(Metrics.inFlight), 1)
        assert.strictEqual(yield* value(Metrics.held), 1)
        assert.isAbove(yield* value(Metrics.heldBytes), 50)
      }).pipe(Effect.provide(TestEngine.layer()))
      assert.strictEqual(yield* value(Metrics.lanes), 0)
    }).pipe(alone)
  )

  it.effect("count circuits that open", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const url = "https://dead.example/hook"
      yield* network.answer(url, { status: 500 })
      yield* engine.webhook(url, { settings: { circuit: { failures: 1 } } })
      yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* count(Metrics.circuitsOpened), 1)
    }).pipe(Effect.provide(TestEngine.layer()), alone)
  )

  it("do not grow beyond a bound where a label's values are not known beforehand", async () => {
    // Of its own, and of nobody after it: what is made is listed for as long as its module lives.
    vi.resetModules()
    onTestFinished(() => void vi.resetModules())
    const own = await import("../../src/telemetry/Instruments.ts")
    const counter = own.countersAsNeeded("posthaste_test_made_total", "For a test", "by")
    const made = new Set(Array.from({ length: 1_000 }, (_, i) => counter(`value ${i}`)))
    assert.strictEqual(made.size, 101)
  })
})
