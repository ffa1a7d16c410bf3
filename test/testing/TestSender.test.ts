import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Attempt } from "../../src/domain/Attempt.ts"
import { type Answer, TestSender } from "../../src/testing/TestSender.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"

const url = "https://receiver.example/hook"

/** What the first attempt comes to when the receiver does this. */
const attemptAgainst = Effect.fnUntraced(function* (answer: Answer) {
  const engine = yield* TestEngine
  const network = yield* TestSender
  yield* network.answer(url, answer, { status: 200 })
  yield* engine.webhook(url, { settings: { timeoutMs: 5_000 } })
  const message = yield* engine.publish("invoice.paid", {})
  yield* TestClock.adjust("6 seconds")
  const [delivery] = yield* engine.deliveries(message.id)
  const [attempt] = yield* engine.attempts(delivery!.id)
  return attempt!
})

const test = <A, E>(name: string, body: () => Effect.Effect<A, E, TestEngine | TestSender>) =>
  it.effect(name, () => body().pipe(Effect.provide(TestEngine.layer())))

describe("TestSender", () => {
  for (const [answer, expected] of [
    [{ status: 503 }, { class: "status_5xx", durationMs: 0 }],
    [
      { status: 200, delayMs: 4_000 },
      { class: "status_2xx", durationMs: 4_000 }
    ],
    [
      { status: 200, delayMs: 60_000 },
      { class: "headers_timeout", durationMs: 5_000 }
    ],
    [{ timeout: "connect" }, { class: "connect_timeout", durationMs: 5_000 }],
    [
      { timeout: "dns", delayMs: 3_000 },
      { class: "dns", durationMs: 3_000 }
    ],
    [{ timeout: "headers" }, { class: "headers_timeout", durationMs: 5_000 }],
    [{ fault: "refused" }, { class: "refused" }],
    [{ fault: "reset" }, { class: "reset" }],
    [{ fault: "tls" }, { class: "tls" }],
    [{ fault: "auth" }, { class: "auth" }],
    [
      { status: 200, bodyError: "reset", truncated: true },
      { class: "status_2xx", settled: "delivered", error: "reset", responseTruncated: true }
    ]
  ] satisfies ReadonlyArray<readonly [Answer, Partial<Attempt>]>) {
    test(`makes an attempt come to ${JSON.stringify(answer)}`, () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* attemptAgainst(answer), expected)
      }))
  }

  test("lets Retry-After speak for the whole webhook", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const busy = { status: 429, headers: { "retry-after": "60" } }
      yield* network.answer(url, busy, { status: 200 })
      yield* engine.webhook(url)
      yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 second")
      yield* engine.publish("invoice.paid", 2)
      yield* TestClock.adjust("58 seconds")
      assert.lengthOf(yield* network.sent(url), 1)
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(yield* network.sent(url), 3)
    }))

  test("lets an answer go by the request", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, ({ headers }) => ({
        status: headers["posthaste-attempt"] === "3" ? 200 : 500
      }))
      yield* engine.webhook(url)
      yield* engine.publish("invoice.paid", {})
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        (yield* network.sent(url)).map(({ headers }) => headers["posthaste-attempt"]),
        ["1", "2", "3"]
      )
    }))
})
