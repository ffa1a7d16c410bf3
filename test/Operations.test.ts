import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { firstPage } from "../src/domain/Page.ts"
import * as Engine from "../src/Engine.ts"
import { MessageRepo } from "../src/store/MessageRepo.ts"
import { NoticeQueue } from "../src/store/NoticeQueue.ts"
import { TestEngine } from "../src/testing/TestEngine.ts"
import { TestSender } from "../src/testing/TestSender.ts"
import { brokenStore } from "./http/Fakes.ts"

const broken = "https://broken.example/hook?token=secret"
const ops = "https://ops.example/hook"

const quick = { retry: { kind: "table", delaysMs: [1_000, 1_000], jitter: 0 } } as const

/** What a URL was sent, by type. */
const toldTo = (url: string) =>
  Effect.map(
    Effect.flatMap(TestSender, (network) => network.sent(url)),
    (sent) => sent.map(({ body }) => JSON.parse(Buffer.from(body ?? []).toString()))
  )

const messagesOf = Effect.gen(function* () {
  const { tenantId } = yield* TestEngine
  const page = yield* (yield* MessageRepo).list(
    tenantId,
    { ...firstPage, limit: 250 },
    { type: null, resourceType: null, resourceId: null, includeBody: false }
  )
  return page.data.map(({ type }) => type).toReversed()
})

const operational = Effect.map(messagesOf, (types) =>
  types.filter((type) => type.startsWith("posthaste."))
)

