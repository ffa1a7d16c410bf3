import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { problems, WebhookSettings } from "../../src/domain/Webhook.ts"
import * as Samples from "../../src/testing/Samples.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const sample = <A>(arbitrary: Arbitrary.Arbitrary<A>, count: number) =>
  Arbitrary.sampleEffect(arbitrary, { count, seed: 7 })

describe("Samples", () => {
  it.effect("makes webhooks that the service takes", () =>
    Effect.gen(function* () {
      for (const { fields, url } of yield* sample(Samples.webhook, 200)) {
        const settings = yield* Schema.decodeUnknownEffect(WebhookSettings)(fields.settings)
        const whole = { auth: { kind: "none" }, headers: {}, settings, url } as const
        assert.deepStrictEqual(problems(whole, "hmac"), [])
      }
    })
  )

  it.effect("makes the same of the same seed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sample(Samples.message, 50), yield* sample(Samples.message, 50))
    })
  )

  it.effect("makes receivers behind which every delivery ends all the same", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      for (const { fields, url } of yield* sample(Samples.webhook, 10)) {
        yield* network.answer(url, ...(yield* sample(Samples.answer, 5)), { status: 200 })
        yield* engine.webhook(url, fields)
      }
      const sent = yield* Effect.forEach(
        yield* sample(Samples.message, 30),
        ({ data, options, type }) => engine.publish(type, data, options)
      )
      yield* TestClock.adjust("10 days")
      const deliveries = yield* Effect.forEach(sent, ({ id }) => engine.deliveries(id))
      assert.isAbove(deliveries.flat().length, 50)
      for (const { status } of deliveries.flat()) {
        assert.include(["delivered", "exhausted"], status)
      }
    }).pipe(Effect.provide(TestEngine.layer()))
  )
})
