import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Ids } from "../../src/store/Ids.ts"
import { webhookOf } from "../store/Stage.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"

describe("/v1/redeliveries", () => {
  layer(calls())((it) => {
    it.effect("starts, shows, lists and cancels a job", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { own } = yield* Tenants
        const webhookId = yield* webhookOf(own.id)
        const json = {
          webhook: webhookId,
          type: "invoice.paid",
          status: "delivered",
          after: "2026-01-01T00:00:00Z",
          before: "2026-02-01T00:00:00Z",
          dryRun: true
        }
        const made = yield* call("POST", "/v1/redeliveries", { json })
        assert.strictEqual(made.status, 202)
        assert.match(made.json.id, /^rdl_/)
        assert.deepInclude(made.json, {
          state: "counting",
          matched: 0,
          done: 0,
          webhookId,
          type: "invoice.paid",
          status: "delivered",
          after: "2026-01-01T00:00:00.000Z",
          before: "2026-02-01T00:00:00.000Z",
          dryRun: true,
          finishedAt: null
        })
        yield* TestClock.adjust("1 second")
        const got = yield* call("GET", `/v1/redeliveries/${made.json.id}`)
        assert.strictEqual(got.json.state, "done")
        const listed = yield* call("GET", "/v1/redeliveries?limit=1")
        assert.deepStrictEqual(listed.json.data, [got.json])
        const late = yield* call("POST", `/v1/redeliveries/${made.json.id}/cancel`)
        assert.strictEqual(late.status, 409)
        assert.deepInclude(late.json, { code: "redelivery_finished", state: "done" })
      })
    )

    it.effect("redelivers what is exhausted when nothing is said", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* call("POST", "/v1/redeliveries", { json: {} })
        assert.deepInclude(made.json, { status: "exhausted", dryRun: false, webhookId: null })
      })
    )

    it.effect("answers one job to a repeated key", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const headers = { "idempotency-key": "once" }
        const first = yield* call("POST", "/v1/redeliveries", { json: {}, headers })
        const again = yield* call("POST", "/v1/redeliveries", { json: {}, headers })
        assert.strictEqual(again.json.id, first.json.id)
        const other = yield* call("POST", "/v1/redeliveries", { json: { dryRun: true }, headers })
        assert.strictEqual(other.status, 409)
        assert.strictEqual(other.json.code, "idempotency_conflict")
      })
    )

    it.effect("refuses what it cannot redeliver", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const [json, pointer] of [
          [{ status: "pending" }, "/status"],
          [{ after: "yesterday" }, "/after"],
          [{ webhooks: [] }, "/webhooks"],
          [{ dryRun: "yes" }, "/dryRun"]
        ] as const) {
          const bad = yield* call("POST", "/v1/redeliveries", { json })
          assert.strictEqual(bad.status, 422)
          assert.strictEqual(bad.json.errors[0].pointer, pointer)
        }
        const unknown = yield* call("POST", "/v1/redeliveries", { json: { webhook: "nobody" } })
        assert.strictEqual(unknown.status, 404)
        const id = yield* (yield* Ids).next("redelivery")
        for (const path of [`/${id}`, "/nothing"]) {
          assert.strictEqual((yield* call("GET", `/v1/redeliveries${path}`)).status, 404)
          assert.strictEqual((yield* call("POST", `/v1/redeliveries${path}/cancel`)).status, 404)
        }
      })
    )

    it.effect("hides the jobs of a tenant from another one", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { keys } = yield* Tenants
        const { json } = yield* call("POST", "/v1/redeliveries", { json: {} })
        const key = keys.other
        assert.strictEqual((yield* call("GET", `/v1/redeliveries/${json.id}`, { key })).status, 404)
        const cancelled = yield* call("POST", `/v1/redeliveries/${json.id}/cancel`, { key })
        assert.strictEqual(cancelled.status, 404)
        assert.deepStrictEqual((yield* call("GET", "/v1/redeliveries", { key })).json.data, [])
      })
    )
  })
})
