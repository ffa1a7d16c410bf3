/**
 * Whole stories of receivers whose misbehaviour takes hours to show. T-numbers are those of the
 * project's list of misbehaviours.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Random, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { currentSecret } from "../../src/domain/Webhook.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"

const url = "https://receiver.example/hook"

describe("a receiver", () => {
  it.effect("that flaps does not make its circuit flap more than once a minute (T-53)", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(url, { settings: { retry: "jittered", concurrency: 1 } })
      const answers = yield* Effect.forEach(Array.from({ length: 4_000 }), () =>
        Effect.map(Random.nextBoolean, (well) => ({ status: well ? 200 : 500 }))
      )
      yield* network.answer(url, ...answers)
      for (let minute = 0; minute < 60; minute++) {
        for (let i = 0; i < 10; i++) yield* engine.publish("a.b", { minute, i })
        yield* TestClock.adjust("1 minute")
      }
      // Closed, requests follow each other at once or by their retries; 30 s of silence is an opening.
      const sent = (yield* network.sent(url)).map(({ sentAt }) => sentAt)
      const openings = sent.filter((at, i) => i > 0 && at - sent[i - 1]! >= 29_000)
      assert.isAbove(sent.length, 400)
      assert.isAbove(openings.length, 0)
      assert.isAtMost(openings.length, 60)
    }).pipe(Effect.provide(TestEngine.layer()), Random.withSeed("flaps"))
  )

  it.effect("that accepts 300 s of age verifies the tenth try as it would the first (T-54)", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhook = yield* engine.webhook(url)
      const secret = Option.getOrThrow(currentSecret(webhook))
      yield* network.answer(url, { status: 500 })
      yield* engine.publish("a.b", { n: 1 })
      yield* TestClock.adjust("90 hours")
      const sent = yield* network.sent(url)
      assert.lengthOf(sent, 10)
      for (const { body, headers, sentAt } of sent) {
        const result = verify({
          secret: `whsec_${Buffer.from(Redacted.value(secret.key)).toString("base64")}`,
          headers,
          body: body ?? new Uint8Array(),
          nowSeconds: sentAt / 1_000
        })
        assert.isTrue(result.ok)
      }
      assert.lengthOf(new Set(sent.map(({ headers }) => headers["webhook-timestamp"])), 10)
    }).pipe(Effect.provide(TestEngine.layer()))
  )
})
