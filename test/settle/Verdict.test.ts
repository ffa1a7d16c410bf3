import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Outcome } from "../../src/domain/Attempt.ts"
import { retryAfterMsMax } from "../../src/settle/RetryAfter.ts"
import { classify } from "../../src/domain/Attempt.ts"
import { defaultVerdicts, FailureVerdict } from "../../src/domain/OnFailure.ts"
import type { ClientErrors } from "../../src/domain/Webhook.ts"
import { decide, isRetryable, ruleOf, stopBy, throttledUntil } from "../../src/settle/Verdict.ts"
import { refused, responded } from "./Fixtures.ts"

const now = 1_000_000
const decideOn = (
  outcome: Outcome,
  delayMs: number | null = 5_000,
  clientErrors: ClientErrors = "retry",
  expiresAt: number | null = null
) =>
  decide({
    outcome,
    now,
    delayMs,
    expiresAt,
    rule: ruleOf(outcome, { clientErrors, onFailure: {} })
  })

const byDefault = { clientErrors: "retry", onFailure: {} } as const

const noAnswers: ReadonlyArray<Outcome> = [
  ...(["dns", "connect", "headers"] as const).map(
    (phase) => ({ _tag: "TimedOut", phase }) as const
  ),
  ...(["dns", "refused", "reset", "tls", "protocol"] as const).map(
    (cause) => ({ _tag: "Unreachable", cause, detail: "" }) as const
  )
]

