/**
 * A tenant that publishes more than it may, beside one that does not, under a fake clock.
 */
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as Engine from "../../src/Engine.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

const url = "https://receiver.example/hook"
const draft = { type: "a.b", data: "{}", uid: null, resource: null, idempotencyKey: null }

it.effect("a tenant at its limit comes on when it waits as told; another one is not touched", () =>
  Effect.gen(function* () {
    const engine = yield* TestEngine
    const tenants = yield* TenantRepo
    const publisher = yield* Publisher
    const network = yield* TestSender
    yield* network.answer(url, { status: 200 })
    yield* engine.webhook(url)
    const limits = { messagesPerSecond: 20 }
    const flood = yield* tenants.create({ uid: "flood", name: null, limits, idempotency: null })
    const refusals = Metric.value(Metrics.messagesRefused("rate_limited"))
    const before = (yield* refusals).count
    const beganAt = yield* Clock.currentTimeMillis

    let accepted = 0
    let refused = 0
    // Ten times what it may, for a minute; after a refusal it waits as long as it is told.
    let freeAt = 0
    for (let tick = 0; tick < 600; tick++) {
      const now = yield* Clock.currentTimeMillis
      for (let n = 0; n < 20 && now >= freeAt; n++) {
        const result = yield* Effect.result(publisher.publish({ ...draft, tenantId: flood.id }))
        if (result._tag === "Success") accepted++
        else if (result.failure._tag === "RateLimited") {
          refused++
          freeAt = now + result.failure.retryAfterSeconds * 1_000
        } else assert.fail(result.failure._tag)
      }
      if (tick % 10 === 0) yield* engine.publish("a.b", {})
      yield* TestClock.adjust(100)
    }
    const seconds = ((yield* Clock.currentTimeMillis) - beganAt) / 1_000
    assert.isAtMost(accepted, 20 * (seconds + 5))
    assert.isAtLeast(accepted, 20 * (seconds - 6))
    // It came again when it was told, and was not refused for that.
    assert.isAtMost(refused, seconds / 4)
    assert.strictEqual((yield* refusals).count - before, refused)
    assert.lengthOf(yield* network.sent(url), 60)
  }).pipe(Effect.provide(TestEngine.layer()))
)

it.effect("the installation's limit holds for a tenant without one, its own comes first", () =>
  Effect.gen(function* () {
    const { tenantId } = yield* TestEngine
    const tenants = yield* TenantRepo
    const publisher = yield* Publisher
    const messages = yield* MessageRepo
    const many = (messages: number) =>
      Array.from({ length: messages }, () => ({ ...draft, tenantId }))
    const tagOf = (messages: number) =>
      Effect.map(Effect.flip(publisher.publishAll(many(messages))), ({ _tag }) => _tag)
    const key = { tenantId, key: "batch", digest: new Uint8Array(32) }
    assert.strictEqual(yield* tagOf(6), "BatchOverLimit")
    yield* publisher.publishAll(many(5))
    const refused = yield* Effect.flip(publisher.publishAll(many(1), key))
    assert.deepInclude(refused, { _tag: "RateLimited", retryAfterSeconds: 5 })
    yield* tenants.update(tenantId, { limits: { messagesPerSecond: 100 } })
    // The refused batch used up no key.
    yield* publisher.publishAll(many(400), { ...key, digest: new Uint8Array(32).fill(1) })
    yield* tenants.update(tenantId, { limits: { messagesPerSecond: null } })
    assert.strictEqual(yield* tagOf(1), "RateLimited")
    const page = yield* messages.list(
      tenantId,
      { limit: 250, cursor: null, before: null, after: null },
      { type: null, resourceType: null, resourceId: null, includeBody: false }
    )
    assert.lengthOf(page.data, 250)
    yield* TestClock.adjust("5 seconds")
    yield* publisher.publishAll(many(5))
  }).pipe(
    Effect.provide(
      TestEngine.layerOver(Engine.layerStoresMemory({ limits: { messagesPerSecond: 1 } }))
    )
  )
)

for (const [fact, lanes, most] of [
  [
    "slow receivers of a tenant take no more attempts at once than it may have",
    { inFlightMax: 6, tenantInFlightMax: 4 },
    4
  ],
  ["without such a bound they take all, and another tenant waits", { inFlightMax: 6 }, 6]
] as const) {
  it.effect(`${fact}`, () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const publisher = yield* Publisher
      const slow = "https://slow.example/hook"
      yield* network.answer(slow, { status: 200, delayMs: 10_000 })
      const other = yield* (yield* TenantRepo).create({ uid: "b", name: null, idempotency: null })
      for (let n = 0; n < 3; n++) {
        yield* engine.webhook(slow, { settings: { concurrency: 3 } })
      }
      const flood = Effect.gen(function* () {
        for (let n = 0; n < 10; n++) yield* engine.publish("a.b", { n })
        yield* TestClock.adjust(0)
      })
      yield* flood
      const destination = { url, secret: null }
      yield* publisher.publish({ ...draft, tenantId: other.id, destination })
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* network.inFlightMax(slow), most)
      assert.lengthOf(yield* network.sent(url), most === 6 ? 0 : 1)

      // What waited goes out, and the bound holds when the lanes were gone meanwhile.
      yield* TestClock.adjust("10 minutes")
      yield* flood
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(yield* network.sent(slow), 60)
      assert.lengthOf(yield* network.sent(url), 1)
      assert.strictEqual(yield* network.inFlightMax(slow), most)
    }).pipe(Effect.provide(TestEngine.layer({ lanes })))
  )
}
