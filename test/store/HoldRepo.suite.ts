/**
 * What every HoldRepo does, wherever it keeps its row: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option, Queue } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { HoldRepo } from "../../src/store/HoldRepo.ts"

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<HoldRepo>) => {
  it.effect("a hold keeps its time and its reason until it is released", () =>
    Effect.gen(function* () {
      const repo = yield* HoldRepo
      assert.deepStrictEqual(yield* repo.release, Option.none())
      assert.deepStrictEqual(yield* repo.find, Option.none())
      yield* TestClock.setTime(1_000)
      assert.deepStrictEqual(yield* repo.hold("flood\0"), { reason: "flood\uFFFD", since: 1_000 })
      yield* TestClock.setTime(2_000)
      assert.deepStrictEqual(yield* repo.hold(null), { reason: "flood\uFFFD", since: 1_000 })
      const renamed = { reason: "other", since: 1_000 }
      assert.deepStrictEqual(yield* repo.hold("other"), renamed)
      assert.deepStrictEqual(yield* repo.find, Option.some(renamed))
      assert.deepStrictEqual(yield* repo.release, Option.some(renamed))
      assert.deepStrictEqual(yield* repo.find, Option.none())
    })
  )

  it.effect("a watcher is told how it is, and each change, before the change is answered", () =>
    Effect.gen(function* () {
      const repo = yield* HoldRepo
      yield* repo.hold(null)
      const told: Array<boolean> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* repo.watch((isHeld) => Effect.sync(() => void told.push(isHeld)))
          assert.deepStrictEqual(told, [true])
          yield* repo.hold("again")
          assert.deepStrictEqual(told, [true])
          yield* repo.release
          assert.deepStrictEqual(told, [true, false])
        })
      )
      yield* repo.hold(null)
      assert.deepStrictEqual(told, [true, false])
      yield* repo.release
    })
  )
}

/** Adds the test of what other processes may do to a database. */
export const byHand = (it: Vitest.MethodsNonLive<HoldRepo | SqlClient>) => {
  it.effect("a watcher is told of what another process did within five seconds", () =>
    Effect.gen(function* () {
      const repo = yield* HoldRepo
      const sql = yield* SqlClient
      const told: Array<boolean> = []
      const heard = yield* Queue.unbounded<boolean>()
      yield* repo.watch((isHeld) => Effect.asVoid(Queue.offer(heard, isHeld)))
      told.push(yield* Queue.take(heard))
      yield* sql`insert into hold (reason, since) values ('by hand', now())`
      yield* TestClock.adjust("5 seconds")
      told.push(yield* Queue.take(heard))
      yield* sql`delete from hold`
      yield* TestClock.adjust("5 seconds")
      told.push(yield* Queue.take(heard))
      assert.deepStrictEqual(told, [false, true, false])
    }).pipe(Effect.scoped)
  )
}