describe("Verdict", () => {
  it("comes at the latest when the message expires", () => {
    const again = (expiresAt: number) => decideOn(responded(503), 5_000, "retry", expiresAt)
    assert.deepStrictEqual(again(now + 1_000), { _tag: "Again", at: now + 1_000 })
    assert.deepStrictEqual(again(now + 6_000), { _tag: "Again", at: now + 5_000 })
    assert.deepStrictEqual(decideOn(responded(503), null, "retry", now + 1), { _tag: "Exhausted" })
  })

  it("is decided by the status line: 2xx delivered, 410 exhausted, all else again", () => {
    for (let status = 0; status <= 999; status++) {
      const expected =
        status >= 200 && status < 300
          ? { _tag: "Delivered" }
          : status === 410
            ? { _tag: "Exhausted" }
            : { _tag: "Again", at: now + 5_000 }
      assert.deepStrictEqual<unknown>(decideOn(responded(status)), expected, `${status}`)
    }
  })

  it("is exhausted at once by a client error where that is permanent, and by nothing else", () => {
    const notWrong = [408, 410, 425, 429]
    for (let status = 0; status <= 999; status++) {
      const expected =
        status >= 400 && status < 500 && !notWrong.includes(status)
          ? { _tag: "Exhausted" }
          : decideOn(responded(status))
      const verdict = decideOn(responded(status), 5_000, "permanent")
      assert.deepStrictEqual<unknown>(verdict, expected, `${status}`)
    }
    for (const outcome of [...noAnswers, refused]) {
      assert.deepStrictEqual(decideOn(outcome, 5_000, "permanent"), decideOn(outcome))
    }
    const later = responded(404, { "retry-after": "60" })
    assert.strictEqual(decideOn(later, 5_000, "permanent")._tag, "Exhausted")
  })

  it("stays delivered when the body after a 2xx breaks off", () => {
    const broken: Outcome = {
      _tag: "Responded",
      statusCode: 200,
      headers: {},
      body: new Uint8Array(),
      truncated: true,
      bodyError: "no rest of the body in time"
    }
    assert.strictEqual(decideOn(broken)._tag, "Delivered")
  })

  it("is again when no answer came", () => {
    for (const outcome of noAnswers) {
      assert.deepStrictEqual(decideOn(outcome), { _tag: "Again", at: now + 5_000 })
    }
  })

  it("is exhausted when the attempts are used up, but 2xx and 410 stay what they are", () => {
    for (const outcome of [...noAnswers, responded(404), responded(500), responded(429)]) {
      assert.strictEqual(decideOn(outcome, null)._tag, "Exhausted")
    }
    assert.strictEqual(decideOn(responded(204), null)._tag, "Delivered")
    assert.strictEqual(decideOn(responded(410), null)._tag, "Exhausted")
  })

  it("is exhausted at once when we refused to send", () => {
    assert.strictEqual(decideOn(refused)._tag, "Exhausted")
  })

  it("puts the retry off when a failure carries Retry-After", () => {
    for (const status of [301, 400, 404, 429, 500, 503]) {
      const later = responded(status, { "retry-after": "60" })
      assert.deepStrictEqual(decideOn(later), { _tag: "Again", at: now + 60_000 })
      const sooner = responded(status, { "retry-after": "1" })
      assert.deepStrictEqual(decideOn(sooner), { _tag: "Again", at: now + 5_000 })
    }
    const forEver = responded(503, { "retry-after": "99999999" })
    assert.deepStrictEqual(decideOn(forEver), { _tag: "Again", at: now + retryAfterMsMax })
  })

  it("asks the retry policy only where trying again can help", () => {
    for (const outcome of [...noAnswers, responded(404), responded(503), responded(199)]) {
      assert.isTrue(isRetryable(ruleOf(outcome, byDefault)))
    }
    assert.isFalse(isRetryable(ruleOf(responded(404), { ...byDefault, clientErrors: "permanent" })))
    for (const outcome of [refused, responded(200), responded(299), responded(410)]) {
      assert.isFalse(isRetryable(ruleOf(outcome, byDefault)))
    }
  })

  it("is what the webhook's onFailure says of the class, before clientErrors and the default", () => {
    const failures = [301, 404, 410, 429, 500, 700].map((status) => responded(status))
    for (const outcome of [...noAnswers, refused, ...failures]) {
      const of = classify(outcome)
      if (of === "status_2xx" || of === "not_sent") assert.fail()
      for (const clientErrors of ["retry", "permanent"] as const) {
        for (const verdict of FailureVerdict.literals) {
          const rule = ruleOf(outcome, { clientErrors, onFailure: { [of]: verdict } })
          assert.strictEqual(rule, verdict, `${of} ${clientErrors}`)
        }
        const isShort = of === "status_4xx" && clientErrors === "permanent"
        const expected = isShort ? "exhaust" : defaultVerdicts[of]
        assert.strictEqual(ruleOf(outcome, { clientErrors, onFailure: {} }), expected, of)
      }
    }
    for (const status of [408, 425]) {
      const onFailure = { status_4xx: "exhaust" } as const
      assert.strictEqual(ruleOf(responded(status), { ...byDefault, onFailure }), "retry")
    }
  })

  it("is delivered by 2xx whatever onFailure says, and stops nothing", () => {
    const onFailure = Object.fromEntries(Object.keys(defaultVerdicts).map((of) => [of, "disable"]))
    assert.strictEqual(ruleOf(responded(200), { ...byDefault, onFailure }), "deliver")
    assert.strictEqual(stopBy("deliver", responded(200)), null)
    assert.strictEqual(stopBy("retry", responded(500)), null)
    assert.strictEqual(stopBy("exhaust", responded(404)), null)
    assert.strictEqual(stopBy("disable", responded(410))?.reason, "gone")
    assert.strictEqual(stopBy("disable", responded(404))?.reason, "on_failure")
    assert.deepStrictEqual(stopBy("pause", refused), { status: "paused", reason: "on_failure" })
  })

  it("throttles the whole webhook for Retry-After of 429 and 503 only", () => {
    const asks = { "retry-after": "60" }
    assert.strictEqual(throttledUntil(responded(429, asks), now), now + 60_000)
    assert.strictEqual(throttledUntil(responded(503, asks), now), now + 60_000)
    assert.strictEqual(throttledUntil(responded(500, asks), now), null)
    assert.strictEqual(throttledUntil(responded(200, asks), now), null)
    assert.strictEqual(throttledUntil(responded(429), now), null)
    for (const outcome of [...noAnswers, refused]) {
      assert.strictEqual(throttledUntil(outcome, now), null)
    }
  })

  it.prop(
    "never tries again earlier than policy and receiver ask, nor a day later than both",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 172_800_000 }))
    ],
    ([seconds, delayMs]) => {
      const verdict = decideOn(responded(503, { "retry-after": String(seconds) }), delayMs)
      assert.isTrue(verdict._tag === "Again")
      if (verdict._tag !== "Again") return
      assert.isAtLeast(verdict.at, now + delayMs)
      assert.isAtLeast(verdict.at, now + Math.min(seconds * 1000, retryAfterMsMax))
      assert.isAtMost(verdict.at, now + Math.max(delayMs, retryAfterMsMax))
    },
    { arbitrary: { runs: 200 } }
  )
})
