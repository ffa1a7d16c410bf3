import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { healthy, type Webhook, type WebhookHealth } from "../../src/domain/Webhook.ts"
import { Circuit, type CircuitVerdict } from "../../src/settle/Circuit.ts"
import { idOf, webhookWith } from "./Fixtures.ts"

const second = 1_000
const minute = 60 * second

const webhook = webhookWith()
const withHealth = (health: Partial<WebhookHealth>): Webhook =>
  webhookWith({}, { health: { ...healthy, ...health } })

/** Runs an attempt that ends at once; answers whether it was made. */
const attempt = (verdict: CircuitVerdict, of = webhook) =>
  Effect.gen(function* () {
    const circuit = yield* Circuit
    return Option.isSome(yield* circuit.run(of, Effect.succeed(verdict), (result) => result))
  })

const attempts = (count: number, verdict: CircuitVerdict, of = webhook) =>
  Effect.forEach(Array.from({ length: count }), () => attempt(verdict, of))

/** Runs an attempt that ends when the test says so. */
const held = Effect.gen(function* () {
  const circuit = yield* Circuit
  const end = yield* Deferred.make<CircuitVerdict>()
  const fiber = yield* Effect.forkChild(
    circuit.run(webhook, Deferred.await(end), (result) => result),
    { startImmediately: true }
  )
  const finish = (verdict: CircuitVerdict) =>
    Deferred.succeed(end, verdict).pipe(Effect.andThen(Fiber.join(fiber)))
  return { fiber, finish }
})

const state = (of = webhook) => Circuit.use((circuit) => circuit.state(of))
const snapshot = (of = webhook) => Circuit.use((circuit) => Effect.sync(() => circuit.snapshot(of)))
const adopt = (of = webhook) => Circuit.use((circuit) => circuit.adopt(of))

/** Milliseconds for which the circuit stays open. */
const openFor = Effect.gen(function* () {
  const status = yield* state()
  return status._tag === "Open" ? status.until - (yield* Clock.currentTimeMillis) : status._tag
})

const test = (name: string, body: Effect.Effect<unknown, never, Circuit>) =>
  it.effect(name, () => Effect.provide(body, Circuit.layer))

