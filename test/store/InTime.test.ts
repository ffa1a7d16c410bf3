/** How long somebody waits for a store that does not answer. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { inTime } from "../../src/store/InTime.ts"
import { StoreError } from "../../src/store/StoreError.ts"

describe("inTime", () => {
  it.effect("answers what comes in time, whatever it is", () =>
    Effect.gen(function* () {
      const bounded = inTime("Repo.find", "10 seconds")
      assert.strictEqual(yield* bounded(Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* Effect.exit(bounded(Effect.fail("no"))), Exit.fail("no"))
      assert.deepStrictEqual(yield* Effect.exit(bounded(Effect.die("bug"))), Exit.die("bug"))
    })
  )

  it.effect("gives up in time although what it waits for cannot be undone before", () =>
    Effect.gen(function* () {
      let undone = false
      const frozen = Effect.ensuring(
        Effect.never,
        Effect.andThen(
          Effect.sleep("1 hour"),
          Effect.sync(() => {
            undone = true
          })
        )
      )
      const waiting = yield* Effect.forkChild(
        Effect.flip(inTime("Repo.find", "10 seconds")(frozen))
      )
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(waiting)
      assert.instanceOf(error, StoreError)
      assert.isTrue(error.isRetryable)
      assert.isFalse(undone)
      yield* TestClock.adjust("1 hour")
      assert.isTrue(undone)
    })
  )

  it.effect("interrupts the work of whoever waits no longer", () =>
    Effect.gen(function* () {
      let interrupted = false
      const work = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted = true
        })
      )
      const waiting = yield* Effect.forkChild(inTime("Repo.find", "10 seconds")(work))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("1 second")
      assert.isTrue(interrupted)
    })
  )
})
