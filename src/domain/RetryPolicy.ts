/**
 * When a failed delivery is tried again: presets by name, or a policy written out.
 *
 * Only the shape is here; `settle/Backoff` turns a policy into a Schedule and computes delays.
 */
import * as Schema from "effect/Schema"

const Milliseconds = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 30 * 86_400_000 }))
const Jitter = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** Delays that grow: `baseMs × factorⁿ`, at most `capMs`, ± the share `jitter`. */
export const ExponentialPolicy = Schema.Struct({
  kind: Schema.Literal("exponential"),
  baseMs: Milliseconds,
  factor: Schema.Finite.check(Schema.isBetween({ minimum: 1, maximum: 10 })),
  capMs: Milliseconds,
  jitter: Jitter,
  attemptsMax: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
})
export type ExponentialPolicy = typeof ExponentialPolicy.Type

/** Delays written out: the first follows the first failure; after the last one is exhaustion. */
export const TablePolicy = Schema.Struct({
  kind: Schema.Literal("table"),
  delaysMs: Schema.Array(Milliseconds).check(Schema.isMaxLength(100)),
  jitter: Jitter
})
export type TablePolicy = typeof TablePolicy.Type

export const RetryPolicy = Schema.Union([ExponentialPolicy, TablePolicy])
export type RetryPolicy = typeof RetryPolicy.Type

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/**
 * The policies that have a name.
 *
 * **Details**
 *
 * `standard` is the schedule that Standard Webhooks recommends: ten attempts over 75 h 35 min 5 s.
 */
export const presets = {
  standard: {
    kind: "table",
    delaysMs: [
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
    jitter: 0.1
  },
  quick: {
    kind: "exponential",
    baseMs: second,
    factor: 2,
    capMs: 30 * second,
    jitter: 0,
    attemptsMax: 3
  },
  jittered: {
    kind: "exponential",
    baseMs: second,
    factor: 2,
    capMs: 5 * minute,
    jitter: 0.25,
    attemptsMax: 7
  },
  patient: {
    kind: "exponential",
    baseMs: 30 * second,
    factor: 2,
    capMs: 24 * hour,
    jitter: 0,
    attemptsMax: 11
  },
  steps: {
    kind: "table",
    delaysMs: [minute, 5 * minute, 15 * minute, hour, 4 * hour],
    jitter: 0
  }
} as const satisfies Record<string, RetryPolicy>

/** The name of a preset. */
export const RetryPreset = Schema.Literals(["standard", "quick", "jittered", "patient", "steps"])
export type RetryPreset = typeof RetryPreset.Type

/** What a webhook's `retry` may say: a preset's name or a policy. */
export const Retry = Schema.Union([RetryPreset, RetryPolicy])
export type Retry = typeof Retry.Type

/** Resolves a preset's name to its policy. */
export const resolve = (retry: Retry): RetryPolicy =>
  typeof retry === "string" ? presets[retry] : retry

/** The number of attempts that a policy makes at most. */
export const attemptsMax = (policy: RetryPolicy): number =>
  policy.kind === "table" ? policy.delaysMs.length + 1 : policy.attemptsMax

/** The longest time from the first attempt to the last one, in milliseconds, jitter included. */
export const windowMs = (policy: RetryPolicy): number => {
  const delays =
    policy.kind === "table"
      ? policy.delaysMs
      : Array.from({ length: policy.attemptsMax - 1 }, (_, i) =>
          Math.min(policy.capMs, policy.baseMs * policy.factor ** i)
        )
  return delays.reduce((sum, delay) => sum + delay, 0) * (1 + policy.jitter)
}
