import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { givenUpOn } from "../../src/domain/Redelivery.ts"
import { Redeliveries } from "../../src/send/Redeliveries.ts"
import { Ids } from "../../src/store/Ids.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

/** Publishes so many messages to a receiver that refuses all of them for good. */
const exhaust = Effect.fnUntraced(function* (count: number) {
  const engine = yield* TestEngine
  const network = yield* TestSender
  yield* network.answer(url, { status: 400 })
  yield* engine.webhook(url, {
    settings: { clientErrors: "permanent", circuit: { failures: 1_000 }, concurrency: 256 }
  })
  for (let i = 0; i < count; i++) yield* engine.publish("invoice.paid", i)
  yield* TestClock.adjust(0)
  yield* TestClock.adjust("1 second")
  assert.lengthOf(yield* network.sent(url), count)
  yield* network.answer(url, { status: 200 })
})

const start = Effect.gen(function* () {
  const { tenantId } = yield* TestEngine
  return yield* (yield* Redeliveries).start({
    id: yield* (yield* Ids).next("redelivery"),
    tenantId,
    filter: givenUpOn,
    idempotency: null
  })
})

const jobOf = Effect.fnUntraced(function* (id: Effect.Success<typeof start>["id"]) {
  const { tenantId } = yield* TestEngine
  return Option.getOrThrow(yield* (yield* RedeliveryRepo).find(tenantId, id))
})

/** Lets seconds pass bit by bit: a step in which a second passes is followed by a second of rest. */
const pass = (seconds: number) =>
  Effect.repeat(TestClock.adjust("50 millis"), { times: seconds * 20 - 1 })

describe("Redeliveries", () => {
  it.effect("redelivers at most so many a second, and each delivery once", () =>
    Effect.gen(function* () {
      yield* exhaust(50)
      const network = yield* TestSender
      const { id } = yield* start
      yield* pass(1)
      const first = yield* jobOf(id)
      assert.strictEqual(first.matched, 50)
      assert.isAtLeast(first.done, 10)
      assert.isAtMost(first.done, 20)
      yield* pass(60)
      assert.deepInclude(yield* jobOf(id), { state: "done", done: 50 })
      assert.lengthOf(yield* network.sent(url), 100)
    }).pipe(Effect.provide(TestEngine.layer({ redeliveries: { perSecond: 10, stepMax: 5 } })))
  )

  it.effect("takes several jobs forward in turn", () =>
    Effect.gen(function* () {
      yield* exhaust(40)
      const one = yield* start
      const two = yield* start
      yield* pass(2)
      // The second one finds what the first one has not come to yet.
      assert.isAbove((yield* jobOf(one.id)).done, 0)
      assert.isAbove((yield* jobOf(two.id)).matched, 0)
      yield* pass(60)
      const jobs = [yield* jobOf(one.id), yield* jobOf(two.id)]
      assert.deepStrictEqual(
        jobs.map(({ state }) => state),
        ["done", "done"]
      )
      assert.strictEqual(jobs[0]!.done + jobs[1]!.done, 40)
    }).pipe(Effect.provide(TestEngine.layer({ redeliveries: { perSecond: 10, stepMax: 5 } })))
  )

  it.effect("lets messages that come meanwhile go out at once", () =>
    Effect.gen(function* () {
      yield* exhaust(300)
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* start
      yield* pass(1)
      const before = (yield* network.sent(url)).length
      assert.isBelow(before, 600)
      const { id } = yield* engine.publish("invoice.paid", "live")
      yield* TestClock.adjust("1 milli")
      const [delivery] = yield* engine.deliveries(id)
      assert.strictEqual(delivery?.status, "delivered")
    }).pipe(Effect.provide(TestEngine.layer({ redeliveries: { perSecond: 100, stepMax: 10 } })))
  )

  it.effect("goes on with what an earlier run left unfinished", () =>
    Effect.gen(function* () {
      const stores = yield* Layer.build(TestEngine.layer())
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* exhaust(10)
          const { tenantId } = yield* TestEngine
          const job = yield* (yield* RedeliveryRepo).create({
            id: yield* (yield* Ids).next("redelivery"),
            tenantId,
            filter: givenUpOn,
            idempotency: null
          })
          yield* pass(60)
          assert.strictEqual((yield* jobOf(job.id)).state, "counting")
          yield* Layer.build(Layer.fresh(Redeliveries.layer()))
          yield* pass(60)
          assert.deepInclude(yield* jobOf(job.id), { state: "done", done: 10 })
        }),
        stores
      )
    })
  )
})
