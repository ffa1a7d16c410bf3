import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Random, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Outcome } from "../../src/domain/Attempt.ts"
import { healthy, type Webhook, type WebhookHealth } from "../../src/domain/Webhook.ts"
import { type Alert, Alerts } from "../../src/settle/Alerts.ts"
import { Circuit } from "../../src/settle/Circuit.ts"
import { Settler, type SettlerOptions } from "../../src/settle/Settler.ts"
import type { Settlement } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import type { StoreError } from "../../src/store/StoreError.ts"
import { deliveryOf, refused, responded, scriptedLog, storeError, webhookWith } from "./Fixtures.ts"

const minute = 60_000
const day = 86_400_000

const webhook = webhookWith({ retry: { kind: "table", delaysMs: [1_000, 2_000], jitter: 0 } })
const withHealth = (health: Partial<WebhookHealth>, of = webhook): Webhook => ({
  ...of,
  health: { ...healthy, ...health }
})

const settle = (outcome: Outcome, { of = webhook, tries = 0, n = 1 } = {}) =>
  Settler.use((settler) =>
    settler.settle({
      webhook: of,
      delivery: deliveryOf(n, tries),
      startedAt: 7,
      outcome,
      durationMs: 12
    })
  )
const adopt = (of = webhook) => Settler.use((settler) => settler.adopt(of))
const health = (of = webhook) => Settler.use((settler) => Effect.sync(() => settler.health(of)))

/** Sends through the circuit and settles, as a lane does; none when the circuit is open. */
const deliver = (outcome: Outcome, of = webhook) =>
  Effect.gen(function* () {
    const circuit = yield* Circuit
    const sent = yield* circuit.run(of, Effect.succeed(outcome), () =>
      outcome._tag === "Responded" && outcome.statusCode < 300 ? "success" : "failure"
    )
    return Option.isSome(sent) ? Option.some(yield* settle(outcome, { of })) : Option.none()
  })

/** The alerts that a body raises, in short. */
const alertsOf = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const alerts = yield* Alerts
    const heard: Array<string> = []
    const listener = yield* alerts.changes.pipe(
      Stream.runForEach((alert) => Effect.sync(() => heard.push(inShort(alert)))),
      Effect.forkChild({ startImmediately: true })
    )
    yield* body
    yield* Effect.yieldNow
    yield* Fiber.interrupt(listener)
    return heard
  })

const inShort = (alert: Alert): string => {
  switch (alert._tag) {
    case "Failing":
      return `failing ${alert.consecutiveFailures}`
    case "Warning":
      return `warning ${alert.share}`
    case "Disabled":
      return `disabled ${alert.reason}`
    case "Paused":
      return "paused"
    case "Recovered":
      return `recovered ${alert.failures}`
    case "Exhausted":
      return "exhausted"
  }
}

type Log = ReturnType<typeof scriptedLog>

const test = (
  name: string,
  body: (log: Log) => Effect.Effect<unknown, StoreError, Settler | Circuit | Alerts>,
  options: {
    readonly answer?: (batch: ReadonlyArray<Settlement>) => Effect.Effect<void, StoreError>
    readonly settler?: SettlerOptions
  } = {}
) =>
  it.effect(name, () => {
    const log = scriptedLog(options.answer)
    const layer = Settler.layer(options.settler).pipe(
      Layer.provideMerge(Layer.merge(Circuit.layer, Alerts.layer)),
      Layer.provide([log.layer, Ids.layerSeeded])
    )
    return body(log).pipe(
      Effect.provide(layer),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Random.withSeed(name)
    )
  })

