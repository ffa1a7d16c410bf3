import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { DisableAfter, healthy, type WebhookHealth } from "../../src/domain/Webhook.ts"
import { decide, progress, warningsCrossed } from "../../src/settle/AutoDisable.ts"

const day = 86_400_000
const failing = (consecutiveFailures: number, failingSince: number): WebhookHealth => ({
  ...healthy,
  consecutiveFailures,
  failingSince
})

describe("AutoDisable", () => {
  it("goes by the count of failures, by their length, or by what is nearer", () => {
    assert.strictEqual(progress(failing(3, 0), { failures: 10 }, 99 * day), 0.3)
    assert.strictEqual(progress(failing(3, 0), { durationMs: 4 * day }, day), 0.25)
    const both = { failures: 10, durationMs: 4 * day }
    assert.strictEqual(progress(failing(3, 0), both, day), 0.3)
    assert.strictEqual(progress(failing(2, 0), both, day), 0.25)
  })

  it("never goes anywhere when nothing is set, or nothing fails", () => {
    assert.strictEqual(progress(failing(1_000_000, 0), {}, 1000 * day), 0)
    assert.strictEqual(progress(healthy, { failures: 1, durationMs: 1 }, 1000 * day), 0)
  })

  it("disables a webhook that has failed as often or as long as is set", () => {
    const after = { failures: 10, durationMs: 5 * day }
    assert.strictEqual(decide(progress(failing(9, 0), after, 5 * day - 1)), null)
    const stop = { status: "disabled", reason: "failing" } as const
    assert.deepStrictEqual(decide(progress(failing(10, 0), after, 0)), stop)
    assert.deepStrictEqual(decide(progress(failing(1, 0), after, 5 * day)), stop)
  })

  it("warns at 50, 75 and 90 per cent", () => {
    assert.deepStrictEqual(warningsCrossed(0, 0.49), [])
    assert.deepStrictEqual(warningsCrossed(0.49, 0.5), [0.5])
    assert.deepStrictEqual(warningsCrossed(0.5, 0.74), [])
    assert.deepStrictEqual(warningsCrossed(0.5, 0.75), [0.75])
    assert.deepStrictEqual(warningsCrossed(0.1, 0.95), [0.5, 0.75, 0.9])
    assert.deepStrictEqual(warningsCrossed(0.9, 1), [])
  })

  it.prop(
    "gives each warning once on the whole way, whatever the steps",
    [DisableAfter, Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: day })))],
    ([after, steps]) => {
      const given: Array<number> = []
      let before = 0
      let now = 0
      for (const [index, step] of [...steps, 400 * day].entries()) {
        now += step
        const next = progress(failing(index + 1, 0), after, now)
        assert.isTrue(next >= before && next <= 1)
        given.push(...warningsCrossed(before, next))
        before = next
      }
      const whole =
        before >= 0.9 ? [0.5, 0.75, 0.9] : before >= 0.75 ? [0.5, 0.75] : before >= 0.5 ? [0.5] : []
      assert.deepStrictEqual(given, whole)
    },
    { arbitrary: { runs: 200 } }
  )
})
