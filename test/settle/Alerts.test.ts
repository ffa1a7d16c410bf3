import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, References, Stream } from "effect"
import { healthy, type WebhookHealth } from "../../src/domain/Webhook.ts"
import { type Alert, Alerts, raisedBy } from "../../src/settle/Alerts.ts"
import { idOf, webhookWith } from "./Fixtures.ts"

const day = 86_400_000
const webhook = webhookWith({ disableAfter: { durationMs: 10 * day }, alertAt: [3, 5] })
const deliveryId = idOf("delivery", 1)

const failing = (consecutiveFailures: number, lastFailureAt: number): WebhookHealth => ({
  ...healthy,
  consecutiveFailures,
  failingSince: 0,
  lastFailureAt
})

/** The alerts of a failure at `now` that follows a row of failures, the last one at `before`. */
const ofFailure = (failures: number, before: number, now: number, rest: object = {}) =>
  raisedBy({
    webhook,
    before: failures === 1 ? healthy : failing(failures - 1, before),
    after: failing(failures, now),
    stop: null,
    exhausted: null,
    now,
    ...rest
  })

const ofSuccess = (failures: number, of = webhook) =>
  raisedBy({
    webhook: of,
    before: failures === 0 ? healthy : failing(failures, 0),
    after: { ...healthy, lastSuccessAt: 1 },
    stop: null,
    exhausted: null,
    now: 1
  })

describe("Alerts", () => {
  it("tell of failing once for each count that is set", () => {
    const told = Array.from({ length: 12 }, (_, n) => ofFailure(n + 1, 0, 0)).flat()
    assert.deepStrictEqual(told, [
      { _tag: "Failing", webhook, consecutiveFailures: 3 },
      { _tag: "Failing", webhook, consecutiveFailures: 5 }
    ])
  })

  it("warn on the way to being disabled, of the last share alone when several are passed", () => {
    assert.deepStrictEqual(ofFailure(7, 4 * day, 5 * day), [
      { _tag: "Warning", webhook, share: 0.5 }
    ])
    assert.deepStrictEqual(ofFailure(8, 5 * day, 6 * day), [])
    assert.deepStrictEqual(ofFailure(9, 6 * day, 9 * day), [
      { _tag: "Warning", webhook, share: 0.9 }
    ])
  })

  it("tell of being disabled, and then warn no more", () => {
    assert.deepStrictEqual(
      ofFailure(7, 4 * day, 10 * day, { stop: { status: "disabled", reason: "failing" } }),
      [{ _tag: "Disabled", webhook, reason: "failing" }]
    )
    assert.deepStrictEqual(
      ofFailure(1, 0, 0, { stop: { status: "disabled", reason: "gone" }, exhausted: deliveryId }),
      [
        { _tag: "Exhausted", webhook, deliveryId },
        { _tag: "Disabled", webhook, reason: "gone" }
      ]
    )
  })

  it("tell of recovery only when failing was told of", () => {
    assert.deepStrictEqual(ofSuccess(0), [])
    assert.deepStrictEqual(ofSuccess(2), [])
    assert.deepStrictEqual(ofSuccess(3), [{ _tag: "Recovered", webhook, failures: 3 }])
    assert.deepStrictEqual(ofSuccess(99, webhookWith({ alertAt: [] })), [])
    assert.strictEqual(ofSuccess(99, webhookWith({ alertAt: [100, 4] })).length, 1)
  })

  it("tell of each exhausted delivery", () => {
    assert.deepStrictEqual(ofFailure(1, 0, 0, { exhausted: deliveryId }), [
      { _tag: "Exhausted", webhook, deliveryId }
    ])
  })

  const all: ReadonlyArray<Alert> = [
    { _tag: "Failing", webhook, consecutiveFailures: 3 },
    { _tag: "Warning", webhook, share: 0.5 },
    { _tag: "Disabled", webhook, reason: "gone" },
    { _tag: "Exhausted", webhook, deliveryId },
    { _tag: "Recovered", webhook, failures: 3 }
  ]

  it.effect("are announced in order and logged as one line each, without secrets", () =>
    Effect.gen(function* () {
      const lines: Array<{ level: string; text: string }> = []
      const logger = Logger.map(Logger.formatJson, (text) => {
        lines.push({ level: JSON.parse(text).level, text })
      })
      const heard = yield* Effect.gen(function* () {
        const alerts = yield* Alerts
        const fiber = yield* alerts.changes.pipe(
          Stream.take(all.length),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        for (const alert of all) yield* alerts.raise(alert)
        return yield* Fiber.join(fiber)
      }).pipe(Effect.provide(Layer.merge(Alerts.layer, Logger.layer([logger]))))
      assert.deepStrictEqual(heard, all)
      assert.deepStrictEqual(
        lines.map(({ level }) => level),
        ["WARN", "WARN", "WARN", "INFO", "INFO"]
      )
      for (const { text } of lines) {
        const { annotations } = JSON.parse(text)
        assert.strictEqual(annotations.webhook, webhook.id)
        assert.strictEqual(annotations.tenant, webhook.tenantId)
        assert.notInclude(text, "do-not-log")
      }
    })
  )

  it.effect("wait for no reader: a slow one misses the oldest", () =>
    Effect.gen(function* () {
      const alerts = yield* Alerts
      const pull = yield* Stream.toPull(alerts.changes)
      const raise = (failures: number) => alerts.raise({ _tag: "Recovered", webhook, failures })
      // The first pull subscribes.
      const first = yield* Effect.forkChild(pull, { startImmediately: true })
      yield* raise(0)
      yield* Fiber.join(first)
      for (let n = 1; n <= 1_025; n++) yield* raise(n)
      const rest = yield* pull
      assert.strictEqual(rest[0]._tag === "Recovered" && rest[0].failures, 2)
    }).pipe(Effect.provide(Alerts.layer), Effect.provideService(References.MinimumLogLevel, "None"))
  )
})
