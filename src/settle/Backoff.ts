/**
 * Turns a retry policy into the delay after a failed attempt.
 *
 * A policy is a `Schedule`. Its delays without jitter are worked out once for each policy and kept as
 * long as the policy itself is; what is done per failure is to pick one and to jitter it. So the
 * hundredth delay costs as little as the first.
 *
 * Jitter applies to the capped delay: a cap of 5 minutes ± 25 % waits between 3:45 and 6:15.
 */
import { Cause, Duration, Effect, Option, Pull, Random, Schedule } from "effect"
import type { RetryPolicy } from "../domain/RetryPolicy.ts"

/**
 * Draws the delay in milliseconds between a failed attempt and the next; none when the policy's
 * attempts are used up. `failures` counts the attempts of this round, the failed one included.
 */
export const delayMs = Effect.fnUntraced(function* (
  policy: RetryPolicy,
  failures: number
): Effect.fn.Return<Option.Option<number>> {
  const delay = (plans.get(policy) ?? (yield* plan(policy)))[failures - 1]
  return delay === undefined ? Option.none() : Option.some(yield* jitter(delay, policy.jitter))
})

/** Tells when to try again, in epoch milliseconds: never earlier than the receiver asked. */
export const retryAt = (input: {
  readonly now: number
  readonly delayMs: number
  /** Epoch milliseconds, as `retryAfterAt` reads it. */
  readonly retryAfterAt: number | null
}): number => Math.max(input.now + input.delayMs, input.retryAfterAt ?? 0)

/** Scales each delay of a schedule by a random factor between `1 - fraction` and `1 + fraction`. */
export const jitteredBy =
  (fraction: number) =>
  <O, I, E, R>(self: Schedule.Schedule<O, I, E, R>): Schedule.Schedule<O, I, E, R> =>
    Schedule.modifyDelay(self, ({ duration }) => jitter(Duration.toMillis(duration), fraction))

/** Builds the schedule of a policy, without its jitter. It ends when the attempts are used up. */
export const schedule = (policy: RetryPolicy): Schedule.Schedule<Duration.Duration> =>
  policy.kind === "table"
    ? table(policy.delaysMs)
    : Schedule.min([
        Schedule.exponential(policy.baseMs, policy.factor),
        Schedule.spaced(policy.capMs)
      ]).pipe(Schedule.upTo({ times: policy.attemptsMax - 1 }))

const table = (delaysMs: ReadonlyArray<number>): Schedule.Schedule<Duration.Duration> =>
  Schedule.fromStepWithMetadata(
    Effect.succeed(({ attempt }: Schedule.InputMetadata<unknown>) => {
      const delay = delaysMs[attempt - 1]
      if (delay === undefined) return Cause.done(Duration.zero)
      const duration = Duration.millis(delay)
      return Effect.succeed<[Duration.Duration, Duration.Duration]>([duration, duration])
    })
  )

const plans = new WeakMap<RetryPolicy, ReadonlyArray<number>>()

/** Walks through the schedule of a policy without sleeping and keeps its delays. */
const plan = Effect.fnUntraced(function* (policy: RetryPolicy) {
  const step = yield* Schedule.toStep(schedule(policy))
  const delays: Array<number> = []
  let now = 0
  while (true) {
    const delay = yield* Pull.matchEffect(step(now, undefined), {
      onSuccess: ([, duration]) => Effect.succeed(Duration.toMillis(duration)),
      onFailure: Effect.failCause,
      onDone: () => Effect.succeed(undefined)
    })
    if (delay === undefined) break
    delays.push(delay)
    now += delay
  }
  plans.set(policy, delays)
  return delays
})

const jitter = (delay: number, fraction: number): Effect.Effect<number> =>
  fraction === 0
    ? Effect.succeed(Math.round(delay))
    : Effect.map(Random.nextBetween(1 - fraction, 1 + fraction), (factor) =>
        Math.round(delay * factor)
      )
