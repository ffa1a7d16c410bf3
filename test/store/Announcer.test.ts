import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import * as Announcer from "../../src/store/Announcer.ts"

const make = Announcer.make<string>("Test", 4)

describe("Announcer", () => {
  it.effect("ordered lets writes of one key wait for each other, in the order they came", () =>
    Effect.gen(function* () {
      const announcer = yield* make
      const gate = yield* Deferred.make<void>()
      const done: Array<number> = []
      const write = (i: number) =>
        Effect.andThen(
          i === 0 ? Deferred.await(gate) : Effect.void,
          Effect.sync(() => done.push(i))
        ).pipe(announcer.ordered("key"))
      const fibers = yield* Effect.forEach([0, 1, 2], (i) =>
        Effect.forkChild(write(i), { startImmediately: true })
      )
      yield* Effect.yieldNow
      assert.deepStrictEqual(done, [])
      yield* Deferred.succeed(gate, void 0)
      yield* Fiber.awaitAll(fibers)
      assert.deepStrictEqual(done, [0, 1, 2])
    })
  )

  it.effect("ordered lets writes of most other keys pass", () =>
    Effect.gen(function* () {
      const announcer = yield* make
      yield* Effect.forkChild(announcer.ordered("key")(Effect.never), { startImmediately: true })
      let passed = 0
      yield* Effect.forEach(
        Array.from({ length: 640 }, (_, i) => `key ${i}`),
        (key) =>
          Effect.forkChild(announcer.ordered(key)(Effect.sync(() => passed++)), {
            startImmediately: true
          })
      )
      // One of 64 locks is taken.
      assert.isAbove(passed, 600)
      assert.isBelow(passed, 640)
    })
  )

  it.effect("changes end with the announcer, after what was announced", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const announcer = yield* Scope.provide(make, scope)
      const reader = yield* Effect.forkChild(Stream.runCollect(announcer.changes), {
        startImmediately: true
      })
      yield* Effect.yieldNow
      yield* announcer.announce("a")
      yield* announcer.announce("b")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([...(yield* Fiber.join(reader))], ["a", "b"])
      assert.deepStrictEqual([...(yield* Stream.runCollect(announcer.changes))], [])
    })
  )

  it.effect("a listener that is given twice is called twice, until its own scope closes", () =>
    Effect.gen(function* () {
      const announcer = yield* make
      const heard: Array<string> = []
      const listener = (change: string) => Effect.sync(() => void heard.push(change))
      const scope = yield* Scope.make()
      yield* announcer.watch(listener)
      yield* Scope.provide(announcer.watch(listener), scope)
      yield* announcer.announce("a")
      yield* Scope.close(scope, Exit.void)
      yield* announcer.announce("b")
      assert.deepStrictEqual(heard, ["a", "a", "b"])
    })
  )
})
