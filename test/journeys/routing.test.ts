/**
 * Whole stories of who gets a message: by its resource, its channels, its payload; and of payloads
 * that are bytes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Redacted, Result, type Schema } from "effect"
import { TestClock } from "effect/testing"
import { encode } from "../../src/domain/Secret.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"
import { scaled } from "../support/Scale.ts"

const journey = <A, E>(
  name: string,
  story: () => Effect.Effect<A, E, TestEngine | TestSender | Publisher | EventTypeRepo | Ids>
) => it.effect(name, () => story().pipe(Effect.provide(TestEngine.layer())))

/** The URLs that got something since the last look. */
const looking = Effect.gen(function* () {
  const network = yield* TestSender
  let seen = 0
  return Effect.gen(function* () {
    yield* TestClock.adjust(0)
    const sent = yield* network.sent()
    const urls = sent.slice(seen).map(({ url }) => url.replace("https://a.example/", ""))
    seen = sent.length
    return urls.sort()
  })
})

describe("a message", () => {
  journey("goes to the webhooks whose type, resource, channels and filter all want it", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const arrived = yield* looking
      const at = "https://a.example/"
      yield* engine.webhook(`${at}all`)
      yield* engine.webhook(`${at}eu`, { channels: ["eu"] })
      yield* engine.webhook(`${at}large`, { filter: { amount: { $gte: 100 } } })
      yield* engine.webhook(`${at}eu-large`, {
        eventTypes: ["invoice.*"],
        channels: ["eu", "uk"],
        filter: { amount: { $gte: 100 } }
      })
      yield* engine.webhook(`${at}order-7`, { resources: [{ type: "order", id: "7" }] })

      yield* engine.publish("invoice.paid", { amount: 100 }, { channels: ["us", "eu"] })
      assert.deepStrictEqual(yield* arrived, ["all", "eu", "eu-large", "large"])
      yield* engine.publish("invoice.paid", { amount: 99 }, { channels: ["uk"] })
      assert.deepStrictEqual(yield* arrived, ["all"])
      yield* engine.publish("order.paid", { amount: "100" })
      assert.deepStrictEqual(yield* arrived, ["all"])
      yield* engine.publish("order.paid", [], { resource: { type: "order", id: "7" } })
      assert.deepStrictEqual(yield* arrived, ["all", "order-7"])
    })
  )

  journey("of bytes that are no JSON meets no filter but those that ask for absence", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const publisher = yield* Publisher
      const arrived = yield* looking
      const at = "https://a.example/"
      yield* engine.webhook(`${at}a`, { filter: { a: 1 } })
      yield* engine.webhook(`${at}not-b`, { filter: { b: { $exists: false } } })
      const publish = (contentType: string, text: string) =>
        publisher.publish({
          tenantId: engine.tenantId,
          type: "file.stored",
          uid: null,
          resource: null,
          idempotencyKey: null,
          data: { contentType, bytes: new TextEncoder().encode(text) }
        })
      yield* publish("text/plain", `{"a":1,"b":1}`)
      assert.deepStrictEqual(yield* arrived, ["not-b"])
      yield* publish("application/json", `{"a":1,"b":1}`)
      assert.deepStrictEqual(yield* arrived, ["a"])
      yield* publish("application/json", `{"a":1`)
      assert.deepStrictEqual(yield* arrived, ["not-b"])
    })
  )

  journey("is refused where its type is archived, unknown or asks for other data", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const eventTypes = yield* EventTypeRepo
      const { tenantId } = engine
      const fields = {
        displayName: "",
        description: null,
        schema: { type: "object", required: ["amount"] },
        example: null,
        archived: false
      }
      const refusal = (type: string, data: unknown) =>
        Effect.map(Effect.flip(engine.publish(type, data)), (error) =>
          error._tag === "MessageRefused" ? error.errors[0]?.pointer : error._tag
        )
      yield* engine.publish("invoice.paid", {})
      yield* eventTypes.create(tenantId, "invoice.paid", fields, null)
      assert.strictEqual(yield* refusal("invoice.paid", {}), "/data/amount")
      assert.strictEqual(yield* refusal("invoice.paid", "text"), "/data")
      yield* engine.publish("invoice.paid", { amount: 1 })
      yield* engine.publish("invoice.late", {})
      yield* eventTypes.setUnknown(tenantId, "refuse")
      assert.strictEqual(yield* refusal("invoice.late", {}), "/type")
      yield* engine.publish("posthaste.webhook.disabled", {})
      const change = (schema: Schema.JsonObject | null, archived: boolean) =>
        eventTypes.update(tenantId, "invoice.paid", () =>
          Result.succeed({ ...fields, schema, archived })
        )
      yield* change({ type: "string" }, false)
      yield* engine.publish("invoice.paid", "text")
      yield* change(null, true)
      assert.strictEqual(yield* refusal("invoice.paid", "text"), "/type")
      yield* eventTypes.delete(tenantId, "invoice.paid")
      yield* eventTypes.setUnknown(tenantId, "allow")
      yield* engine.publish("invoice.paid", 1)
    })
  )

  journey("of a batch stands in one commit with the others, and each is accepted on its own", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const publisher = yield* Publisher
      const url = "https://a.example/batch"
      yield* engine.webhook(url)
      const draft = (
        n: number,
        uid: string | null = null,
        idempotencyKey: string | null = null
      ) => ({
        tenantId: engine.tenantId,
        type: "a",
        uid,
        resource: null,
        data: JSON.stringify(n),
        idempotencyKey
      })
      yield* publisher.publish(draft(0, "u-0"))
      const large = { ...draft(0), data: JSON.stringify("x".repeat(300_000)) }
      const drafts = [
        draft(1),
        large,
        draft(2, "u-0"),
        draft(0, "u-0"),
        draft(3, "u-1"),
        draft(4, "u-1")
      ]
      const results = yield* publisher.publishAll(drafts)
      assert.deepStrictEqual(
        results.map((one) => (Result.isSuccess(one) ? "accepted" : one.failure._tag)),
        [
          "accepted",
          "BodyTooLarge",
          "MessageUidConflict",
          "accepted",
          "accepted",
          "MessageUidConflict"
        ]
      )
      const many = Array.from({ length: 1_000 }, (_, n) => draft(n, null, `k\n${n}`))
      const first = yield* publisher.publishAll(many)
      const again = yield* publisher.publishAll(many)
      assert.deepStrictEqual(again, first)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* network.sent(url), 1_003)
      assert.deepStrictEqual(yield* publisher.publishAll([]), [])
    })
  )

  journey("of any bytes arrives byte for byte, signed, with its content type", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const network = yield* TestSender
      const publisher = yield* Publisher
      const ids = yield* Ids
      const url = "https://a.example/raw"
      const webhook = yield* engine.webhook(url, { settings: { concurrency: 256 } })
      const secret = encode(Redacted.value(webhook.secrets[0]!.key))
      const count = scaled(300, 10_000)
      const bodies: Array<Uint8Array> = []
      for (let n = 0; n < count; n++) {
        const [high = 0, low = 0] = yield* ids.bytes(2)
        const bytes = n === 0 ? new Uint8Array() : yield* ids.bytes(1 + ((high * 256 + low) % 700))
        const contentType = `application/x-${n}; v="1"`
        bodies.push(bytes)
        yield* publisher.publish({
          tenantId: engine.tenantId,
          type: "file.stored",
          uid: null,
          resource: null,
          idempotencyKey: null,
          data: { contentType, bytes }
        })
        yield* TestClock.adjust(0)
      }
      const sent = yield* network.sent(url)
      assert.lengthOf(sent, count)
      const now = yield* Clock.currentTimeMillis
      for (const [n, request] of sent.entries()) {
        const body = request.body!
        assert.isTrue(Buffer.compare(body, bodies[n]!) === 0, `body ${n}`)
        assert.strictEqual(request.headers["content-type"], `application/x-${n}; v="1"`)
        const { headers } = request
        assert.isTrue(
          verify({ secret, headers, body, nowSeconds: now / 1_000 }).ok,
          `signature ${n}`
        )
      }
    })
  )

  journey("of bytes that are no JSON is exhausted at once where a chat would have to read it", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine
      const publisher = yield* Publisher
      yield* engine.webhook("https://hooks.slack.com/services/a", { settings: { format: "slack" } })
      const message = yield* publisher.publish({
        tenantId: engine.tenantId,
        type: "file.stored",
        uid: null,
        resource: null,
        idempotencyKey: null,
        data: { contentType: "image/png", bytes: Uint8Array.from([0x89, 0x50]) }
      })
      yield* TestClock.adjust(0)
      const [delivery] = yield* engine.deliveries(message.id)
      assert.deepInclude(delivery, { status: "exhausted", attempts: 1 })
    })
  )
})
