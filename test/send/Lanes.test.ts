/**
 * The lanes of an engine in memory, under a fake clock, with faults planted below and beside them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import { TestClock } from "effect/testing"
import * as Engine from "../../src/Engine.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { type Stores, TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** The bodies that arrived at a URL, as the `n` in their data, in the order of arrival. */
const arrived = Effect.fnUntraced(function* (at: string) {
  const network = yield* TestSender
  return (yield* network.sent(at)).map(({ body }) => {
    const message: { readonly data: { readonly n: number } } = JSON.parse(
      new TextDecoder().decode(body ?? new Uint8Array())
    )
    return message.data.n
  })
})

const publishMany = (from: number, to: number) =>
  Effect.gen(function* () {
    const engine = yield* TestEngine
    for (let n = from; n < to; n++) yield* engine.publish("a.b", { n })
  })

describe("Lanes", () => {
  it.effect("send what stood in line in the store before what came later", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 200, delayMs: 10 })
      yield* engine.webhook(url, { settings: { concurrency: 1 } })
      // One message every 4 ms, of which one is sent every 10 ms: room comes and goes meanwhile.
      for (let n = 0; n < 50; n++) {
        yield* publishMany(n, n + 1)
        yield* TestClock.adjust(4)
      }
      yield* TestClock.adjust("5 seconds")
      const order = yield* arrived(url)
      assert.deepStrictEqual(
        order,
        Array.from({ length: 50 }, (_, n) => n)
      )
    }).pipe(Effect.provide(overMemory(readingSlowly, { lanes: { mailboxMax: 5 } })))
  )

  it.effect("send fresh messages at once while others wait for their retry", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, ...Array.from({ length: 20 }, () => ({ status: 500 })), {
        status: 200
      })
      yield* engine.webhook(url, {
        settings: {
          circuit: { failures: 1_000 },
          retry: { kind: "table", delaysMs: [60_000], jitter: 0 }
        }
      })
      yield* publishMany(0, 20)
      yield* TestClock.adjust("1 second")
      yield* publishMany(20, 30)
      yield* TestClock.adjust(0)
      assert.lengthOf(yield* network.sent(url), 30)
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(yield* network.sent(url), 50)
    }).pipe(Effect.provide(overMemory(readingSlowly)))
  )

  it.effect("hold no more in memory than they may, and lose nothing of the rest", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 200, delayMs: 1_000 })
      yield* engine.webhook(url, { settings: { concurrency: 10 } })
      yield* publishMany(0, 300)
      yield* TestClock.adjust(0)
      assert.isAtMost((yield* lanes.stats).held, 40)
      yield* TestClock.adjust("1 minute")
      assert.sameMembers(
        [...(yield* arrived(url))],
        Array.from({ length: 300 }, (_, n) => n)
      )
      assert.strictEqual((yield* lanes.stats).held, 0)
    }).pipe(Effect.provide(TestEngine.layer({ lanes: { heldMax: 40, refillMax: 20 } })))
  )

  it.effect("put off a delivery whose handling meets a defect, and go on with the others", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook(url)
      yield* publishMany(0, 1)
      yield* TestClock.adjust("1 second")
      yield* publishMany(1, 5)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* arrived(url), [0, 1, 2, 3, 4])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [0, 1, 2, 3, 4, 0])
      yield* TestClock.adjust("1 day")
      assert.lengthOf(yield* arrived(url), 6)
    }).pipe(Effect.provide(overMemory(forgettingOnce)), quiet)
  )

  it.effect("restart a lane alone when a defect ends it", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const other = "https://other.example/"
      const network = yield* TestSender
      // The backlog is read by the lane itself: its first reading dies.
      yield* network.answer(url, { status: 500 }, { status: 200 })
      yield* engine.webhook(url, {
        settings: { retry: { kind: "table", delaysMs: [1_000], jitter: 0 } }
      })
      yield* engine.webhook(other)
      yield* publishMany(0, 1)
      yield* TestClock.adjust("10 seconds")
      yield* publishMany(1, 2)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* arrived(url), [0, 0, 1])
      assert.deepStrictEqual(yield* arrived(other), [0, 1])
    }).pipe(Effect.provide(overMemory(dyingOnce)), quiet)
  )

  it.effect("send nothing that was cancelled while it waited for its turn", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* network.answer(url, { status: 200, delayMs: 1_000 })
      yield* engine.webhook(url)
      yield* publishMany(0, 1)
      const second = yield* engine.publish("a.b", { n: 1 })
      yield* TestClock.adjust(500)
      const [delivery] = yield* engine.deliveries(second.id)
      yield* (yield* Lanes).cancel(engine.tenantId, delivery!.id)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [0])
    }).pipe(Effect.provide(TestEngine.layer({ lanes: { inFlightMax: 1 } })))
  )

  it.effect("send what was cancelled and sent again while its attempt was under way", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* network.answer(url, { fault: "crowd", delayMs: 1_000 }, { status: 200 })
      yield* engine.webhook(url)
      const message = yield* engine.publish("a.b", { n: 0 })
      yield* TestClock.adjust(500)
      const [delivery] = yield* engine.deliveries(message.id)
      yield* lanes.cancel(engine.tenantId, delivery!.id)
      yield* lanes.redeliver(engine.tenantId, delivery!.id)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [0, 0])
      assert.strictEqual((yield* engine.deliveries(message.id))[0]?.status, "delivered")
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("send what was cancelled and sent again while a retry of it was delivered", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 500 }, { status: 200, delayMs: 1_000 }, { status: 200 })
      yield* engine.webhook(url, {
        settings: { retry: { kind: "table", delaysMs: [1_000, 1_000], jitter: 0 } }
      })
      const message = yield* engine.publish("a.b", { n: 0 })
      yield* TestClock.adjust(1_500)
      assert.deepStrictEqual(yield* arrived(url), [0, 0])
      const [delivery] = yield* engine.deliveries(message.id)
      yield* lanes.cancel(engine.tenantId, delivery!.id)
      yield* lanes.redeliver(engine.tenantId, delivery!.id)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [0, 0, 0])
      assert.strictEqual((yield* engine.deliveries(message.id))[0]?.status, "delivered")
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("deliver a message whose commit was answered by a lost connection", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook(url)
      const error = yield* Effect.flip(engine.publish("a.b", { n: 1 }))
      assert.strictEqual(error._tag, "StoreError")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [1])
    }).pipe(Effect.provide(overMemory(committingInSilence)), quiet)
  )

  it.effect("deliver what waits in the store although the answer to its commit was lost", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* engine.webhook(url, { settings: { ordering: "key" } })
      yield* Effect.flip(engine.publish("a.b", { n: 1 }, { orderingKey: "k" }))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived(url), [1])
    }).pipe(Effect.provide(overMemory(committingInSilence)), quiet)
  )
})

