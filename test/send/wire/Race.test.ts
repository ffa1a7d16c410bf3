/**
 * Ways that are tried side by side, under a fake clock: when each begins, and what becomes of the others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../../src/send/wire/Deadlines.ts"
import { Race, type Way } from "../../../src/send/wire/Race.ts"

type Ended = Parameters<Way<string>>[0]

/** A race of named ways that do nothing by themselves, and what happened in it. */
const setUp = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const deadlines = yield* Deadlines.make
    const events: Array<string> = []
    const ends = new Map<string, Ended>()
    const tell = (event: string) => events.push(`${Deadlines.monotonicMs(clock)} ${event}`)
    const race = new Race<string>(
      { clock, deadlines },
      names.map((name): Way<string> => (ended) => {
        tell(`${name} begins`)
        ends.set(name, ended)
        return () => tell(`${name} is given up`)
      }),
      (result) => tell(Result.isSuccess(result) ? `${result.success} wins` : "all failed")
    )
    race.start()
    return {
      events,
      race,
      succeeds: (name: string) => ends.get(name)?.(Result.succeed(name)),
      fails: (name: string) => ends.get(name)?.(Result.fail(new Error(name)))
    }
  })

describe("A race", () => {
  it.effect(
    "begins the next way after 250 ms of silence and lets a slow one win all the same",
    () =>
      Effect.gen(function* () {
        const { events, succeeds } = yield* setUp("a", "b", "c")
        yield* TestClock.adjust(249)
        assert.deepStrictEqual(events, ["0 a begins"])
        yield* TestClock.adjust(151)
        succeeds("a")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(events, [
          "0 a begins",
          "250 b begins",
          "400 b is given up",
          "400 a wins"
        ])
      })
  )

  it.effect("begins the next way at once when one fails, and waits anew from there", () =>
    Effect.gen(function* () {
      const { events, fails, succeeds } = yield* setUp("a", "b", "c")
      yield* TestClock.adjust(100)
      fails("a")
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(events, ["0 a begins", "100 b begins"])
      yield* TestClock.adjust(50)
      succeeds("c")
      fails("b")
      assert.deepStrictEqual(events.slice(2), ["350 c begins", "350 b is given up", "350 c wins"])
    })
  )

  it.effect("fails when the last one has failed, once", () =>
    Effect.gen(function* () {
      const { events, fails } = yield* setUp("a", "b")
      yield* TestClock.adjust(250)
      fails("b")
      assert.lengthOf(events, 2)
      fails("a")
      fails("a")
      assert.deepStrictEqual(events.slice(2), ["250 all failed"])
    })
  )

  it.effect("tries four at most at once: the oldest makes room", () =>
    Effect.gen(function* () {
      const { events } = yield* setUp("a", "b", "c", "d", "e", "f")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(events.slice(4), [
        "1000 a is given up",
        "1000 e begins",
        "1250 b is given up",
        "1250 f begins"
      ])
    })
  )

  it.effect("reports nothing once it is cancelled", () =>
    Effect.gen(function* () {
      const { events, race, succeeds } = yield* setUp("a", "b")
      race.cancel()
      succeeds("a")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(events, ["0 a begins", "0 a is given up"])
    })
  )
})
