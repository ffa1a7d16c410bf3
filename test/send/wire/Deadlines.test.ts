/**
 * Deadlines under a fake clock: none is missed, none comes early, and idle costs nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../../src/send/wire/Deadlines.ts"

const setUp = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const deadlines = yield* Deadlines.make
  const ended: Array<readonly [name: string, at: number]> = []
  const add = (name: string, endsAt: number) => {
    const timed = {
      endsAt,
      expire: () => void ended.push([name, Deadlines.monotonicMs(clock)])
    }
    deadlines.add(timed)
    return timed
  }
  return { deadlines, ended, add }
})

describe("Deadlines", () => {
  it.effect("end each at its time, whatever the order in which they came", () =>
    Effect.gen(function* () {
      const { ended, add } = yield* setUp
      add("a", 15_000)
      yield* TestClock.adjust("1 seconds")
      add("b", 1_050)
      add("c", 2_000)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(ended, [
        ["b", 1_050],
        ["c", 2_000],
        ["a", 15_000]
      ])
    })
  )

  it.effect("leave alone what was deleted, and notice what comes nearer in half a second", () =>
    Effect.gen(function* () {
      const { deadlines, ended, add } = yield* setUp
      const gone = add("gone", 1_000)
      const near = add("near", 9_000)
      yield* TestClock.adjust("100 millis")
      deadlines.delete(gone)
      near.endsAt = 150
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ended, [["near", 500]])
    })
  )

  it.effect("end at once what was over when it was added", () =>
    Effect.gen(function* () {
      const { ended, add } = yield* setUp
      yield* TestClock.adjust("1 seconds")
      add("late", 500)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        ended.map(([name]) => name),
        ["late"]
      )
    })
  )

  it.effect("go on after one that fails to end", () =>
    Effect.gen(function* () {
      const { deadlines, ended, add } = yield* setUp
      deadlines.add({
        endsAt: 100,
        expire: () => {
          throw new Error("broken")
        }
      })
      add("next", 100)
      add("later", 200)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(
        ended.map(([name]) => name),
        ["next", "later"]
      )
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.effect("sleep while there is nothing to watch", () =>
    Effect.gen(function* () {
      const { deadlines, ended, add } = yield* setUp
      deadlines.delete(add("done", 1_000))
      // A fiber that woke twice a second would not come to the end of a century.
      yield* TestClock.adjust("36500 days")
      assert.deepStrictEqual(ended, [])
    })
  )
})
