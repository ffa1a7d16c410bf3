import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, References, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Settlement } from "../../src/store/DeliveryLog.ts"
import * as Writer from "../../src/settle/Writer.ts"
import { idOf, scriptedLog, storeError } from "./Fixtures.ts"

const settlement = (n: number, bodyBytes = 0): Settlement => ({
  attempt: {
    id: idOf("attempt", n),
    deliveryId: idOf("delivery", n),
    tenantId: idOf("tenant", 1),
    webhookId: idOf("webhook", 1),
    number: 1,
    startedAt: 0,
    durationMs: 1,
    class: "status_2xx",
    statusCode: 200,
    error: null,
    responseHeaders: null,
    responseBody: new Uint8Array(bodyBytes),
    responseTruncated: false,
    nextAt: null,
    settled: "delivered"
  },
  type: "invoice.paid",
  tries: 1,
  health: null,
  stop: null,
  notices: []
})

const ids = (batch: ReadonlyArray<Settlement>) => batch.map(({ attempt }) => attempt.id)
const idsOf = (...ns: ReadonlyArray<number>) => ns.map((n) => idOf("attempt", n))
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** Writes settlements at once; answers the fiber that waits for all of them. */
const writeAll = (write: Writer.Write, ns: ReadonlyArray<number>) =>
  Effect.forkChild(
    Effect.forEach(ns, (n) => write(settlement(n)), { concurrency: "unbounded" }),
    { startImmediately: true }
  )

describe("Writer", () => {
  it.effect("writes what comes together in one commit, within rows and bytes", () =>
    Effect.gen(function* () {
      const log = scriptedLog()
      const write = yield* Writer.make({ rowsMax: 3 }).pipe(Effect.provide(log.layer))
      const results = yield* Fiber.join(yield* writeAll(write, [1, 2, 3, 4]))
      assert.isTrue(results.every(Result.isSuccess))
      assert.deepStrictEqual(log.batches.map(ids), [idsOf(1, 2, 3), idsOf(4)])
      yield* Effect.all([write(settlement(5, 800_000)), write(settlement(6, 800_000))], {
        concurrency: 2
      })
      assert.deepStrictEqual(log.batches.slice(2).map(ids), [idsOf(5), idsOf(6)])
    })
  )

  it.effect("keeps results while the store is away, and asks ever later, up to a bound", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      let away = true
      const log = scriptedLog(() =>
        Effect.clockWith((clock) => {
          times.push(clock.currentTimeMillisUnsafe())
          return away ? Effect.fail(storeError("away")) : Effect.void
        })
      )
      const write = yield* Writer.make({ inFlightMax: 1 }).pipe(Effect.provide(log.layer))
      const first = yield* writeAll(write, [1, 2])
      yield* TestClock.adjust("10 minutes")
      const second = yield* writeAll(write, [3])
      const waits = times.slice(1).map((time, n) => time - times[n]!)
      waits.forEach((wait, n) => {
        const wanted = Math.min(100 * 2 ** n, 5_000)
        assert.isTrue(wait >= wanted * 0.75 && wait <= wanted * 1.25, `${wait} for ${wanted}`)
      })
      assert.isAbove(waits.length, 100)
      away = false
      yield* TestClock.adjust("7 seconds")
      assert.isTrue((yield* Fiber.join(first)).every(Result.isSuccess))
      assert.isTrue((yield* Fiber.join(second)).every(Result.isSuccess))
      assert.deepStrictEqual(log.batches.slice(-2).map(ids), [idsOf(1, 2), idsOf(3)])
    }).pipe(quiet)
  )

  it.effect("asks again when the store does not answer in time", () =>
    Effect.gen(function* () {
      let asked = 0
      const log = scriptedLog(() => (++asked === 1 ? Effect.never : Effect.void))
      const write = yield* Writer.make({}).pipe(Effect.provide(log.layer))
      const writing = yield* writeAll(write, [1, 2])
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(writing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.join(writing)).every(Result.isSuccess))
      assert.deepStrictEqual(log.batches.map(ids), [idsOf(1, 2), idsOf(1, 2)])
    }).pipe(quiet)
  )

  it.effect("fails the one settlement that the store refuses and writes those it came with", () =>
    Effect.gen(function* () {
      const refused = idOf("attempt", 42)
      const log = scriptedLog((batch) =>
        ids(batch).includes(refused) ? Effect.fail(storeError("refused")) : Effect.void
      )
      const write = yield* Writer.make({}).pipe(Effect.provide(log.layer))
      const all = Array.from({ length: 100 }, (_, n) => n)
      const results = yield* Fiber.join(yield* writeAll(write, all))
      results.forEach((result, n) => assert.strictEqual(Result.isFailure(result), n === 42))
      const written = log.batches.filter((batch) => !ids(batch).includes(refused)).flat()
      assert.sameMembers(ids(written), idsOf(...all.filter((n) => n !== 42)))
      assert.strictEqual(written.length, 99)
      assert.isBelow(log.batches.length, 20)
    }).pipe(quiet)
  )

  it.effect("dies with the log when it dies, as a fenced engine's does", () =>
    Effect.gen(function* () {
      const log = scriptedLog(() => Effect.die("fenced"))
      const write = yield* Writer.make({}).pipe(Effect.provide(log.layer))
      assert.deepStrictEqual(yield* Effect.exit(write(settlement(1))), Exit.die("fenced"))
    })
  )

  it.effect("lets settlements beyond its bound wait until there is room", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const log = scriptedLog(() => Deferred.await(gate))
      const write = yield* Writer.make({ inFlightMax: 1, pendingMax: 2, rowsMax: 1 }).pipe(
        Effect.provide(log.layer)
      )
      const first = yield* writeAll(write, [1])
      yield* Effect.yieldNow
      const rest = yield* writeAll(write, [2, 3, 4, 5])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log.batches.map(ids), [idsOf(1)])
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* Fiber.join(first)).every(Result.isSuccess))
      assert.isTrue((yield* Fiber.join(rest)).every(Result.isSuccess))
      assert.sameMembers(log.batches.flatMap(ids), idsOf(1, 2, 3, 4, 5))
    })
  )

  it.effect("tries what waits once more as its scope closes, and takes nothing after", () =>
    Effect.gen(function* () {
      const log = scriptedLog(() => Effect.fail(storeError("away")))
      const scope = yield* Scope.make()
      const write = yield* Writer.make({}).pipe(Effect.provide(log.layer), Scope.provide(scope))
      const fiber = yield* writeAll(write, [1, 2])
      yield* TestClock.adjust("1 minute")
      const tried = log.batches.length
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
        startImmediately: true
      })
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(log.batches.length, tried + 1)
      assert.isTrue((yield* Fiber.join(fiber)).every(Result.isFailure))
      const late = yield* Effect.exit(write(settlement(3)))
      assert.isTrue(Exit.hasInterrupts(late))
      assert.strictEqual(log.batches.length, tried + 1)
    }).pipe(quiet)
  )
})
