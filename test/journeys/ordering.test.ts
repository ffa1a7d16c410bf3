/**
 * Webhooks that ask for order, in stories and in random histories: each key's messages arrive in the
 * order of their acceptance, never two at once, whatever fails, stops, restarts or is sent again.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Effect,
  Exit,
  Layer,
  Metric,
  Random,
  References,
  Result,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import type { Delivery } from "../../src/domain/Delivery.ts"
import type { Ordering } from "../../src/domain/Ordering.ts"
import type { DeliveryId, MessageId } from "../../src/domain/TypeId.ts"
import * as Engine from "../../src/Engine.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { type Answer, type SentRequest, TestSender } from "../../src/testing/TestSender.ts"
import { scaled } from "../support/Scale.ts"

const url = "https://receiver.example/hook"
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** What a message says about itself. */
const dataOf = ({ body }: SentRequest): { readonly n: number; readonly key: string | null } =>
  JSON.parse(new TextDecoder().decode(body ?? new Uint8Array())).data

const publish = Effect.fnUntraced(function* (n: number, key: string | null, expiresAt?: number) {
  const options = { orderingKey: key, expiresAt: expiresAt ?? null }
  return yield* (yield* TestEngine).publish("a.b", { n, key }, options)
})

const deliveryOf = Effect.fnUntraced(function* ({ id }: { readonly id: MessageId }) {
  const [delivery] = yield* (yield* TestEngine).deliveries(id)
  assert.isDefined(delivery)
  return delivery!
})

/** The numbers of the messages that were sent, in their order. */
const arrived = Effect.gen(function* () {
  return (yield* (yield* TestSender).sent(url)).map((request) => dataOf(request).n)
})

const retry = { kind: "table", delaysMs: [10_000], jitter: 0 } as const
const calm = { circuit: { failures: 1_000 }, disableAfter: {}, alertAt: [] }

