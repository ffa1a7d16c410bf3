import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Receiver from "../support/Receiver.ts"
import { Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import * as Real from "./Real.ts"

describe("Stats", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("count what was done and what is owed, of a tenant and of each webhook", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { keys } = yield* Tenants
        const good = yield* Receiver.make()
        const bad = yield* Receiver.make()
        const gone = yield* Receiver.make()
        bad.answers(Receiver.reply(500))
        gone.answers(Receiver.reply(404))
        const hook = (uid: string, fields: object) =>
          Effect.map(
            call("POST", "/v1/webhooks", { json: { uid, ...fields } }),
            ({ status, text }) => assert.strictEqual(status, 201, text)
          )
        yield* hook("good", { url: good.url })
        yield* hook("bad", {
          url: bad.url,
          retry: { kind: "table", delaysMs: [3_600_000], jitter: 0 }
        })
        yield* hook("gone", { url: gone.url, clientErrors: "permanent" })
        yield* hook("held", { url: good.url })
        yield* call("POST", "/v1/webhooks/held/pause")
        for (let i = 0; i < 3; i++) {
          yield* call("POST", "/v1/messages", { json: { type: "a.b", data: i } })
        }
        const stats = (uid: string) =>
          Effect.map(call("GET", `/v1/webhooks/${uid}/stats`), ({ json }) => json)
        let all = yield* call("GET", "/v1/stats")
        while (all.json.attempts < 9) all = yield* call("GET", "/v1/stats")
        const { attempts, backlog, deliveries, throughput } = all.json
        assert.deepStrictEqual(
          { attempts, ...deliveries },
          { attempts: 9, pending: 3, waiting: 3, held: 3, delivered: 3, exhausted: 3, cancelled: 0 }
        )
        assert.deepInclude(backlog, { count: 6, isCapped: false })
        assert.lengthOf(throughput, 60)
        const sum = throughput.reduce((n: number, one: { attempts: number }) => n + one.attempts, 0)
        assert.strictEqual(sum, 9)

        const works = yield* stats("good")
        assert.deepInclude(works.deliveries, { delivered: 3, pending: 0 })
        assert.deepInclude(works.recent, { deliveries: 3, successRate: 1 })
        assert.isAtLeast(works.recent.p95Ms, works.recent.p50Ms)
        assert.deepInclude(works, { status: "enabled", consecutiveFailures: 0 })
        const fails = yield* stats("bad")
        assert.deepInclude(fails.deliveries, { waiting: 3, held: 0, exhausted: 0 })
        assert.isNotNull(fails.backlog.nextDueAt)
        assert.strictEqual(fails.backlog.ageMs, 0)
        assert.deepInclude((yield* stats("gone")).recent, { deliveries: 3, successRate: 0 })
        const held = yield* stats("held")
        assert.deepInclude(held.deliveries, { pending: 3, held: 3 })
        assert.deepInclude(held.backlog, { count: 3 })

        const { data } = (yield* call("GET", "/v1/deliveries?webhook=held")).json
        yield* call("POST", `/v1/deliveries/${data[0].id}/cancel`)
        assert.deepInclude((yield* stats("held")).deliveries, { pending: 2, held: 2, cancelled: 1 })

        const other = yield* call("GET", "/v1/stats", { key: keys.other })
        assert.deepInclude(other.json, { attempts: 0 })
        assert.strictEqual((yield* call("GET", "/v1/webhooks/nothing/stats")).status, 404)
      })
    )
  })
})