describe("Operational messages", () => {
  const test = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E, TestEngine | TestSender | MessageRepo | NoticeQueue>
  ) => it.effect(name, () => body().pipe(Effect.provide(TestEngine.layer())))

  test("tell of failures, exhaustion and recovery to a webhook that names them", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const webhook = yield* engine.webhook(broken, {
        uid: "shop",
        name: "Shop",
        settings: { ...quick, alertAt: [2] }
      })
      yield* engine.webhook(ops, { eventTypes: ["posthaste.*"] })
      yield* network.answer(broken, { status: 503 })
      const first = yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 minute")
      yield* network.answer(broken, { status: 200 })
      yield* engine.publish("invoice.paid", 2)
      yield* TestClock.adjust("1 hour")
      const told = yield* toldTo(ops)
      assert.deepStrictEqual(
        told.map(({ type }) => type),
        ["posthaste.webhook.failing", "posthaste.delivery.exhausted", "posthaste.webhook.recovered"]
      )
      const [failing, exhausted, recovered] = told
      assert.deepStrictEqual(failing.data.webhook, {
        id: webhook.id,
        uid: "shop",
        name: "Shop",
        host: "broken.example"
      })
      assert.deepInclude(failing.data, { consecutiveFailures: 2 })
      assert.isString(failing.data.failingSince)
      assert.deepInclude(exhausted.data.attempt, {
        messageId: first.id,
        messageType: "invoice.paid",
        number: 3,
        class: "status_5xx",
        statusCode: 503
      })
      assert.isString(exhausted.data.attempt.advice)
      assert.deepInclude(recovered.data, { failures: 3, consecutiveFailures: 0 })
      assert.notInclude(JSON.stringify(told), "secret")
    }))

  test("warn on the way to disabling, and tell of it and why", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(broken, {
        settings: {
          ...quick,
          alertAt: [],
          disableAfter: { failures: 4 },
          circuit: { failures: 1_000 }
        }
      })
      yield* engine.webhook(ops, { eventTypes: ["posthaste.webhook.*"] })
      yield* network.answer(broken, { status: 503 })
      for (let i = 0; i < 2; i++) {
        yield* engine.publish("invoice.paid", i)
        yield* TestClock.adjust("1 minute")
      }
      yield* TestClock.adjust("1 minute")
      const told = yield* toldTo(ops)
      assert.deepStrictEqual(
        told.map(({ data, type }) => [type, data.progress ?? data.reason]),
        [
          ["posthaste.webhook.warning", 0.5],
          ["posthaste.webhook.warning", 0.75],
          ["posthaste.webhook.disabled", "failing"]
        ]
      )
    }))

  test("go to nobody who has not named them, and are not even made then", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(broken, { settings: { ...quick, alertAt: [1] } })
      yield* engine.webhook(ops)
      yield* engine.webhook("https://all.example/", { eventTypes: ["*"] })
      yield* network.answer(broken, { status: 503 })
      yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* toldTo(ops), 1)
      assert.deepStrictEqual(yield* operational, [])
      assert.lengthOf(yield* (yield* NoticeQueue).pull(10), 0)
    }))

  test("raise none about themselves, though every receiver of them fails", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const settings = { ...quick, alertAt: [1], disableAfter: { failures: 6 } }
      for (const url of [ops, "https://ops2.example/"]) {
        yield* engine.webhook(url, { eventTypes: ["posthaste.*"], settings })
        yield* network.answer(url, { status: 503 })
      }
      yield* engine.webhook(broken, { settings: { ...quick, alertAt: [1] } })
      yield* network.answer(broken, { status: 503 })
      yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* operational, [
        "posthaste.webhook.failing",
        "posthaste.delivery.exhausted"
      ])
    }))

  test("tell that a webhook is disabled which gets other messages too", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(ops, { eventTypes: ["posthaste.*"] })
      const both = "https://both.example/"
      yield* engine.webhook(both, { eventTypes: ["posthaste.*", "invoice.*"] })
      yield* engine.webhook(broken, {
        eventTypes: ["order.*"],
        settings: { ...quick, alertAt: [1] }
      })
      yield* network.answer(both, { status: 410 })
      yield* network.answer(broken, { status: 503 })
      yield* engine.publish("order.placed", 1)
      yield* TestClock.adjust("1 minute")
      const told = yield* toldTo(ops)
      const disabled = told.filter(({ type }) => type === "posthaste.webhook.disabled")
      assert.deepStrictEqual(
        disabled.map(({ data }) => [data.webhook.host, data.reason]),
        [["both.example", "gone"]]
      )
    }))

  test("hold up no delivery while their receiver hangs", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(ops, { eventTypes: ["posthaste.*"] })
      yield* network.answer(ops, { status: 200, delayMs: 600_000 })
      yield* engine.webhook(broken, {
        eventTypes: ["order.*"],
        settings: { ...quick, alertAt: [1] }
      })
      yield* network.answer(broken, { status: 503 })
      yield* engine.webhook("https://fine.example/", { eventTypes: ["invoice.*"] })
      for (let i = 0; i < 20; i++) yield* engine.publish("order.placed", i)
      yield* TestClock.adjust("1 hour")
      const { id } = yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 milli")
      const [delivery] = yield* engine.deliveries(id)
      assert.strictEqual(delivery?.status, "delivered")
    }))

  it.effect("are published once, though forgetting them fails after that", () => {
    let failures = 0
    const stores = Layer.effect(
      NoticeQueue,
      Effect.map(NoticeQueue, (queue) =>
        NoticeQueue.of({
          ...queue,
          remove: (ids) =>
            ids.length > 0 && failures++ === 0
              ? Effect.fail(brokenStore("NoticeQueue.remove"))
              : queue.remove(ids)
        })
      )
    ).pipe(Layer.provideMerge(Engine.layerStoresMemory()))
    return Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook(broken, { settings: { ...quick, alertAt: [1] } })
      yield* engine.webhook(ops, { eventTypes: ["posthaste.webhook.failing"] })
      yield* network.answer(broken, { status: 503 })
      yield* engine.publish("invoice.paid", 1)
      yield* TestClock.adjust("1 hour")
      assert.isAtLeast(failures, 2)
      assert.deepStrictEqual(yield* operational, ["posthaste.webhook.failing"])
      assert.lengthOf(yield* (yield* NoticeQueue).pull(10), 0)
    }).pipe(Effect.provide(TestEngine.layerOver(stores)))
  })
})