describe("A webhook that asks for order", () => {
  it.effect("gets one message of a key at a time, and those of other keys meanwhile", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      yield* network.answer(url, { status: 500, delayMs: 100 }, { status: 200, delayMs: 100 })
      yield* (yield* TestEngine).webhook(url, { settings: { ...calm, retry, ordering: "key" } })
      for (const n of [1, 2, 3]) yield* publish(n, "a")
      yield* publish(4, "b")
      yield* publish(5, null)
      yield* TestClock.adjust(50)
      assert.sameMembers([...(yield* arrived)], [1, 4, 5])
      yield* TestClock.adjust("9 seconds")
      assert.lengthOf(yield* arrived, 3)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* arrived).slice(3), [1, 2, 3])
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("holds what stands behind an exhausted one until someone redelivers it", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      const engine = yield* TestEngine
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 500 }, { status: 500 }, { status: 200 })
      yield* engine.webhook(url, { settings: { ...calm, retry, ordering: "key" } })
      const first = yield* publish(1, "a")
      const second = yield* publish(2, "a")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* deliveryOf(first)).status, "exhausted")
      assert.strictEqual((yield* deliveryOf(second)).status, "held")
      yield* publish(3, "a")
      yield* publish(4, "b")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* arrived, [1, 1, 4])
      yield* lanes.redeliver(engine.tenantId, (yield* deliveryOf(first)).id)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived, [1, 1, 4, 1, 2, 3])
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("goes on behind an exhausted one that someone cancels", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      const engine = yield* TestEngine
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 500 }, { status: 500 }, { status: 200 })
      yield* engine.webhook(url, { settings: { ...calm, retry, ordering: "key" } })
      const first = yield* publish(1, "a")
      yield* publish(2, "a")
      yield* TestClock.adjust("1 hour")
      yield* lanes.cancel(engine.tenantId, (yield* deliveryOf(first)).id)
      assert.strictEqual((yield* deliveryOf(first)).status, "cancelled")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived, [1, 1, 2])
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("goes on without an exhausted one where that is parked", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      yield* network.answer(url, { status: 500 }, { status: 500 }, { status: 200 })
      const ordering = { by: "key", onExhausted: "park" } as const
      yield* (yield* TestEngine).webhook(url, { settings: { ...calm, retry, ordering } })
      const first = yield* publish(1, "a")
      yield* publish(2, "a")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* deliveryOf(first)).status, "exhausted")
      assert.deepStrictEqual(yield* arrived, [1, 1, 2])
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  for (const ordering of [{ by: "key", onExhausted: "park" }, "none"] as const) {
    const name = typeof ordering === "string" ? "asks for none any more" : "parks from now on"
    it.effect(`goes on behind an exhausted one as soon as it ${name}`, () =>
      Effect.gen(function* () {
        const network = yield* TestSender
        const engine = yield* TestEngine
        const repo = yield* WebhookRepo
        yield* network.answer(url, { status: 500 }, { status: 500 }, { status: 200 })
        const { id, tenantId } = yield* engine.webhook(url, {
          settings: { ...calm, retry, ordering: "key" }
        })
        const first = yield* publish(1, "a")
        const second = yield* publish(2, "a")
        yield* publish(3, "a")
        yield* TestClock.adjust("1 hour")
        // What changes something else frees nothing.
        yield* repo.update(tenantId, id, () => Result.succeed({ name: "renamed" }))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* deliveryOf(second)).status, "held")
        yield* repo.update(tenantId, id, () => Result.succeed({ settings: { ordering } }))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* deliveryOf(first)).status, "exhausted")
        assert.strictEqual((yield* deliveryOf(second)).status, "delivered")
        assert.deepStrictEqual(yield* arrived, [1, 1, 2, 3])
        // What was freed stays free, also where it would block now.
        yield* repo.update(tenantId, id, () => Result.succeed({ settings: { ordering: "key" } }))
        yield* publish(4, "a")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* arrived, [1, 1, 2, 3, 4])
      }).pipe(Effect.provide(TestEngine.layer()))
    )
  }

  it.effect("starves no key behind one that has thousands waiting", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      const lanes = yield* Lanes
      yield* network.answer(url, { status: 500 }, { status: 200, delayMs: 10 })
      yield* (yield* TestEngine).webhook(url, {
        settings: { ...calm, ordering: "key", retry: { ...retry, delaysMs: [3_600_000] } }
      })
      yield* publish(0, "a")
      yield* TestClock.adjust("1 second")
      for (let n = 1; n <= 2_000; n++) yield* publish(n, "a")
      for (let n = 2_001; n <= 2_100; n++) yield* publish(n, `b${n % 7}`)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(yield* arrived, 101)
      assert.isAtMost((yield* lanes.stats).held, 10)
      yield* TestClock.adjust("2 hours")
      assert.lengthOf(yield* arrived, 2_102)
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("cancels what would be sent too late, in an order or not, and goes on behind it", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      yield* network.answer(url, { status: 500 }, { status: 200 })
      yield* (yield* TestEngine).webhook(url, { settings: { ...calm, retry, ordering: "key" } })
      const tried = yield* publish(1, "a", 5_000)
      yield* publish(2, "a")
      yield* TestClock.adjust(0)
      const late = yield* publish(3, null, 0)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* arrived, [1, 2])
      assert.deepInclude(yield* deliveryOf(tried), {
        status: "cancelled",
        reason: "expired",
        attempts: 1
      })
      assert.deepInclude(yield* deliveryOf(late), { status: "cancelled", reason: "expired" })
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect("ends what waits for a late retry when it expires, tells and counts it", () =>
    Effect.gen(function* () {
      const network = yield* TestSender
      const lanes = yield* Lanes
      const counted = Effect.map(
        Metric.value(Metrics.deliveriesEnded.cancelled),
        ({ count }) => count
      )
      yield* network.answer(url, { status: 500 })
      const late = { kind: "table", delaysMs: [3_600_000], jitter: 0 } as const
      yield* (yield* TestEngine).webhook(url, { settings: { ...calm, retry: late } })
      const before = yield* counted
      const told: Array<Delivery> = []
      yield* Stream.runForEach(lanes.changes, (delivery) =>
        Effect.sync(() => told.push(delivery))
      ).pipe(Effect.forkScoped({ startImmediately: true }))
      const tried = yield* publish(1, null, 60_000)
      yield* TestClock.adjust("59 seconds")
      assert.deepInclude(yield* deliveryOf(tried), { status: "waiting", nextAttemptAt: 60_000 })
      yield* TestClock.adjust("1 second")
      const ended = yield* deliveryOf(tried)
      assert.deepInclude(ended, { status: "cancelled", reason: "expired", settledAt: 60_000 })
      assert.deepStrictEqual(told, [ended])
      assert.strictEqual((yield* counted) - before, 1)
      assert.deepStrictEqual(yield* arrived, [1])
    }).pipe(Effect.provide(TestEngine.layer()))
  )

  it.effect(
    "keeps its promise through random histories",
    () =>
      Effect.gen(function* () {
        const count = scaled(60, 1_000)
        let sent = 0
        for (let seed = 1; seed <= count; seed++) {
          sent += yield* history(seed).pipe(Effect.scoped, Random.withSeed(seed))
        }
        // Histories in which nothing happens would prove nothing.
        assert.isAbove(sent, count * 20)
      }).pipe(quiet),
    { timeout: 600_000 }
  )
})

