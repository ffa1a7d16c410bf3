import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import * as ApiClient from "../../src/api/ApiClient.ts"
import { Calls, layer as calls } from "../http/Calls.ts"
import { Fakes, makeMessage, Tenants } from "../http/Fakes.ts"

const url = "https://receiver.example/hook"

describe("ApiClient", () => {
  layer(Layer.merge(calls(), FetchHttpClient.layer))((it) => {
    const client = (key: keyof Tenants["Service"]["keys"] = "all", tenant?: string) =>
      Effect.gen(function* () {
        const { port } = yield* Calls
        const { keys } = yield* Tenants
        return yield* ApiClient.make({
          baseUrl: `http://127.0.0.1:${port}`,
          key: Redacted.make(keys[key]),
          ...(tenant === undefined ? {} : { tenant })
        })
      })

    it.effect("calls every endpoint", () =>
      Effect.gen(function* () {
        const { deliveries, messages, system, webhooks } = yield* client()
        const made = yield* webhooks.create({ payload: { url }, headers: {} })
        assert.strictEqual(made.createdAt, 0)
        assert.match(made.secret, /^whsec_/)
        const params = { id: made.id }
        assert.deepStrictEqual((yield* webhooks.get({ params })).url, url)
        assert.lengthOf((yield* webhooks.list({ query: { limit: 1, before: 1 } })).data, 1)
        const put = yield* webhooks.put({ params: { id: "by-uid" }, payload: { url } })
        assert.strictEqual(put.uid, "by-uid")
        assert.strictEqual(
          (yield* webhooks.patch({ params, payload: { name: "n", uid: null } })).name,
          "n"
        )
        assert.deepStrictEqual(yield* webhooks.getSecret({ params }), { secret: made.secret })
        yield* webhooks.rotateSecret({ params, payload: { gracePeriodSeconds: 1 } })
        yield* webhooks.rotateSecret({ params, payload: undefined })
        assert.strictEqual((yield* webhooks.pause({ params })).status, "paused")
        assert.strictEqual((yield* webhooks.resume({ params })).status, "enabled")
        yield* webhooks.delete({ params })

        const published = yield* messages.publish({
          payload: { type: "a", data: { deep: [1, "two", null] }, uid: "u" },
          headers: { "idempotency-key": "k" }
        })
        assert.strictEqual(published.deliveries, 2)
        assert.strictEqual((yield* Fakes).drafts.at(-1)?.data, `{"deep":[1,"two",null]}`)

        const { deliveries: owed, message } = yield* makeMessage({}, { status: "exhausted" }, {})
        assert.lengthOf((yield* messages.list({ query: { include: "body" } })).data, 1)
        const got = yield* messages.get({ params: { id: message.id }, query: {} })
        assert.lengthOf(got.deliveries, 2)
        const [settled, pending] = owed.map(({ id }) => ({ params: { id } }))
        assert.lengthOf(
          (yield* deliveries.list({ query: { message: message.id, statusCodeClass: "5xx" } })).data,
          2
        )
        assert.strictEqual((yield* deliveries.get(pending!)).status, "pending")
        assert.lengthOf((yield* deliveries.attempts({ ...pending!, query: {} })).data, 0)
        assert.strictEqual((yield* deliveries.redeliver(settled!)).status, "pending")
        assert.strictEqual((yield* deliveries.cancel(pending!)).status, "cancelled")
        assert.isTrue(Stream.isStream(yield* deliveries.stream({ query: {} })))

        assert.deepStrictEqual(yield* system.live({}), { status: "ok" })
        assert.strictEqual((yield* system.ready({})).status, "ready")
      })
    )

    it.effect("fails with the problem that the service answered", () =>
      Effect.gen(function* () {
        const { webhooks } = yield* client()
        const missing = yield* Effect.flip(webhooks.get({ params: { id: "nobody" } }))
        assert.strictEqual(missing._tag, "WebhookNotFound")
        const guarded = yield* Effect.flip(
          webhooks.create({ payload: { url: "https://10.0.0.1/" }, headers: {} })
        )
        assert.strictEqual(guarded._tag, "UrlNotAllowed")
        const { webhooks: reading } = yield* client("read")
        const scope = yield* Effect.flip(reading.create({ payload: { url }, headers: {} }))
        assert.strictEqual(scope._tag, "ScopeMissing")
        const fakes = yield* Fakes
        fakes.down = true
        const { messages } = yield* client()
        const down = yield* Effect.flip(messages.list({ query: {} }))
        fakes.down = false
        assert.strictEqual(down._tag, "StoreUnavailable")
        if (down._tag === "StoreUnavailable") assert.strictEqual(down.retryAfterSeconds, 2)
      })
    )

    it.effect("acts for the tenant that it is given", () =>
      Effect.gen(function* () {
        const admin = yield* client("admin", "other")
        const own = yield* client("other")
        const made = yield* admin.webhooks.create({ payload: { url }, headers: {} })
        assert.strictEqual((yield* own.webhooks.get({ params: { id: made.id } })).id, made.id)
      })
    )
  })
})
