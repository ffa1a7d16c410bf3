import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import * as Real from "./Real.ts"

/** Makes a tenant with limits, and calls as it. */
const tenantWith = Effect.fnUntraced(function* (uid: string, limits: unknown) {
  const { call } = yield* Calls
  const { keys } = yield* Tenants
  const made = yield* call("POST", "/v1/tenants", { key: keys.admin, json: { uid, limits } })
  assert.strictEqual(made.status, 201, made.text)
  const headers = { "posthaste-tenant": uid }
  return {
    as: (method: string, path: string, json?: unknown, more = {}) =>
      call(method, path, { key: keys.admin, json, headers: { ...headers, ...more } }),
    limit: (limits: unknown) =>
      call("PATCH", `/v1/tenants/${uid}`, { key: keys.admin, json: { limits } }),
    made: made.json
  }
})

const webhook = { url: "http://127.0.0.1:9/" }
const message = { type: "a.b", data: {} }

describe("Limits of a tenant", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("are shown, changed one by one, and given back to the installation", () =>
      Effect.gen(function* () {
        const { as, limit, made } = yield* tenantWith("shown", { webhooks: 3 })
        assert.deepStrictEqual(made.limits, { webhooks: 3, messagesPerSecond: null })
        assert.deepStrictEqual((yield* limit({ messagesPerSecond: 10 })).json.limits, {
          webhooks: 3,
          messagesPerSecond: 10
        })
        const freed = yield* limit({ webhooks: null })
        assert.deepStrictEqual(freed.json.limits, { webhooks: null, messagesPerSecond: 10 })
        assert.deepStrictEqual((yield* as("GET", "/v1/tenants/shown")).json, freed.json)
        const { call } = yield* Calls
        const { keys } = yield* Tenants
        const plain = yield* call("GET", "/v1/tenants/default", { key: keys.admin })
        assert.deepStrictEqual(plain.json.limits, { webhooks: null, messagesPerSecond: null })
      })
    )

    it.effect("are for operators alone to change, and refused where they make no sense", () =>
      Effect.gen(function* () {
        const { as, limit } = yield* tenantWith("judged", undefined)
        for (const [limits, pointer] of [
          [{ webhooks: -1 }, "/limits/webhooks"],
          [{ webhooks: 1.5 }, "/limits/webhooks"],
          [{ messagesPerSecond: 0 }, "/limits/messagesPerSecond"],
          [{ messagesPerSecond: "10" }, "/limits/messagesPerSecond"],
          [{ messages: 10 }, "/limits/messages"],
          [null, "/limits"]
        ] as const) {
          const answer = yield* limit(limits)
          assert.deepStrictEqual([answer.status, answer.json.code], [422, "invalid_input"])
          assert.strictEqual(answer.json.errors[0].pointer, pointer)
        }
        const key = (yield* as("POST", "/v1/tenants/judged/keys", {
          name: "own",
          scopes: ["admin"]
        })).json
        const { call } = yield* Calls
        const own = { key: key.key, json: { limits: { webhooks: 1_000_000 } } }
        assert.strictEqual((yield* call("PATCH", "/v1/tenants/judged", own)).status, 403)
        assert.isNull((yield* as("GET", "/v1/tenants/judged")).json.limits.webhooks)
      })
    )

    it.effect("bound webhooks, those that are put under a uid too, but none that is replaced", () =>
      Effect.gen(function* () {
        const { as, limit } = yield* tenantWith("bounded", { webhooks: 2 })
        assert.strictEqual((yield* as("POST", "/v1/webhooks", webhook)).status, 201)
        assert.strictEqual((yield* as("PUT", "/v1/webhooks/mine", webhook)).status, 201)
        for (const refused of [
          yield* as("POST", "/v1/webhooks", webhook, { "idempotency-key": "once" }),
          yield* as("PUT", "/v1/webhooks/other", webhook)
        ]) {
          assert.deepInclude(refused.json, {
            type: "urn:posthaste:problem:webhook_limit",
            status: 409,
            code: "webhook_limit",
            detail: "The tenant has 2 webhooks, and may have 2."
          })
        }
        assert.strictEqual((yield* as("PUT", "/v1/webhooks/mine", webhook)).status, 200)
        // A message with a destination of its own needs no room among them.
        const sent = yield* as("POST", "/v1/messages", { ...message, webhook })
        assert.strictEqual(sent.status, 202, sent.text)
        assert.strictEqual((yield* as("DELETE", "/v1/webhooks/mine")).status, 204)
        const again = yield* as("POST", "/v1/webhooks", webhook, { "idempotency-key": "once" })
        assert.strictEqual(again.status, 201)
        yield* limit({ webhooks: 3 })
        assert.strictEqual((yield* as("POST", "/v1/webhooks", webhook)).status, 201)
      })
    )

    it.effect("bound messages of every way in, with a time to come back, and store nothing", () =>
      Effect.gen(function* () {
        const { as, limit } = yield* tenantWith("paced", { messagesPerSecond: 1 })
        const other = yield* tenantWith("unpaced", undefined)
        const stored = Effect.map(as("GET", "/v1/messages"), ({ json }) => json.data.length)
        const batch = (messages: number) => ({
          messages: Array.from({ length: messages }, () => message)
        })
        const never = yield* as("POST", "/v1/messages/batch", batch(6))
        assert.deepStrictEqual([never.status, never.json.code], [422, "batch_over_limit"])
        assert.isNull(never.headers.get("retry-after"))
        assert.strictEqual((yield* as("POST", "/v1/messages/batch", batch(4))).status, 202)
        assert.strictEqual((yield* as("POST", "/v1/messages", message)).status, 202)
        const keyed = { "idempotency-key": "paced-1" }
        for (const refused of [
          yield* as("POST", "/v1/messages", message, keyed),
          yield* as("POST", "/v1/messages/raw?type=a.b", {}, keyed),
          yield* as("POST", "/v1/messages/batch", batch(1), keyed)
        ]) {
          assert.strictEqual(refused.status, 429, refused.text)
          assert.strictEqual(refused.json.code, "rate_limited")
          const seconds = Number(refused.headers.get("retry-after"))
          assert.strictEqual(seconds, refused.json.retryAfterSeconds)
          assert.isTrue(seconds >= 1 && seconds <= 5, String(seconds))
        }
        assert.strictEqual(yield* stored, 5)
        // Another tenant is not touched by it.
        assert.strictEqual((yield* other.as("POST", "/v1/messages/batch", batch(50))).status, 202)
        // What is changed is in force at once, and what was refused used up no key.
        yield* limit({ messagesPerSecond: 2 })
        assert.strictEqual((yield* as("POST", "/v1/messages", message, keyed)).status, 202)
        yield* limit({ messagesPerSecond: null })
        assert.strictEqual((yield* as("POST", "/v1/messages/batch", batch(50))).status, 202)
        assert.strictEqual(yield* stored, 50)
      })
    )
  })
})