/** A request, and whether the receiver took it. Times are epoch milliseconds. */
interface Seen {
  readonly n: number
  readonly key: string | null
  readonly from: number
  readonly to: number
  readonly isTaken: boolean
}

const keys = ["a", "b", "c", null]
const pick = <A>(from: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, from.length), (i) => from[i % from.length]!)
const chance = (percent: number) =>
  Effect.map(Random.nextIntBetween(0, 100), (drawn) => drawn < percent)

/** In steps: whoever is woken has work to do in between that takes no time of the clock. */
const aMinute = Effect.forEach(Array.from({ length: 60 }), () => TestClock.adjust("1 second"), {
  discard: true
})

/** Lives through one history and checks it; answers how many requests were sent. */
const history = Effect.fnUntraced(function* (seed: number) {
  const stores = yield* Layer.build(
    Engine.layerStoresMemory().pipe(Layer.provideMerge(Ids.layerSeeded))
  )
  const onExhausted = yield* pick(["block", "park"] as const)
  const ordering: Ordering = onExhausted === "block" ? "key" : { by: "key", onExhausted }
  const seen: Array<Seen> = []
  const published: Array<{
    readonly n: number
    readonly key: string | null
    readonly id: MessageId
  }> = []
  const excused = new Set<number>()
  let engine = yield* start(stores)

  /** Ends an engine, and notes what it sent. */
  const stop = Effect.gen(function* () {
    yield* Scope.close(engine.scope, Exit.void)
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const requests = yield* Context.get(engine.context, TestSender).sent(url)
    requests.forEach((request, i) => {
      const answer = engine.answers[Math.min(i, engine.answers.length - 1)]!
      const to = Math.min(now, request.sentAt + (answer.delayMs ?? 0))
      const isTaken = "status" in answer && answer.status === 200
      seen.push({ ...dataOf(request), from: request.sentAt, to, isTaken })
    })
  })
  const within = <A, E>(
    body: Effect.Effect<A, E, TestEngine | TestSender | Lanes | WebhookRepo | HoldRepo>
  ) => Effect.suspend(() => Effect.provideContext(body, engine.context))

  const webhook = yield* within(
    TestEngine.use((one) =>
      one.webhook(url, {
        settings: {
          ordering,
          concurrency: 1 + (seed % 5),
          circuit: { failures: seed % 2 === 0 ? 3 : 1_000, openMs: 300, openMsMax: 600 },
          retry: { kind: "table", delaysMs: [100, 700], jitter: 0 },
          rate: seed % 3 === 0 ? { limit: 5, perMs: 200 } : null,
          disableAfter: {},
          alertAt: []
        }
      })
    )
  )
  const anyDelivery = Effect.gen(function* () {
    const message = yield* pick(published)
    const [delivery] = yield* (yield* TestEngine).deliveries(message.id)
    return { ...message, delivery: delivery! }
  })

  for (let step = 0; step < 25; step++) {
    const drawn = yield* Random.nextIntBetween(0, 100)
    if (drawn < 45) {
      const count = yield* Random.nextIntBetween(1, 6)
      for (let i = 0; i < count; i++) {
        const n = published.length
        const key = yield* pick(keys)
        published.push({ n, key, id: (yield* within(publish(n, key))).id })
      }
    } else if (drawn < 53) {
      const status = yield* pick(["paused", "enabled"] as const)
      yield* within(WebhookRepo.use((repo) => repo.setStatus(webhook.tenantId, webhook.id, status)))
    } else if (drawn < 57) {
      yield* within(HoldRepo.use((repo) => repo.hold(null)))
    } else if (drawn < 64) {
      yield* within(HoldRepo.use((repo) => repo.release))
    } else if (drawn < 71) {
      yield* stop
      yield* TestClock.adjust(5)
      engine = yield* start(stores)
    } else if (drawn < 78 && published.length > 0) {
      const { delivery, n } = yield* within(anyDelivery)
      const cancelled = yield* within(
        Effect.exit(Lanes.use((lanes) => lanes.cancel(webhook.tenantId, delivery.id)))
      )
      if (Exit.isSuccess(cancelled)) excused.add(n)
    } else if (drawn < 85 && published.length > 0) {
      const { delivery, n } = yield* within(anyDelivery)
      // Parked or cancelled, others have gone before it.
      if (onExhausted === "park" || delivery.status === "cancelled") excused.add(n)
      yield* within(redeliver(webhook.tenantId, delivery.id))
    }
    yield* TestClock.adjust(yield* Random.nextIntBetween(0, 400))
  }

  // All comes to its end: nothing fails any more, and what is exhausted is sent again.
  yield* stop
  yield* TestClock.adjust(5)
  engine = yield* start(stores, [{ status: 200 }])
  yield* within(HoldRepo.use((repo) => repo.release))
  yield* within(WebhookRepo.use((repo) => repo.setStatus(webhook.tenantId, webhook.id, "enabled")))
  yield* aMinute
  for (const { id, n } of published) {
    const [delivery] = yield* within(TestEngine.use((one) => one.deliveries(id)))
    if (delivery?.status !== "exhausted") continue
    if (onExhausted === "park") excused.add(n)
    yield* within(redeliver(webhook.tenantId, delivery.id))
    yield* aMinute
  }
  for (const { id, n } of published) {
    const [delivery] = yield* within(TestEngine.use((one) => one.deliveries(id)))
    assert.include(["delivered", "cancelled"], delivery?.status, `seed ${seed}, message ${n}`)
  }
  yield* stop

  for (const key of ["a", "b", "c"]) {
    const line = seen.filter((one) => one.key === key)
    line.slice(1).forEach((one, i) => {
      assert.isAtLeast(one.from, line[i]!.to, `seed ${seed}, ${key}: two at once`)
    })
    const firsts = [...new Set(line.filter((one) => one.isTaken).map(({ n }) => n))]
    const order = firsts.filter((n) => !excused.has(n))
    assert.deepStrictEqual(
      order,
      order.toSorted((a, b) => a - b),
      `seed ${seed}, ${key}, ${onExhausted}`
    )
    const owed = published.filter((one) => one.key === key && !excused.has(one.n))
    assert.deepStrictEqual(
      order,
      owed.map(({ n }) => n),
      `seed ${seed}, ${key}: all of them`
    )
  }
  return seen.length
})

const redeliver = (tenantId: Parameters<Lanes["Service"]["redeliver"]>[0], id: DeliveryId) =>
  Effect.exit(Lanes.use((lanes) => lanes.redeliver(tenantId, id)))

/** Starts an engine over stores that outlive it, with room for little and a receiver that errs. */
const start = Effect.fnUntraced(function* (
  stores: Context.Context<Layer.Success<ReturnType<typeof Engine.layerStoresMemory>> | Ids>,
  answers?: ReadonlyArray<Answer>
) {
  const given: Array<Answer> = [...(answers ?? [])]
  while (answers === undefined && given.length < 300) {
    const delayMs = yield* pick([0, 0, 3, 50, 250])
    given.push(
      (yield* chance(35))
        ? yield* pick<Answer>([
            { status: 500, delayMs },
            { fault: "reset", delayMs },
            { status: 503, headers: { "retry-after": "0.4" }, delayMs }
          ])
        : { status: 200, delayMs }
    )
  }
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(
    TestEngine.layerOver(Layer.succeedContext(stores), { lanes: { mailboxMax: 4, refillMax: 6 } }),
    scope
  )
  yield* Context.get(context, TestSender).answer(url, ...given)
  return { scope, context, answers: given }
})
