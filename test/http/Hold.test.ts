import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Calls, layer as calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"

const asAdmin = Effect.gen(function* () {
  const { call } = yield* Calls
  const { keys } = yield* Tenants
  return (method: string, path: string, options: { readonly json?: unknown } = {}) =>
    call(method, path, { key: keys.admin, ...options })
})

describe("/v1/hold", () => {
  layer(calls())((it) => {
    it.effect("stops sending with a reason, tells of it, and lets it go on", () =>
      Effect.gen(function* () {
        const call = yield* asAdmin
        const off = { held: false, reason: null, since: null }
        assert.deepStrictEqual((yield* call("GET", "/v1/hold")).json, off)
        assert.deepStrictEqual((yield* call("POST", "/v1/release")).json, off)
        const held = yield* call("POST", "/v1/hold", { json: { reason: "flood" } })
        assert.strictEqual(held.status, 200)
        const on = { held: true, reason: "flood", since: "1970-01-01T00:00:00.000Z" }
        assert.deepStrictEqual(held.json, on)
        assert.deepStrictEqual((yield* call("POST", "/v1/hold")).json, on)
        assert.deepStrictEqual((yield* call("GET", "/v1/hold")).json, on)
        assert.deepStrictEqual((yield* call("POST", "/v1/release")).json, off)
        assert.deepStrictEqual((yield* call("GET", "/v1/hold")).json, off)
      })
    )

    it.effect("refuses what it does not know", () =>
      Effect.gen(function* () {
        const call = yield* asAdmin
        for (const json of [{ reason: 5 }, { reason: "x".repeat(513) }, { for: "ever" }]) {
          assert.strictEqual((yield* call("POST", "/v1/hold", { json })).status, 422)
        }
        assert.isFalse((yield* call("GET", "/v1/hold")).json.held)
      })
    )
  })
})
