/**
 * Whole stories of messages that name their one destination.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { decode, encode } from "../../src/domain/Secret.ts"
import { currentSecret } from "../../src/domain/Webhook.ts"
import type { EngineOptions } from "../../src/Engine.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { Retention } from "../../src/store/Retention.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"

const day = 86_400_000

const journey = <A, E>(
  name: string,
  story: () => Effect.Effect<
    A,
    E,
    TestEngine | TestSender | Publisher | WebhookRepo | MemoryTables | Retention
  >,
  options: EngineOptions = {}
) => it.effect(name, () => story().pipe(Effect.provide(TestEngine.layer(options))))

const keyOf = (text: string) => Redacted.make(Option.getOrThrow(decode(text)))
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

const to = (url: string, given?: string) => ({
  destination: { url, secret: given === undefined ? null : keyOf(given) }
})

const at = "https://own.example/hook"

describe("a message with a destination of its own", () => {
  journey("goes there alone, signed with the secret that it gave", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      yield* engine.webhook("https://registered.example/hook")
      const accepted = yield* engine.publish("a", { n: 1 }, to(at, secret))
      assert.strictEqual(accepted.deliveries, 1)
      yield* TestClock.adjust(0)
      const [request, ...others] = yield* network.sent()
      assert.lengthOf(others, 0)
      assert.strictEqual(request!.url, at)
      const body = Buffer.from(request!.body!).toString()
      const { headers, sentAt: now } = request!
      const verified = verify({ secret, headers, body, nowSeconds: now / 1_000 })
      assert.isTrue(verified.ok)
      const [delivery] = yield* engine.deliveries(accepted.id)
      assert.strictEqual(delivery!.status, "delivered")
      yield* engine.publish("a", {})
      yield* TestClock.adjust(0)
      const urls = (yield* network.sent()).map(({ url }) => url)
      assert.deepStrictEqual(urls, [at, "https://registered.example/hook"])
    })
  )

  journey("shares it with those of the same URL and secret, and with no others", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const repo = yield* WebhookRepo
      const { webhooks } = yield* MemoryTables
      const used = (given: ReturnType<typeof to>) =>
        Effect.flatMap(engine.publish("a", {}, given), ({ id }) =>
          Effect.map(engine.deliveries(id), ([delivery]) => delivery!.webhookId)
        )
      const [first, ...same] = yield* Effect.forEach([1, 2, 3], () => used(to(at)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(same, [first!, first!])
      const second = yield* used(to(at, secret))
      const third = yield* used(to(`${at}?a=b`))
      assert.strictEqual(new Set([first, second, third]).size, 3)
      assert.strictEqual(webhooks.size, 3)
      const signing = Option.getOrThrow(currentSecret(yield* repo.get(engine.tenantId, second)))
      assert.strictEqual(encode(Redacted.value(signing.key)), secret)
      // What messages name is the secret that they give, whatever signs by now.
      yield* repo.rotateSecret(engine.tenantId, second, {
        id: signing.id,
        key: Redacted.make(new Uint8Array(32)),
        graceMs: 0
      })
      assert.strictEqual(yield* used(to(at, secret)), second)
      yield* repo.delete(engine.tenantId, second)
      assert.notStrictEqual(yield* used(to(at, secret)), second)
    })
  )

  journey("is retried, and held while its destination is paused", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const repo = yield* WebhookRepo
      yield* network.answer(at, { status: 500 }, { status: 200 })
      const first = yield* engine.publish("a", {}, to(at))
      yield* TestClock.adjust("1 minute")
      const [delivered] = yield* engine.deliveries(first.id)
      assert.deepInclude(delivered!, { status: "delivered", attempts: 2 })
      yield* repo.setStatus(engine.tenantId, delivered!.webhookId, "paused")
      const second = yield* engine.publish("a", {}, to(at))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* engine.deliveries(second.id))[0]!.status, "held")
      yield* repo.setStatus(engine.tenantId, delivered!.webhookId, "enabled")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* engine.deliveries(second.id))[0]!.status, "delivered")
    })
  )

  journey("under a key or a uid conflicts with one to another destination", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const publish = (name: { uid: string } | { idempotencyKey: string }, more: object) =>
        Effect.map(Effect.result(engine.publish("a", {}, { ...name, ...more })), (result) =>
          Result.isSuccess(result) ? result.success.id : result.failure._tag
        )
      for (const [name, conflict] of [
        [{ uid: "u" }, "MessageUidConflict"],
        [{ idempotencyKey: "k" }, "IdempotencyConflict"]
      ] as const) {
        const first = yield* publish(name, to(at))
        assert.strictEqual(yield* publish(name, to(at)), first)
        assert.strictEqual(yield* publish(name, to(at, secret)), conflict)
        assert.strictEqual(yield* publish(name, to(`${at}/`)), conflict)
        assert.strictEqual(yield* publish(name, {}), conflict)
      }
    })
  )

  journey("is refused where the URL is not allowed, and leaves nothing", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const { messages, webhooks } = yield* MemoryTables
      for (const url of ["http://own.example/", "https://10.0.0.1/", "https://a/********", "x"]) {
        const error = yield* Effect.flip(engine.publish("a", {}, to(url)))
        assert.strictEqual(error._tag, "UrlNotAllowed", url)
      }
      assert.strictEqual(messages.size + webhooks.size, 0)
    })
  )

  journey(
    "is refused where its tenant has as many destinations as it may",
    () =>
      Effect.gen(function* () {
        const engine = yield* TestEngine
        const publisher = yield* Publisher
        const draft = (url: string) => ({
          tenantId: engine.tenantId,
          type: "a",
          uid: null,
          resource: null,
          data: "1",
          idempotencyKey: null,
          ...to(url)
        })
        const { destination: _, ...plain } = draft("")
        const urls = [1, 2, 3, 4].map((n) => `${at}/${n}`)
        const results = yield* publisher.publishAll([...urls.map(draft), plain])
        const tags = results.map((one) => (Result.isSuccess(one) ? "ok" : one.failure._tag))
        assert.deepStrictEqual(tags.slice(0, 4).sort(), ["AdHocLimit", "AdHocLimit", "ok", "ok"])
        assert.strictEqual(tags[4], "ok")
        const known = urls[tags.indexOf("ok")]!
        assert.strictEqual((yield* engine.publish("a", {}, to(known))).deliveries, 1)
      }),
    { destinations: { max: 2 } }
  )

  journey("keeps it until nothing refers to it any more", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const { webhooks } = yield* MemoryTables
      const registered = yield* engine.webhook("https://registered.example/hook")
      const first = yield* engine.publish("a", {}, to(at))
      yield* TestClock.adjust(20 * day)
      yield* engine.publish("a", {}, to(at))
      const webhookId = (yield* engine.deliveries(first.id))[0]!.webhookId
      yield* TestClock.adjust(29 * day)
      assert.sameMembers([...webhooks.keys()], [registered.id, webhookId])
      yield* TestClock.adjust(2 * day)
      assert.deepStrictEqual([...webhooks.keys()], [registered.id])
      const again = yield* engine.publish("a", {}, to(at))
      assert.strictEqual(again.deliveries, 1)
      assert.notStrictEqual((yield* engine.deliveries(again.id))[0]!.webhookId, webhookId)
    })
  )

  journey("keeps one that none is to go to any more while something refers to it", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const repo = yield* WebhookRepo
      const retention = yield* Retention
      const { webhooks } = yield* MemoryTables
      const first = yield* engine.publish("a", {}, to(at))
      yield* TestClock.adjust(1)
      const [delivery] = yield* engine.deliveries(first.id)
      yield* repo.retire(engine.tenantId, delivery!.webhookId)
      yield* TestClock.adjust(2 * 3_600_000)
      yield* retention.sweep
      assert.isTrue(webhooks.has(delivery!.webhookId))
    })
  )
})
