import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as GroupCommit from "../../src/store/GroupCommit.ts"

/** A flush whose ends the test decides, recording the batches it saw. */
const manual = () => {
  const batches: Array<ReadonlyArray<number>> = []
  const ends: Array<Deferred.Deferred<ReadonlyArray<string>, string>> = []
  const flush = (items: ReadonlyArray<number>) => {
    const end = Deferred.makeUnsafe<ReadonlyArray<string>, string>()
    batches.push(items)
    ends.push(end)
    return Deferred.await(end)
  }
  const succeed = (index: number) =>
    Deferred.succeed(ends[index]!, batches[index]!.map(String)).pipe(Effect.andThen(turn))
  return { batches, ends, flush, succeed }
}

/** Ends the current turn of the event loop, and with it every flush that was scheduled. */
const turn = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

const defaults = { name: "numbers", sizeOf: () => 1, pendingMax: 1000 }

describe("GroupCommit", () => {
  it.effect("sends what is submitted in one turn in one flush and answers each its own", () =>
    Effect.gen(function* () {
      const batches: Array<ReadonlyArray<number>> = []
      const { submit } = yield* GroupCommit.make({
        ...defaults,
        flush: (items: ReadonlyArray<number>) => {
          batches.push(items)
          return Effect.succeed(items.map((n) => n * 2))
        }
      })
      const results = yield* Effect.forEach([1, 2, 3, 4], submit, { concurrency: "unbounded" })
      assert.deepStrictEqual(results, [2, 4, 6, 8])
      assert.deepStrictEqual(batches, [[1, 2, 3, 4]])
    })
  )

  it.effect("keeps at most inFlightMax flushes in flight and gathers the rest meanwhile", () =>
    Effect.gen(function* () {
      const control = manual()
      const group = yield* GroupCommit.make({ ...defaults, flush: control.flush, inFlightMax: 2 })
      const fibers: Array<Fiber.Fiber<string, unknown>> = []
      for (const n of [1, 2, 3, 4, 5]) {
        fibers.push(yield* Effect.forkChild(group.submit(n), { startImmediately: true }))
        yield* turn
      }
      assert.deepStrictEqual(control.batches, [[1], [2]])
      assert.strictEqual(group.pending(), 3)
      yield* control.succeed(1)
      assert.deepStrictEqual(control.batches, [[1], [2], [3, 4, 5]])
      assert.strictEqual(group.pending(), 0)
      yield* control.succeed(0)
      yield* control.succeed(2)
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["1", "2", "3", "4", "5"])
    })
  )

  it.effect("cuts batches at rowsMax and at bytesMax, and lets a larger item travel alone", () =>
    Effect.gen(function* () {
      const batches: Array<ReadonlyArray<number>> = []
      const { submit } = yield* GroupCommit.make({
        ...defaults,
        flush: (items: ReadonlyArray<number>) => {
          batches.push(items)
          return Effect.as(turn, items)
        },
        inFlightMax: 1,
        sizeOf: (n) => n,
        rowsMax: 3,
        bytesMax: 100
      })
      const items = [1, 2, 3, 4, 60, 50, 500, 5]
      assert.deepStrictEqual(
        yield* Effect.forEach(items, submit, { concurrency: "unbounded" }),
        items
      )
      assert.deepStrictEqual(batches, [[1, 2, 3], [4, 60], [50], [500], [5]])
    })
  )

  it.effect("fails each item of a failed flush with its error, and only those", () =>
    Effect.gen(function* () {
      const control = manual()
      const { submit } = yield* GroupCommit.make({ ...defaults, flush: control.flush, rowsMax: 2 })
      const exits = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], (n) => Effect.exit(submit(n)), { concurrency: "unbounded" })
      )
      yield* turn
      yield* Deferred.fail(control.ends[0]!, "down")
      yield* control.succeed(1)
      assert.deepStrictEqual(yield* Fiber.join(exits), [
        Exit.fail("down"),
        Exit.fail("down"),
        Exit.succeed("3")
      ])
    })
  )

  it.effect("passes a defect, a thrown error and a wrong number of results to each submitter", () =>
    Effect.gen(function* () {
      const bad: Array<Effect.Effect<ReadonlyArray<number>>> = [
        Effect.die(new Error("defect")),
        Effect.suspend(() => {
          throw new Error("thrown")
        }),
        Effect.succeed([1]),
        Effect.interrupt
      ]
      const expected = ["defect", "thrown", "numbers answered 1 of 2 items", "interrupted"]
      for (const [index, flush] of bad.entries()) {
        const { submit } = yield* GroupCommit.make({ ...defaults, flush: () => flush })
        const exits = yield* Effect.forEach([1, 2], (n) => Effect.exit(submit(n)), {
          concurrency: "unbounded"
        })
        for (const exit of exits) {
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
          assert.include(String(exit), expected[index]!)
        }
      }
    })
  )

  it.effect("flushes the item of an interrupted submitter all the same", () =>
    Effect.gen(function* () {
      const control = manual()
      const { submit } = yield* GroupCommit.make({ ...defaults, flush: control.flush })
      const gone = yield* Effect.forkChild(submit(1), { startImmediately: true })
      const stays = yield* Effect.forkChild(submit(2), { startImmediately: true })
      yield* Fiber.interrupt(gone)
      yield* turn
      assert.deepStrictEqual(control.batches, [[1, 2]])
      yield* control.succeed(0)
      assert.strictEqual(yield* Fiber.join(stays), "2")
    })
  )

  it.effect("refuses at once when pendingMax items or pendingBytesMax bytes wait", () =>
    Effect.gen(function* () {
      const control = manual()
      const group = yield* GroupCommit.make({
        ...defaults,
        flush: control.flush,
        inFlightMax: 1,
        sizeOf: (n) => n,
        pendingMax: 3,
        pendingBytesMax: 100,
        retryAfter: "3 seconds"
      })
      const submit = (n: number) =>
        Effect.forkChild(Effect.exit(group.submit(n)), { startImmediately: true })
      const first = yield* submit(1)
      yield* turn
      const large = yield* submit(90)
      const tooManyBytes = yield* submit(20)
      const rest = [yield* submit(2), yield* submit(3)]
      const tooMany = yield* submit(1)
      for (const fiber of [tooManyBytes, tooMany]) {
        const exit = yield* Fiber.join(fiber)
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(error, GroupCommit.Overloaded)
        assert.deepInclude(JSON.parse(JSON.stringify(error)), { name: "numbers" })
        assert.match(error.message, /^numbers /)
      }
      assert.strictEqual(group.pending(), 3)
      yield* control.succeed(0)
      yield* control.succeed(1)
      for (const fiber of [first, large, ...rest]) {
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
      }
    })
  )

  it.effect("finishes pending items and refuses new ones when its scope closes", () =>
    Effect.gen(function* () {
      const control = manual()
      const scope = yield* Scope.make()
      const group = yield* GroupCommit.make({
        ...defaults,
        flush: control.flush,
        inFlightMax: 1
      }).pipe(Scope.provide(scope))
      const fibers = [yield* Effect.forkChild(group.submit(1), { startImmediately: true })]
      yield* turn
      fibers.push(yield* Effect.forkChild(group.submit(2), { startImmediately: true }))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
        startImmediately: true
      })
      assert.instanceOf(yield* Effect.flip(group.submit(3)), GroupCommit.Overloaded)
      yield* control.succeed(0)
      assert.isUndefined(closing.pollUnsafe())
      yield* control.succeed(1)
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["1", "2"])
      yield* Fiber.join(closing)
      assert.deepStrictEqual(control.batches, [[1], [2]])
    })
  )

  it.effect("answers for a flush that is past its bound, and refuses until one has ended", () =>
    Effect.gen(function* () {
      const frozen = Deferred.makeUnsafe<void>()
      const batches: Array<ReadonlyArray<number>> = []
      const group = yield* GroupCommit.make({
        ...defaults,
        flush: (items: ReadonlyArray<number>) => {
          batches.push(items)
          const answer = Effect.succeed(items.map(String))
          // Its end takes a while, as that of a statement does whose server is silent.
          return batches.length > 1
            ? answer
            : Effect.onInterrupt(Effect.never, () => Deferred.await(frozen))
        },
        inFlightMax: 1,
        bound: { after: "10 seconds", unanswered: () => "unanswered" as const }
      })
      const first = yield* Effect.forkChild(group.submit(1), { startImmediately: true })
      yield* turn
      const second = yield* Effect.forkChild(group.submit(2), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.flip(Fiber.join(first)), "unanswered")
      assert.instanceOf(yield* Effect.flip(Fiber.join(second)), GroupCommit.Overloaded)
      assert.instanceOf(yield* Effect.flip(group.submit(3)), GroupCommit.Overloaded)
      assert.strictEqual(group.pending(), 0)

      yield* Deferred.succeed(frozen, undefined)
      yield* turn
      assert.strictEqual(yield* group.submit(4), "4")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* group.submit(5), "5")
      assert.deepStrictEqual(batches, [[1], [4], [5]])
    })
  )
})
