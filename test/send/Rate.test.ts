import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { make } from "../../src/send/Rate.ts"

const times = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })))
const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("a bucket", () => {
  it("gives as many tokens at once as the limit says, and each back after its time", () => {
    const bucket = make()
    const rate = { limit: 3, perMs: 1_000 }
    assert.deepStrictEqual(
      [0, 0, 500, 500, 999].map((now) => bucket.take(rate, now)),
      [true, true, true, false, false]
    )
    assert.strictEqual(bucket.nextAt(rate, 999), 1_000)
    assert.strictEqual(bucket.left(rate, 1_000), 2)
    assert.strictEqual(bucket.left(rate, 1_500), 3)
  })

  it("takes a changed limit at once, counting what was taken under the former one", () => {
    const bucket = make()
    for (let n = 0; n < 10; n++) bucket.take({ limit: 10, perMs: 1_000 }, n * 100)
    const slower = { limit: 2, perMs: 1_000 }
    assert.strictEqual(bucket.left(slower, 950), 0)
    assert.strictEqual(bucket.nextAt(slower, 950), 1_800)
    assert.isTrue(bucket.take({ limit: 11, perMs: 1_000 }, 950))
  })

  it("holds a token for no longer than its time when the clock goes back", () => {
    const bucket = make()
    const rate = { limit: 1, perMs: 1_000 }
    bucket.take(rate, 10_000_000)
    assert.strictEqual(bucket.nextAt(rate, 5_000), 6_000)
    assert.isTrue(bucket.take(rate, 6_000))
  })

  it("gives tokens together, all of them or none, and tells when so many are there", () => {
    const bucket = make()
    const rate = { limit: 5, perMs: 1_000 }
    assert.isTrue(bucket.take(rate, 0, 2))
    assert.isTrue(bucket.take(rate, 100, 2))
    assert.isFalse(bucket.take(rate, 200, 2))
    assert.strictEqual(bucket.left(rate, 200), 1)
    assert.strictEqual(bucket.nextAt(rate, 200), 200)
    assert.deepStrictEqual(
      [2, 3, 4, 5].map((tokens) => bucket.nextAt(rate, 200, tokens)),
      [1_000, 1_000, 1_100, 1_100]
    )
    assert.isFalse(bucket.take(rate, 1_099, 5))
    assert.isTrue(bucket.take(rate, 1_100, 5))
  })

  it("gives a token again that nothing came of", () => {
    const bucket = make()
    const rate = { limit: 1, perMs: 1_000 }
    bucket.take(rate, 0)
    bucket.putBack()
    assert.isTrue(bucket.take(rate, 0))
    assert.isFalse(bucket.take(rate, 0))
  })

  it.prop(
    "never lets more begin within any span than the limit, and loses little of it",
    [times, between(1, 200), between(1, 3_000)],
    ([gaps, limit, perMs]) => {
      const bucket = make()
      const rate = { limit, perMs }
      const taken: Array<number> = []
      let now = 0
      for (const gap of [...gaps, ...gaps, ...gaps]) {
        now += gap
        if (bucket.take(rate, now)) taken.push(now)
        const within = taken.filter((at) => at > now - perMs).length
        assert.isAtMost(within, limit)
        // A token that is late was taken together with later ones.
        const late = taken.filter((at) => at > now - perMs - perMs / 32).length
        if (late < limit) assert.isAbove(bucket.left(rate, now), 0)
        else if (bucket.left(rate, now) === 0) assert.isAbove(bucket.nextAt(rate, now), now)
      }
    },
    { arbitrary: { runs: 300 } }
  )
})
