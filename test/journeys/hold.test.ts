/**
 * What a hold of all sending does to messages and deliveries, under a fake clock.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Engine from "../../src/Engine.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"

it.effect("a hold stops all sending and accepts on; what waited goes out when it is released", () =>
  Effect.gen(function* () {
    const engine = yield* TestEngine
    const network = yield* TestSender
    const repo = yield* HoldRepo
    const lanes = yield* Lanes
    yield* network.answer(url, { status: 200, delayMs: 1_000 })
    yield* engine.webhook(url, { settings: { concurrency: 2 } })
    const messages = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => engine.publish("a.b", { n }))
    yield* TestClock.adjust(500)
    assert.lengthOf(yield* network.sent(url), 2)

    yield* repo.hold("flood")
    for (let n = 6; n <= 20; n++) messages.push(yield* engine.publish("a.b", { n }))
    yield* TestClock.adjust("3 hours")
    // What was in flight is settled; nothing else was sent, and nothing is kept in memory.
    const statuses = yield* Effect.forEach(messages, ({ id }) => engine.deliveries(id))
    assert.deepStrictEqual(
      statuses.flat().map(({ status }) => status),
      ["delivered", "delivered", ...Array.from({ length: 18 }, () => "held")]
    )
    assert.lengthOf(yield* network.sent(url), 2)
    assert.deepInclude(yield* lanes.stats, { lanes: 0, held: 0 })
    assert.isTrue(yield* lanes.isHeld)

    yield* repo.release
    yield* TestClock.adjust("1 minute")
    assert.lengthOf(yield* network.sent(url), 20)
    assert.isFalse(yield* lanes.isHeld)
  }).pipe(Effect.provide(TestEngine.layer()))
)

it.effect("an engine that starts under a hold sends nothing until it is released", () =>
  Effect.gen(function* () {
    const stores = yield* Layer.build(
      Engine.layerStoresMemory().pipe(Layer.provide(Ids.layerSeeded))
    )
    const over = <A, E>(body: Effect.Effect<A, E, TestEngine | TestSender | HoldRepo>) =>
      Effect.provide(body, TestEngine.layerOver(Layer.succeedContext(stores)))
    const first = Effect.gen(function* () {
      const engine = yield* TestEngine
      yield* (yield* HoldRepo).hold(null)
      yield* engine.webhook(url)
      for (let n = 0; n < 10; n++) yield* engine.publish("a.b", { n })
      yield* TestClock.adjust("1 minute")
    })
    const second = Effect.gen(function* () {
      const network = yield* TestSender
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* network.sent(), 0)
      yield* (yield* HoldRepo).release
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* network.sent(), 10)
    })
    yield* over(first)
    yield* over(second)
  }).pipe(Effect.scoped)
)