describe("Settler", () => {
  test("writes an attempt that delivered as it was", (log) =>
    Effect.gen(function* () {
      yield* TestClock.adjust(20)
      const outcome: Outcome = {
        _tag: "Responded",
        statusCode: 202,
        headers: { server: "nginx" },
        body: Uint8Array.of(1, 2),
        truncated: true,
        bodyError: "no rest of the body in time"
      }
      assert.deepStrictEqual(yield* settle(outcome, { tries: 2 }), { _tag: "Delivered" })
      const [settlement] = log.batches.flat()
      const delivery = deliveryOf(1)
      assert.deepStrictEqual(settlement, {
        attempt: {
          id: settlement!.attempt.id,
          deliveryId: delivery.id,
          tenantId: delivery.tenantId,
          webhookId: delivery.webhookId,
          number: 3,
          startedAt: 7,
          durationMs: 12,
          class: "status_2xx",
          statusCode: 202,
          error: "no rest of the body in time",
          responseHeaders: { server: "nginx" },
          responseBody: Uint8Array.of(1, 2),
          responseTruncated: true,
          nextAt: null,
          settled: "delivered"
        },
        type: settlement!.type,
        tries: 3,
        health: { ...healthy, version: 1, lastSuccessAt: 20 },
        stop: null,
        notices: []
      })
    }))

  test("writes an attempt that got no answer, and when the next one is", (log) =>
    Effect.gen(function* () {
      yield* TestClock.adjust(20)
      const outcome: Outcome = { _tag: "Unreachable", cause: "reset", detail: "ECONNRESET" }
      assert.deepStrictEqual(yield* settle(outcome), { _tag: "Again", at: 1_020 })
      const [{ attempt, stop, health, tries } = assert.fail()] = log.batches.flat()
      assert.strictEqual(attempt.class, "reset")
      assert.strictEqual(attempt.error, "ECONNRESET")
      assert.strictEqual(attempt.statusCode, null)
      assert.strictEqual(attempt.responseBody, null)
      assert.strictEqual(attempt.responseHeaders, null)
      assert.strictEqual(attempt.nextAt, 1_020)
      assert.strictEqual(attempt.settled, null)
      assert.strictEqual(tries, 1)
      assert.strictEqual(stop, null)
      assert.deepStrictEqual(health, {
        ...healthy,
        version: 1,
        consecutiveFailures: 1,
        failingSince: 20,
        lastFailureAt: 20
      })
    }))

  test("goes by the attempts of this round, and numbers attempts over all rounds", (log) =>
    Effect.gen(function* () {
      const verdicts = []
      for (const tries of [0, 1, 2]) verdicts.push(yield* settle(responded(500), { tries }))
      assert.deepStrictEqual(verdicts, [
        { _tag: "Again", at: 1_000 },
        { _tag: "Again", at: 2_000 },
        { _tag: "Exhausted" }
      ])
      const redelivered = { ...deliveryOf(1), attempts: 3, tries: 0 }
      const settler = yield* Settler
      const made = { webhook, delivery: redelivered, startedAt: 0, durationMs: 0 }
      const verdict = yield* settler.settle({ ...made, outcome: responded(500) })
      assert.deepStrictEqual(verdict, { _tag: "Again", at: 1_000 })
      assert.deepStrictEqual(
        log.batches.flat().map(({ attempt, tries }) => [attempt.number, tries, attempt.settled]),
        [
          [1, 1, null],
          [2, 2, null],
          [3, 3, "exhausted"],
          [4, 1, null]
        ]
      )
    }))

  test("keeps the health of adopted webhooks, and counts failures until a success", () =>
    Effect.gen(function* () {
      yield* adopt()
      yield* settle(responded(500))
      yield* TestClock.adjust(minute)
      yield* settle(responded(500))
      assert.deepStrictEqual(yield* health(), {
        ...healthy,
        version: 2,
        consecutiveFailures: 2,
        failingSince: 0,
        lastFailureAt: minute
      })
      yield* settle(responded(200))
      assert.deepStrictEqual(yield* health(), {
        ...healthy,
        version: 3,
        lastFailureAt: minute,
        lastSuccessAt: minute
      })
    }))

  test("works from the webhook's own health when it was not adopted, and keeps nothing", (log) =>
    Effect.gen(function* () {
      const failing = withHealth({ version: 9, consecutiveFailures: 4, failingSince: -5 })
      yield* settle(responded(500), { of: failing })
      yield* settle(responded(500), { of: failing })
      for (const { health } of log.batches.flat()) {
        assert.strictEqual(health?.version, 10)
        assert.strictEqual(health?.consecutiveFailures, 5)
        assert.strictEqual(health?.failingSince, -5)
      }
      assert.deepStrictEqual(yield* health(failing), failing.health)
    }))

  test("writes health with each failure, and with plain successes once a second", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      const outcomes = [200, 200, 200, 500, 500, 200, 200]
      for (const status of outcomes) yield* settle(responded(status))
      yield* TestClock.adjust(999)
      yield* settle(responded(200))
      yield* TestClock.adjust(1)
      for (const status of [200, 200]) yield* settle(responded(status))
      assert.deepStrictEqual(
        log.batches.flat().map(({ health }) => health?.version ?? null),
        [1, null, null, 4, 5, 6, null, null, 9, null]
      )
      assert.strictEqual((yield* health()).version, 10)
    }))

  test("writes each state of the circuit that an attempt leaves", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      for (let n = 0; n < 5; n++) yield* deliver(responded(500))
      assert.deepStrictEqual(yield* deliver(responded(200)), Option.none())
      assert.strictEqual((yield* health()).circuitOpenUntil, 30_000)
      yield* TestClock.adjust(30_000)
      yield* deliver(responded(500))
      yield* TestClock.adjust(60_000)
      yield* deliver(responded(200))
      assert.deepStrictEqual(
        log.batches.flat().map(({ health }) => [health?.circuitOpenUntil, health?.circuitOpenings]),
        [
          [null, 0],
          [null, 0],
          [null, 0],
          [null, 0],
          [30_000, 1],
          [90_000, 2],
          [null, 0]
        ]
      )
    }))

  test("restores health and circuit after a restart", () =>
    Effect.gen(function* () {
      const open = withHealth({ version: 7, circuitOpenUntil: 40_000, circuitOpenings: 2 })
      yield* adopt(open)
      assert.deepStrictEqual(yield* health(), open.health)
      assert.deepStrictEqual(yield* deliver(responded(200)), Option.none())
      yield* TestClock.adjust(40_000)
      assert.deepStrictEqual(yield* deliver(responded(200)), Option.some({ _tag: "Delivered" }))
      assert.strictEqual((yield* health()).version, 8)
      assert.strictEqual((yield* health()).circuitOpenUntil, null)
    }))

  test("keeps what memory knows when a lane adopts an older state again", () =>
    Effect.gen(function* () {
      yield* adopt()
      for (let n = 0; n < 4; n++) yield* deliver(responded(500))
      yield* adopt(withHealth({ version: 4, consecutiveFailures: 4, failingSince: 0 }))
      yield* deliver(responded(500))
      yield* adopt()
      assert.strictEqual((yield* health()).consecutiveFailures, 5)
      assert.deepStrictEqual(yield* deliver(responded(200)), Option.none())
      yield* adopt(withHealth({ version: 6 }))
      assert.strictEqual((yield* health()).consecutiveFailures, 0)
      assert.isTrue(Option.isSome(yield* deliver(responded(200))))
    }))

  test("takes over what a person's resuming left, and writes on top of it", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      for (let n = 0; n < 5; n++) yield* deliver(responded(500))
      const resumed = withHealth({ version: 2, lastSuccessAt: 0, circuitOpenUntil: 0 })
      yield* Settler.use((settler) => settler.resume(resumed))
      assert.deepStrictEqual(yield* health(), { ...resumed.health, version: 5 })
      yield* deliver(responded(200))
      const written = log.batches.flat().at(-1)?.health
      assert.deepStrictEqual(written, { ...healthy, version: 6, lastSuccessAt: 0 })
    }))

  test("forgets a webhook", () =>
    Effect.gen(function* () {
      const settler = yield* Settler
      yield* adopt()
      for (let n = 0; n < 5; n++) yield* deliver(responded(500))
      yield* settler.forget(webhook.id)
      assert.deepStrictEqual(yield* health(), healthy)
      assert.isTrue(Option.isSome(yield* deliver(responded(200))))
    }))

  test("throttles the webhook for as long as the receiver asked, the longest wish winning", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      const asks = (seconds: number) => responded(429, { "retry-after": `${seconds}` })
      assert.deepStrictEqual(yield* settle(asks(60)), { _tag: "Again", at: 60_000 })
      yield* settle(asks(30))
      assert.strictEqual((yield* health()).throttledUntil, 60_000)
      yield* settle(responded(200))
      assert.strictEqual((yield* health()).throttledUntil, 60_000)
      yield* TestClock.adjust(59_500)
      yield* settle(responded(200))
      yield* TestClock.adjust(500)
      yield* settle(responded(200))
      assert.strictEqual((yield* health()).throttledUntil, null)
      assert.deepStrictEqual(
        log.batches.flat().map(({ health }) => health?.throttledUntil),
        [60_000, 60_000, 60_000, 60_000, null]
      )
    }))

  test("exhausts a delivery that we refuse to send, at once", (log) =>
    Effect.gen(function* () {
      const heard = yield* alertsOf(settle(refused))
      assert.deepStrictEqual(heard, ["exhausted"])
      const [{ attempt } = assert.fail()] = log.batches.flat()
      assert.strictEqual(attempt.class, "blocked")
      assert.strictEqual(attempt.settled, "exhausted")
      assert.strictEqual(attempt.error, "10.0.0.1 is a private address")
    }))

  test("disables a webhook that is gone, once, though attempts were under way", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      const heard = yield* alertsOf(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* settle(responded(410)), { _tag: "Exhausted" })
          assert.deepStrictEqual(yield* settle(responded(410), { n: 2 }), { _tag: "Exhausted" })
        })
      )
      assert.deepStrictEqual(heard, ["exhausted", "disabled gone", "exhausted"])
      assert.deepStrictEqual(
        log.batches.flat().map(({ attempt, stop }) => [attempt.settled, stop]),
        [
          ["exhausted", { status: "disabled", reason: "gone" }],
          ["exhausted", null]
        ]
      )
    }))

  test("disables a webhook after five days of nothing but failures, and warns on the way", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      const heard = yield* alertsOf(
        Effect.gen(function* () {
          for (let hour = 0; hour <= 126; hour += 6) {
            yield* settle(responded(500))
            yield* TestClock.adjust("6 hours")
          }
        })
      )
      assert.deepStrictEqual(heard, [
        "failing 3",
        "failing 5",
        "failing 10",
        "warning 0.5",
        "warning 0.75",
        "warning 0.9",
        "disabled failing"
      ])
      const disabling = log.batches.flat().filter(({ stop }) => stop !== null)
      assert.strictEqual(disabling.length, 1)
      assert.strictEqual(disabling[0]?.health?.lastFailureAt, 5 * day)
      assert.strictEqual(disabling[0]?.attempt.settled, null)
    }))

  test("stops the webhook as its onFailure says, and keeps the delivery where it pauses", (log) =>
    Effect.gen(function* () {
      const onFailure = { status_4xx: "pause", tls: "disable" } as const
      const of = webhookWith({ onFailure, retry: { kind: "table", delaysMs: [1_000], jitter: 0 } })
      yield* adopt(of)
      const heard = yield* alertsOf(
        Effect.gen(function* () {
          const again = yield* settle(responded(403), { of })
          assert.deepStrictEqual(again, { _tag: "Again", at: 1_000 })
          const late = yield* settle(responded(403), { of, n: 2, tries: 1 })
          assert.deepStrictEqual(late, { _tag: "Exhausted" })
          const resumed = { ...of, status: "enabled" } as const
          yield* (yield* Settler).resume(resumed)
          const broken = { _tag: "Unreachable", cause: "tls", detail: "" } as const
          assert.deepStrictEqual(yield* settle(broken, { of, n: 3 }), { _tag: "Exhausted" })
        })
      )
      assert.deepStrictEqual(heard, ["paused", "exhausted", "exhausted", "disabled on_failure"])
      assert.deepStrictEqual(
        log.batches.flat().map(({ stop }) => stop),
        [
          { status: "paused", reason: "on_failure" },
          null,
          { status: "disabled", reason: "on_failure" }
        ]
      )
    }))

  test("disables nothing that a person has paused", (log) =>
    Effect.gen(function* () {
      yield* settle(responded(410), { of: { ...webhook, status: "paused" } })
      assert.strictEqual(log.batches.flat()[0]?.stop, null)
    }))

  test("tells of recovery after a row of failures that it told of", () =>
    Effect.gen(function* () {
      yield* adopt()
      const heard = yield* alertsOf(
        Effect.forEach([500, 500, 200, 500, 500, 500, 500, 200, 200], (status) =>
          settle(responded(status))
        )
      )
      assert.deepStrictEqual(heard, ["failing 3", "recovered 4"])
    }))

  let gate = Deferred.makeUnsafe<void, StoreError>()
  test(
    "answers and alerts only when the result is durable, but knows the health at once",
    (log) =>
      Effect.gen(function* () {
        gate = Deferred.makeUnsafe()
        yield* adopt()
        const heard = yield* alertsOf(
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(settle(responded(410)), {
              startImmediately: true
            })
            yield* TestClock.adjust("9 seconds")
            assert.strictEqual(log.batches.length, 1)
            assert.strictEqual(fiber.pollUnsafe(), undefined)
            assert.strictEqual((yield* health()).consecutiveFailures, 1)
            yield* Deferred.succeed(gate, undefined)
            assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Exhausted" })
          })
        )
        assert.deepStrictEqual(heard, ["exhausted", "disabled gone"])
      }),
    { answer: () => Deferred.await(gate) }
  )

  let refusals = 1
  test(
    "fails when the store refuses the result, and disables with the next one",
    (log) =>
      Effect.gen(function* () {
        refusals = 1
        yield* adopt()
        const heard = yield* alertsOf(
          Effect.gen(function* () {
            const failed = yield* Effect.exit(settle(responded(410)))
            assert.deepStrictEqual(failed, Exit.fail(storeError("refused")))
            yield* settle(responded(410))
          })
        )
        assert.deepStrictEqual(heard, ["exhausted", "disabled gone"])
        assert.strictEqual(log.batches.flat().at(-1)?.stop?.reason, "gone")
      }),
    { answer: () => (refusals-- > 0 ? Effect.fail(storeError("refused")) : Effect.void) }
  )

  test("gives concurrent settlements one commit and rising versions", (log) =>
    Effect.gen(function* () {
      yield* adopt()
      const ns = Array.from({ length: 100 }, (_, n) => n)
      yield* Effect.forEach(ns, (n) => settle(responded(503), { n }), {
        concurrency: "unbounded"
      })
      assert.strictEqual(log.batches.length, 1)
      assert.deepStrictEqual(
        log.batches.flat().map(({ health }) => health?.version),
        ns.map((n) => n + 1)
      )
      assert.strictEqual(new Set(log.batches.flat().map(({ attempt }) => attempt.id)).size, 100)
    }))
})
