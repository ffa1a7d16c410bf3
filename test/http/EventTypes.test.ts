import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Calls, layer as calls } from "./Calls.ts"

const json = { "content-type": "application/json" }
const at = "/v1/event-types"

describe("/v1/event-types", () => {
  layer(calls())((it) => {
    const send = (method: string, path: string, body: unknown, headers = {}) =>
      Calls.use(({ call }) =>
        call(method, path, { body: JSON.stringify(body), headers: { ...json, ...headers } })
      )

    it.effect("adds, shows, changes, replaces and removes a type", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* send("POST", at, { name: "invoice.paid" })
        assert.strictEqual(made.status, 201)
        const { createdAt, updatedAt } = made.json
        assert.deepStrictEqual(made.json, {
          name: "invoice.paid",
          displayName: "invoice.paid",
          description: null,
          schema: null,
          example: null,
          archived: false,
          createdAt,
          updatedAt
        })
        assert.deepStrictEqual((yield* call("GET", `${at}/invoice.paid`)).json, made.json)
        assert.strictEqual((yield* send("POST", at, { name: "invoice.paid" })).status, 409)
        const schema = { type: "object", required: ["amount"] }
        const changed = yield* send("PATCH", `${at}/invoice.paid`, {
          displayName: "Paid",
          schema,
          example: { amount: 1 }
        })
        const expected = { ...made.json, displayName: "Paid", schema, example: { amount: 1 } }
        assert.deepStrictEqual({ ...changed.json, updatedAt: expected.updatedAt }, expected)
        const worse = yield* send("PATCH", `${at}/invoice.paid`, { example: {} })
        assert.deepStrictEqual(worse.json.errors, [
          { pointer: "/example/amount", message: "Must have required property 'amount'" }
        ])
        assert.deepStrictEqual((yield* call("GET", at)).json.data, [changed.json])
        const replaced = yield* send("PUT", `${at}/invoice.paid`, { archived: true })
        assert.deepInclude(replaced.json, {
          displayName: "invoice.paid",
          schema: null,
          archived: true
        })
        const put = yield* send("PUT", `${at}/order.paid`, { displayName: "Order" })
        assert.deepInclude(put.json, { name: "order.paid", displayName: "Order" })
        assert.strictEqual((yield* call("DELETE", `${at}/order.paid`)).status, 204)
        assert.strictEqual((yield* call("GET", `${at}/order.paid`)).status, 404)
        assert.strictEqual((yield* call("DELETE", `${at}/order.paid`)).status, 404)
        assert.strictEqual((yield* send("PATCH", `${at}/order.paid`, {})).status, 404)
      })
    )

    it.effect("repeats the answer of a request with the same Idempotency-Key", () =>
      Effect.gen(function* () {
        const key = { "idempotency-key": "k" }
        const first = yield* send("POST", at, { name: "once" }, key)
        const second = yield* send("POST", at, { name: "once" }, key)
        assert.deepStrictEqual([second.status, second.json], [201, first.json])
        const other = yield* send("POST", at, { name: "twice" }, key)
        assert.strictEqual(other.json.code, "idempotency_conflict")
      })
    )

    it.effect("refuses names, schemas and examples that do not fit, with the place", () =>
      Effect.gen(function* () {
        for (const [method, path, body, pointer] of [
          ["POST", at, {}, "/name"],
          ["POST", at, { name: "a b" }, "/name"],
          ["POST", at, { name: "posthaste.x" }, "/name"],
          ["POST", at, { name: "a", displayname: "A" }, "/displayname"],
          ["POST", at, { name: "a", schema: [] }, "/schema"],
          ["POST", at, { name: "a", schema: { type: "no" } }, undefined],
          ["POST", at, { name: "a", schema: { $ref: "https://x.example" } }, "/schema/$ref"],
          ["POST", at, { name: "a", schema: { type: "string" }, example: 1 }, "/example"],
          ["PUT", `${at}/a%20b`, {}, "/params/name"],
          ["PUT", `${at}/posthaste.a`, {}, "/params/name"],
          ["PUT", `${at}/a`, { name: "b" }, "/name"],
          ["PUT", "/v1/event-type-policy", { unknown: "maybe" }, "/unknown"]
        ] as const) {
          const answer = yield* send(method, path, body)
          assert.strictEqual(answer.status, 422, JSON.stringify(body))
          if (pointer !== undefined) assert.strictEqual(answer.json.errors[0].pointer, pointer)
        }
      })
    )

    it.effect("tells and sets what becomes of unknown types", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const policy = "/v1/event-type-policy"
        assert.deepStrictEqual((yield* call("GET", policy)).json, { unknown: "allow" })
        assert.strictEqual((yield* send("PUT", policy, { unknown: "refuse" })).status, 200)
        assert.deepStrictEqual((yield* call("GET", policy)).json, { unknown: "refuse" })
      })
    )
  })
})
