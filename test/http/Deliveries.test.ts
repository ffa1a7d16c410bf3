import { assert, describe, layer } from "@effect/vitest"
import { Effect, References } from "effect"
import { advice } from "../../src/domain/Advice.ts"
import { Ids } from "../../src/store/Ids.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { Fakes, makeMessage, Tenants } from "./Fakes.ts"

describe("/v1/deliveries", () => {
  layer(calls())((it) => {
    it.effect("lists and gets deliveries", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { deliveries, message } = yield* makeMessage(
          {},
          {
            status: "exhausted",
            attempts: 2,
            nextAttemptAt: 5_000,
            lastStatusCode: 503,
            lastClass: "status_5xx",
            settledAt: 2_000
          }
        )
        const delivery = deliveries[0]!
        const got = yield* call("GET", `/v1/deliveries/${delivery.id}`)
        const { explanation, lastAttempt, ...shown } = got.json
        assert.strictEqual(explanation, "given up")
        assert.isNull(lastAttempt)
        assert.deepStrictEqual(shown, {
          id: delivery.id,
          messageId: message.id,
          webhookId: delivery.webhookId,
          type: "invoice.paid",
          status: "exhausted",
          attempts: 2,
          nextAttemptAt: "1970-01-01T00:00:05.000Z",
          lastStatusCode: 503,
          lastClass: "status_5xx",
          createdAt: "1970-01-01T00:00:01.000Z",
          settledAt: "1970-01-01T00:00:02.000Z",
          reason: null
        })
        const listed = yield* call("GET", "/v1/deliveries")
        assert.deepStrictEqual(listed.json.data, [shown])
      })
    )

    it.effect("narrows a list by everything that the contract names", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { asked } = yield* Fakes
        const { deliveries, message } = yield* makeMessage({ uid: "m-uid" }, {})
        const webhook = yield* call("POST", "/v1/webhooks", {
          json: { url: "https://a.example/", uid: "w-uid" }
        })
        const none = {
          webhookId: null,
          messageId: null,
          type: null,
          status: null,
          statusCodeClass: null
        }
        for (const [query, filter] of [
          ["", none],
          [`webhook=${deliveries[0]!.webhookId}`, { webhookId: deliveries[0]!.webhookId }],
          ["webhook=w-uid", { webhookId: webhook.json.id }],
          [`message=${message.id}`, { messageId: message.id }],
          ["message=m-uid", { messageId: message.id }],
          ["type=invoice.paid&status=held", { type: "invoice.paid", status: "held" }],
          ["statusCodeClass=5xx", { statusCodeClass: 5 }],
          ["statusCodeClass=2", { statusCodeClass: 2 }]
        ] as const) {
          const answer = yield* call("GET", `/v1/deliveries?${query}`)
          assert.strictEqual(answer.status, 200)
          assert.deepStrictEqual(asked.at(-1)?.filter, { ...none, ...filter }, query)
        }
        const before = asked.length
        for (const query of ["webhook=nobody", "message=nothing", "webhook=%00"]) {
          assert.deepStrictEqual((yield* call("GET", `/v1/deliveries?${query}`)).json, {
            data: [],
            nextCursor: null,
            prevCursor: null
          })
        }
        assert.lengthOf(asked, before)
        for (const [query, pointer] of [
          ["statusCodeClass=6xx", "/query/statusCodeClass"],
          ["status=lost", "/query/status"]
        ]) {
          const bad = yield* call("GET", `/v1/deliveries?${query}`)
          assert.strictEqual(bad.status, 422)
          assert.strictEqual(bad.json.errors[0].pointer, pointer)
        }
      })
    )

    it.effect("shows attempts, with response bodies only when asked", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const fakes = yield* Fakes
        const { own } = yield* Tenants
        const ids = yield* Ids
        const { deliveries } = yield* makeMessage({}, {})
        const { id: deliveryId, webhookId } = deliveries[0]!
        const common = { deliveryId, webhookId, tenantId: own.id, settled: null, nextAt: null }
        fakes.attempts.push(
          {
            ...common,
            id: yield* ids.next("attempt"),
            number: 1,
            startedAt: 1_000,
            durationMs: 12,
            class: "status_5xx",
            statusCode: 503,
            error: null,
            responseHeaders: { "content-type": "text/plain" },
            responseBody: new TextEncoder().encode("bäh"),
            responseTruncated: true,
            nextAt: 6_000
          },
          {
            ...common,
            id: yield* ids.next("attempt"),
            number: 2,
            startedAt: 6_000,
            durationMs: 30,
            class: "dns",
            statusCode: null,
            error: "no such host",
            responseHeaders: null,
            responseBody: null,
            responseTruncated: false,
            settled: "exhausted"
          }
        )
        const path = `/v1/deliveries/${deliveryId}/attempts`
        const plain = yield* call("GET", path)
        const { id: _, ...first } = plain.json.data[0]
        assert.deepStrictEqual(first, {
          deliveryId,
          webhookId,
          number: 1,
          startedAt: "1970-01-01T00:00:01.000Z",
          durationMs: 12,
          class: "status_5xx",
          statusCode: 503,
          error: null,
          advice: advice("status_5xx", null),
          responseHeaders: { "content-type": "text/plain" },
          responseTruncated: true,
          nextAttemptAt: "1970-01-01T00:00:06.000Z",
          settled: null,
          explanation:
            "failed: the receiver answered 503; the next one was planned for 5 seconds later",
          // Its webhook does not exist any more.
          request: null
        })
        const got = yield* call("GET", `/v1/deliveries/${deliveryId}`)
        assert.deepStrictEqual(got.json.lastAttempt, plain.json.data[1])
        assert.deepInclude(plain.json.data[1], { error: "no such host", settled: "exhausted" })
        const bodies = yield* call("GET", `${path}?include=body`)
        assert.deepInclude(bodies.json.data[0], {
          responseBody: "bäh",
          responseBodyEncoding: "utf8"
        })
        assert.deepInclude(bodies.json.data[1], { responseBody: null, responseBodyEncoding: null })
      })
    )

    it.effect("redelivers what is settled and cancels what is owed", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { deliveries } = yield* makeMessage(
          {},
          { status: "exhausted" },
          { status: "waiting" }
        )
        const [settled, owed] = deliveries.map(({ id }) => `/v1/deliveries/${id}`)
        const redelivered = yield* call("POST", `${settled}/redeliver`)
        assert.strictEqual(redelivered.status, 202)
        assert.strictEqual(redelivered.json.status, "pending")
        const cancelled = yield* call("POST", `${owed}/cancel`)
        assert.strictEqual(cancelled.status, 200)
        assert.strictEqual(cancelled.json.status, "cancelled")
        for (const [path, deliveryStatus] of [
          [`${settled}/cancel`, "exhausted"],
          [`${owed}/redeliver`, "waiting"]
        ]) {
          const conflict = yield* call("POST", path!)
          assert.strictEqual(conflict.status, 409)
          assert.deepInclude(conflict.json, { code: "delivery_state_conflict", deliveryStatus })
        }
      })
    )

    it.effect("answers 500 where the engine says what no answer may", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { deliveries } = yield* makeMessage({}, { attempts: 0.5 })
        const answer = yield* call("GET", `/v1/deliveries/${deliveries[0]!.id}`)
        assert.strictEqual(answer.status, 500)
        assert.strictEqual(answer.json.code, "internal_error")
        assert.isUndefined(answer.json.detail)
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    )

    it.effect("answers 404 for a delivery that is not there", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const id of [
          "dlv_01h455vb4pex5vsknk084sn02q",
          "msg_01h455vb4pex5vsknk084sn02q",
          "%00"
        ]) {
          for (const [method, suffix] of [
            ["GET", ""],
            ["GET", "/attempts"],
            ["POST", "/redeliver"],
            ["POST", "/cancel"]
          ]) {
            const answer = yield* call(method!, `/v1/deliveries/${id}${suffix}`)
            assert.strictEqual(answer.status, 404)
            assert.strictEqual(answer.json.code, "delivery_not_found")
          }
        }
      })
    )
  })
})
