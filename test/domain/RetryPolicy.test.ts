import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { attemptsMax, presets, resolve, Retry, RetryPreset } from "../../src/domain/RetryPolicy.ts"

const decode = Schema.decodeUnknownSync(Retry)
const isRetry = Schema.is(Retry)

const exponential = {
  kind: "exponential",
  baseMs: 1_000,
  factor: 2,
  capMs: 60_000,
  jitter: 0.5,
  attemptsMax: 8
} as const

describe("presets", () => {
  it("each have a name in the schema and are policies that the schema accepts", () => {
    assert.deepStrictEqual([...RetryPreset.literals], Object.keys(presets))
    for (const [name, policy] of Object.entries(presets)) {
      assert.deepStrictEqual<unknown>(decode(name), name)
      assert.deepStrictEqual(decode(policy), policy)
    }
  })

  it("standard is the schedule that Standard Webhooks recommends", () => {
    const hours = (n: number) => n * 3_600_000
    assert.deepStrictEqual(presets.standard.delaysMs, [
      5_000,
      300_000,
      1_800_000,
      hours(2),
      hours(5),
      hours(10),
      hours(14),
      hours(20),
      hours(24)
    ] as unknown as typeof presets.standard.delaysMs)
    const total = presets.standard.delaysMs.reduce((sum: number, delay) => sum + delay, 0)
    assert.strictEqual(total, hours(75) + 35 * 60_000 + 5_000)
  })

  it("make as many attempts as promised", () => {
    const attempts = Object.fromEntries(
      RetryPreset.literals.map((name) => [name, attemptsMax(resolve(name))])
    )
    assert.deepStrictEqual(attempts, {
      standard: 10,
      quick: 3,
      jittered: 7,
      patient: 11,
      steps: 6
    })
  })
})

describe("resolve", () => {
  it("finds a preset by its name and leaves a policy as it is", () => {
    assert.strictEqual(resolve("quick"), presets.quick)
    assert.strictEqual(resolve(exponential), exponential)
  })
})

describe("attemptsMax", () => {
  it("is one more than the delays of a table, and what an exponential policy says", () => {
    assert.strictEqual(attemptsMax({ kind: "table", delaysMs: [], jitter: 0 }), 1)
    assert.strictEqual(attemptsMax({ kind: "table", delaysMs: [1, 2], jitter: 0 }), 3)
    assert.strictEqual(attemptsMax(exponential), 8)
  })
})

describe("Retry", () => {
  it("accepts the bounds of every number", () => {
    const month = 30 * 86_400_000
    const accepted = [
      { ...exponential, baseMs: 1, factor: 1, capMs: 1, jitter: 0, attemptsMax: 1 },
      { ...exponential, baseMs: month, factor: 10, capMs: month, jitter: 1, attemptsMax: 100 },
      { ...exponential, factor: 1.5 },
      { kind: "table", delaysMs: [], jitter: 0 },
      { kind: "table", delaysMs: Array.from({ length: 100 }, () => month), jitter: 1 }
    ]
    for (const retry of accepted) assert.isTrue(isRetry(retry), JSON.stringify(retry))
  })

  it("refuses what is beyond them, and what is no policy", () => {
    const refused = [
      "slow",
      null,
      {},
      { kind: "linear" },
      { ...exponential, baseMs: 0 },
      { ...exponential, baseMs: 1.5 },
      { ...exponential, baseMs: 30 * 86_400_000 + 1 },
      { ...exponential, factor: 0.99 },
      { ...exponential, factor: 10.1 },
      { ...exponential, factor: Number.NaN },
      { ...exponential, jitter: -0.01 },
      { ...exponential, jitter: 1.01 },
      { ...exponential, attemptsMax: 0 },
      { ...exponential, attemptsMax: 101 },
      { kind: "exponential", delaysMs: [1], jitter: 0 },
      { kind: "table", delaysMs: [0], jitter: 0 },
      { kind: "table", delaysMs: Array.from({ length: 101 }, () => 1), jitter: 0 }
    ]
    for (const retry of refused) assert.isFalse(isRetry(retry), JSON.stringify(retry))
  })
})
