import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Pull, Random, Schedule, Schema } from "effect"
import { attemptsMax, presets, resolve, RetryPolicy } from "../../src/domain/RetryPolicy.ts"
import { delayMs, jitteredBy, retryAt, schedule } from "../../src/settle/Backoff.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** Every delay of a policy until its attempts are used up. */
const delays = Effect.fnUntraced(function* (policy: RetryPolicy) {
  const all: Array<number> = []
  while (true) {
    const delay = yield* delayMs(policy, all.length + 1)
    if (Option.isNone(delay)) return all
    all.push(delay.value)
  }
})

/** The delays that a policy describes, without its jitter. */
const described = (policy: RetryPolicy): ReadonlyArray<number> =>
  policy.kind === "table"
    ? policy.delaysMs
    : Array.from({ length: policy.attemptsMax - 1 }, (_, n) =>
        Math.min(policy.baseMs * policy.factor ** n, policy.capMs)
      )

describe("Backoff", () => {
  const withoutJitter = {
    standard: [
      5 * second,
      5 * minute,
      30 * minute,
      2 * hour,
      5 * hour,
      10 * hour,
      14 * hour,
      20 * hour,
      24 * hour
    ],
    quick: [1 * second, 2 * second],
    jittered: [1, 2, 4, 8, 16, 32].map((n) => n * second),
    patient: [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256].map((n) => n * minute),
    steps: [1 * minute, 5 * minute, 15 * minute, 1 * hour, 4 * hour]
  }
  for (const name of Object.keys(withoutJitter) as Array<keyof typeof withoutJitter>) {
    it.effect(`waits as the preset ${name} says`, () =>
      Effect.gen(function* () {
        const policy = { ...resolve(name), jitter: 0 }
        assert.deepStrictEqual(yield* delays(policy), withoutJitter[name])
      })
    )
  }

  it("spreads the standard preset over 75 h 35 min 5 s", () => {
    const sum = withoutJitter.standard.reduce((a, b) => a + b)
    assert.strictEqual(sum, 75 * hour + 35 * minute + 5 * second)
  })

  it.effect("caps what grows", () =>
    Effect.gen(function* () {
      const policy: RetryPolicy = { ...presets.quick, capMs: 3 * second, attemptsMax: 6 }
      assert.deepStrictEqual(yield* delays(policy), [1000, 2000, 3000, 3000, 3000])
    })
  )

  it.effect("never tries again where one attempt is all", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* delays({ ...presets.quick, attemptsMax: 1 }), [])
      assert.deepStrictEqual(yield* delays({ ...presets.steps, delaysMs: [] }), [])
    })
  )

  it.effect.prop(
    "waits as described, give or take the jitter, one time less than there are attempts",
    [RetryPolicy, Schema.String],
    ([policy, seed]) =>
      Effect.gen(function* () {
        const drawn = yield* delays(policy)
        const expected = described(policy)
        assert.strictEqual(drawn.length, attemptsMax(policy) - 1)
        assert.strictEqual(drawn.length, expected.length)
        drawn.forEach((delay, n) => {
          const low = Math.floor(expected[n]! * (1 - policy.jitter))
          const high = Math.ceil(expected[n]! * (1 + policy.jitter))
          assert.isTrue(delay >= 0 && delay >= low && delay <= high, `${low} ${delay} ${high}`)
        })
      }).pipe(Random.withSeed(seed)),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "never waits less after more failures, but for the jitter",
    [RetryPolicy.members[0]],
    ([policy]) =>
      Effect.gen(function* () {
        const drawn = yield* delays({ ...policy, jitter: 0 })
        drawn.forEach((delay, n) => assert.isTrue(n === 0 || delay >= drawn[n - 1]!))
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect("draws from the whole of the jitter, evenly", () =>
    Effect.gen(function* () {
      const buckets = Array.from({ length: 10 }, () => 0)
      for (let i = 0; i < 5_000; i++) {
        const delay = Option.getOrThrow(yield* delayMs(presets.standard, 9))
        const share = (delay / (24 * hour) - 0.9) / 0.2
        buckets[Math.min(9, Math.floor(share * 10))]! += 1
      }
      const chiSquared = buckets.reduce((sum, n) => sum + (n - 500) ** 2 / 500, 0)
      // Nine degrees of freedom: one seed in a thousand would exceed this by chance.
      assert.isBelow(chiSquared, 27.9)
    }).pipe(Random.withSeed("even"))
  )

  it.effect("draws the same delays from the same seed, others from another", () =>
    Effect.gen(function* () {
      const first = yield* delays(presets.standard).pipe(Random.withSeed("a"))
      assert.deepStrictEqual(yield* delays(presets.standard).pipe(Random.withSeed("a")), first)
      assert.notDeepEqual(yield* delays(presets.standard).pipe(Random.withSeed("b")), first)
    })
  )

  it.effect("builds schedules that wait the same delays", () =>
    Effect.gen(function* () {
      for (const policy of Object.values(presets)) {
        const step = yield* Schedule.toStep(schedule(policy))
        for (const expected of described(policy)) {
          const [, delay] = yield* step(0, undefined)
          assert.strictEqual(Duration.toMillis(delay), expected)
        }
        const end = yield* Pull.matchEffect(step(0, undefined), {
          onSuccess: () => Effect.succeed("goes on"),
          onFailure: () => Effect.succeed("fails"),
          onDone: () => Effect.succeed("ends")
        })
        assert.strictEqual(end, "ends")
      }
    })
  )

  it.effect.prop(
    "jitters each delay of a schedule within the fraction",
    [Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })), Schema.String],
    ([fraction, seed]) =>
      Effect.gen(function* () {
        const step = yield* Schedule.toStep(Schedule.spaced(10_000).pipe(jitteredBy(fraction)))
        for (let i = 0; i < 10; i++) {
          const delay = Duration.toMillis((yield* step(0, undefined))[1])
          assert.isTrue(Math.abs(delay - 10_000) <= 10_000 * fraction + 1)
        }
      }).pipe(Random.withSeed(seed)),
    { arbitrary: { runs: 50 } }
  )

  it("tries again after the delay, and never earlier than the receiver asked", () => {
    assert.strictEqual(retryAt({ now: 100, delayMs: 50, retryAfterAt: null }), 150)
    assert.strictEqual(retryAt({ now: 100, delayMs: 50, retryAfterAt: 149 }), 150)
    assert.strictEqual(retryAt({ now: 100, delayMs: 50, retryAfterAt: 151 }), 151)
  })
})