const overMemory = <A>(faulty: Layer.Layer<A, never, Stores>, options: Engine.EngineOptions = {}) =>
  TestEngine.layerOver(faulty.pipe(Layer.provideMerge(Engine.layerStoresMemory())), options)

const forgettingOnce = Layer.effect(
  DeliveryLog,
  Effect.gen(function* () {
    const log = yield* DeliveryLog
    let died = false
    return DeliveryLog.of({
      ...log,
      settle: (batch) =>
        Effect.suspend(() => {
          if (died) return log.settle(batch)
          died = true
          return Effect.die(new Error("planted"))
        })
    })
  })
)

const readingSlowly = Layer.effect(
  DeliveryQueue,
  Effect.gen(function* () {
    const queue = yield* DeliveryQueue
    return DeliveryQueue.of({
      ...queue,
      pull: (request) => Effect.delay(queue.pull(request), "1 second")
    })
  })
)

const dyingOnce = Layer.effect(
  DeliveryQueue,
  Effect.gen(function* () {
    const queue = yield* DeliveryQueue
    let died = false
    return DeliveryQueue.of({
      ...queue,
      pull: (request) =>
        Effect.suspend(() => {
          if (died) return queue.pull(request)
          died = true
          return Effect.die(new Error("planted"))
        })
    })
  })
)

const committingInSilence = Layer.effect(
  MessageRepo,
  Effect.gen(function* () {
    const messages = yield* MessageRepo
    return MessageRepo.of({
      ...messages,
      insert: (batch) =>
        Effect.andThen(
          messages.insert(batch),
          new StoreError({
            operation: "MessageRepo.insert",
            cause: new SqlError({
              reason: new UnknownError({ cause: new Error("planted"), message: "planted" })
            })
          })
        )
    })
  })
)