describe("Circuit", () => {
  test(
    "opens ever longer up to the cap while probes fail, closes when one succeeds",
    Effect.gen(function* () {
      yield* adopt()
      assert.deepStrictEqual(yield* attempts(4, "failure"), [true, true, true, true])
      assert.strictEqual(yield* openFor, "Closed")
      assert.isTrue(yield* attempt("failure"))
      const openings = [30, 60, 120, 240, 480, 600, 600, 600].map((s) => s * second)
      for (const [index, openMs] of openings.entries()) {
        const now = yield* Clock.currentTimeMillis
        assert.strictEqual(yield* openFor, openMs)
        assert.deepStrictEqual(yield* snapshot(), {
          openUntil: now + openMs,
          openings: index + 1
        })
        yield* TestClock.adjust(openMs - 1)
        assert.isFalse(yield* attempt("success"))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
        assert.isTrue(yield* attempt(index === openings.length - 1 ? "success" : "failure"))
      }
      assert.strictEqual(yield* openFor, "Closed")
      assert.deepStrictEqual(yield* snapshot(), { openUntil: null, openings: 0 })
      assert.deepStrictEqual(yield* attempts(3, "success"), [true, true, true])
    })
  )

  test(
    "lets one probe through while half open",
    Effect.gen(function* () {
      yield* attempts(5, "failure")
      yield* TestClock.adjust(30 * second)
      const probe = yield* held
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: true })
      assert.deepStrictEqual(yield* attempts(3, "success"), [false, false, false])
      yield* probe.finish("success")
      assert.deepStrictEqual(yield* state(), { _tag: "Closed" })
    })
  )

  test(
    "frees the place of a probe that is interrupted, dies, or says nothing",
    Effect.gen(function* () {
      const circuit = yield* Circuit
      yield* attempts(5, "failure")
      yield* TestClock.adjust(30 * second)
      const probe = yield* held
      yield* Fiber.interrupt(probe.fiber)
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
      const died = yield* Effect.exit(circuit.run(webhook, Effect.die("defect"), () => "failure"))
      assert.deepStrictEqual(died, Exit.die("defect"))
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
      assert.isTrue(yield* attempt("ignored"))
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
      assert.deepStrictEqual(yield* snapshot(), { openUntil: 30 * second, openings: 1 })
      assert.isTrue(yield* attempt("success"))
      assert.deepStrictEqual(yield* state(), { _tag: "Closed" })
    })
  )

  test(
    "counts failures in a row, which only a success breaks",
    Effect.gen(function* () {
      yield* attempts(4, "failure")
      yield* attempt("success")
      yield* attempts(4, "failure")
      yield* attempts(3, "ignored")
      assert.strictEqual(yield* openFor, "Closed")
      yield* attempt("failure")
      assert.strictEqual(yield* openFor, 30 * second)
    })
  )

  test(
    "counts failures of attempts that were under way together",
    Effect.gen(function* () {
      yield* adopt()
      const started = yield* Effect.forEach(Array.from({ length: 7 }), () => held)
      for (const each of started) yield* each.finish("failure")
      assert.strictEqual(yield* openFor, 30 * second)
      assert.strictEqual((yield* snapshot()).openings, 1)
    })
  )

  test(
    "counts the success of an attempt that began before the first failure",
    Effect.gen(function* () {
      const early = yield* held
      yield* attempts(4, "failure")
      yield* early.finish("success")
      yield* attempts(4, "failure")
      assert.strictEqual(yield* openFor, "Closed")
    })
  )

  test(
    "takes no attempt for a probe that began before the circuit opened",
    Effect.gen(function* () {
      const early = yield* held
      yield* attempt("failure")
      const later = yield* held
      yield* attempts(4, "failure")
      yield* TestClock.adjust(30 * second)
      yield* early.finish("failure")
      yield* later.finish("failure")
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
    })
  )

  test(
    "remembers a row of failures and an opening however long nothing happens",
    Effect.gen(function* () {
      yield* attempts(4, "failure")
      yield* TestClock.adjust("30 days")
      yield* attempt("failure")
      assert.strictEqual(yield* openFor, 30 * second)
      yield* TestClock.adjust("30 days")
      const probe = yield* held
      assert.isFalse(yield* attempt("success"))
      yield* probe.finish("failure")
      assert.strictEqual(yield* openFor, 60 * second)
    })
  )

  test(
    "opens longer than last time soon after it closed, and as at first after a while",
    Effect.gen(function* () {
      yield* attempts(5, "failure")
      yield* TestClock.adjust(30 * second)
      yield* attempt("success")
      yield* attempts(5, "failure")
      assert.strictEqual(yield* openFor, minute)
      yield* TestClock.adjust(minute)
      yield* attempt("success")
      yield* TestClock.adjust(minute)
      yield* attempts(5, "failure")
      assert.strictEqual(yield* openFor, 30 * second)
    })
  )

  test(
    "follows settings from the next attempt on",
    Effect.gen(function* () {
      yield* attempts(2, "failure")
      const changed = webhookWith({ circuit: { failures: 3, openMs: 5_000, openMsMax: 1_000 } })
      yield* attempt("failure", changed)
      assert.strictEqual(yield* openFor, 1_000)
    })
  )

  test(
    "stays open for the rest of the time after a restart, and opens longer next",
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      const now = yield* Clock.currentTimeMillis
      yield* adopt(withHealth({ circuitOpenUntil: now + 45_000, circuitOpenings: 3 }))
      assert.strictEqual(yield* openFor, 45_000)
      assert.deepStrictEqual(yield* snapshot(), { openUntil: now + 45_000, openings: 3 })
      assert.isFalse(yield* attempt("success"))
      yield* TestClock.adjust(45_000)
      assert.isTrue(yield* attempt("failure"))
      assert.strictEqual(yield* openFor, 240 * second)
    })
  )

  test(
    "lets one probe through after a restart when its open time is over",
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      yield* adopt(withHealth({ circuitOpenUntil: 1_000, circuitOpenings: 0 }))
      assert.deepStrictEqual(yield* state(), { _tag: "HalfOpen", probing: false })
      assert.strictEqual((yield* snapshot()).openUntil, 1_000)
      const probe = yield* held
      assert.isFalse(yield* attempt("success"))
      yield* probe.finish("success")
      assert.deepStrictEqual(yield* attempts(2, "success"), [true, true])
      assert.deepStrictEqual(yield* snapshot(), { openUntil: null, openings: 0 })
    })
  )

  test(
    "is closed after a restart when it was closed",
    Effect.gen(function* () {
      yield* adopt(withHealth({ consecutiveFailures: 40, failingSince: 0 }))
      yield* attempts(4, "failure")
      assert.deepStrictEqual(yield* state(), { _tag: "Closed" })
      yield* attempt("failure")
      assert.strictEqual(yield* openFor, 30 * second)
    })
  )

  test(
    "gives way to what is adopted, and attempts from before change nothing",
    Effect.gen(function* () {
      yield* adopt()
      const unguarded = yield* Effect.forEach(Array.from({ length: 5 }), () => held)
      yield* attempt("failure")
      const guarded = yield* Effect.forEach(Array.from({ length: 5 }), () => held)
      yield* attempts(4, "failure")
      assert.strictEqual(yield* openFor, 30 * second)
      yield* adopt()
      assert.strictEqual(yield* openFor, "Closed")
      for (const each of [...unguarded, ...guarded]) yield* each.finish("failure")
      assert.strictEqual(yield* openFor, "Closed")
      assert.deepStrictEqual(yield* snapshot(), { openUntil: null, openings: 0 })
      yield* attempts(4, "failure")
      assert.strictEqual(yield* openFor, "Closed")
      yield* attempt("failure")
      assert.strictEqual(yield* openFor, 30 * second)
    })
  )

  test(
    "reads a webhook that it does not know from the webhook's own health",
    Effect.gen(function* () {
      const circuit = yield* Circuit
      const open = withHealth({ circuitOpenUntil: 5_000, circuitOpenings: 2 })
      assert.deepStrictEqual(yield* state(open), { _tag: "Open", until: 5_000 })
      assert.deepStrictEqual(yield* snapshot(open), { openUntil: 5_000, openings: 2 })
      assert.isFalse(yield* attempt("success", open))
      yield* circuit.forget(webhook.id)
      assert.deepStrictEqual(yield* state(), { _tag: "Closed" })
      assert.isTrue(yield* attempt("success"))
    })
  )

  test(
    "keeps the circuits of webhooks apart",
    Effect.gen(function* () {
      const other = webhookWith({}, { id: idOf("webhook", 2) })
      yield* attempts(5, "failure")
      yield* attempts(4, "failure", other)
      assert.isFalse(yield* attempt("success"))
      assert.isTrue(yield* attempt("success", other))
      assert.deepStrictEqual(yield* state(other), { _tag: "Closed" })
    })
  )

  test(
    "answers what the attempt answered",
    Effect.gen(function* () {
      const circuit = yield* Circuit
      for (const verdict of ["success", "failure", "success"] as const) {
        const answered = yield* circuit.run(webhook, Effect.succeed(42), () => verdict)
        assert.deepStrictEqual(answered, Option.some(42))
      }
    })
  )
})
