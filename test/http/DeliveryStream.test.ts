import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, PubSub, Redacted, Scope, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as ApiClient from "../../src/api/ApiClient.ts"
import type { Delivery } from "../../src/domain/Delivery.ts"
import type { DeliveryChange } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { webhookOf } from "../store/Stage.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { Fakes, makeMessage, Tenants } from "./Fakes.ts"

/** Opens a stream and answers a function that reads on until a text has come. */
const open = Effect.fnUntraced(function* (query = "", key?: string) {
  const { port } = yield* Calls
  const { keys } = yield* Tenants
  const controller = yield* Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (controller) => Effect.sync(() => controller.abort())
  )
  const response = yield* Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}/v1/deliveries/stream${query}`, {
      headers: { authorization: `Bearer ${key ?? keys.read}` },
      signal: controller.signal
    })
  )
  const reader = response.body!.getReader()
  let text = ""
  const until = (wanted: string) =>
    Effect.promise(async () => {
      while (!text.includes(wanted)) {
        const { done, value } = await reader.read()
        if (done) break
        text += Buffer.from(value).toString()
      }
      return text
    })
  if (response.status === 200) yield* until(": connected\n\n")
  return { response, until, close: Effect.sync(() => controller.abort()) }
})

const changeOf = Effect.fnUntraced(function* (
  delivery: Effect.Success<ReturnType<typeof makeMessage>>["deliveries"][number],
  number = 1
) {
  const change: DeliveryChange = {
    type: delivery.type,
    status: "waiting",
    attempt: {
      id: yield* (yield* Ids).next("attempt"),
      deliveryId: delivery.id,
      tenantId: delivery.tenantId,
      webhookId: delivery.webhookId,
      number,
      startedAt: 1_000,
      durationMs: 12,
      class: "status_5xx",
      statusCode: 503,
      error: null,
      responseHeaders: null,
      responseBody: new TextEncoder().encode("not shown"),
      responseTruncated: false,
      nextAt: 6_000,
      settled: null
    }
  }
  return change
})

const settle = (change: DeliveryChange) =>
  Effect.flatMap(Fakes, ({ settled }) => PubSub.publish(settled, change))

describe("GET /v1/deliveries/stream", () => {
  layer(Layer.merge(calls(), FetchHttpClient.layer))((it) => {
    it.effect("tells attempts, cancellations and changes of webhooks to a typed client", () =>
      Effect.gen(function* () {
        const { port } = yield* Calls
        const { keys, own } = yield* Tenants
        const { moved } = yield* Fakes
        const client = yield* ApiClient.make({
          baseUrl: `http://127.0.0.1:${port}`,
          key: Redacted.make(keys.read)
        })
        const { deliveries } = yield* makeMessage({}, {})
        const events = yield* client.deliveries.stream({ query: {} })
        const following = yield* events.pipe(Stream.take(4), Stream.runCollect, Effect.forkScoped)
        // The client has its answer once the stream is open, and the stream listens before that.
        const change = yield* changeOf(deliveries[0]!)
        yield* settle(change)
        const cancelled: Delivery = { ...deliveries[0]!, status: "cancelled" }
        yield* PubSub.publish(moved, cancelled)
        const webhookId = yield* webhookOf(own.id)
        yield* (yield* WebhookRepo).setStatus(own.id, webhookId, "paused")
        const told = yield* Fiber.join(following)
        assert.deepStrictEqual(
          told.map(({ kind }) => kind),
          ["attempt", "delivery", "webhook", "webhook"]
        )
        const [attempt, delivery, registered, paused] = told
        assert.deepInclude(attempt, { type: "invoice.paid", status: "waiting" })
        assert.strictEqual(attempt?.kind === "attempt" && attempt.attempt.statusCode, 503)
        assert.strictEqual(delivery?.kind === "delivery" && delivery.delivery.status, "cancelled")
        assert.deepInclude(registered, { webhookId, status: "enabled" })
        assert.deepInclude(paused, { webhookId, status: "paused" })
      })
    )

    it.effect("tells a tenant nothing of another one, and no body", () =>
      Effect.gen(function* () {
        const { keys, other } = yield* Tenants
        const own = yield* open()
        const foreign = yield* open("", keys.other)
        const { deliveries } = yield* makeMessage({}, {})
        const { deliveries: others } = yield* makeMessage({ tenantId: other.id }, {})
        yield* settle(yield* changeOf(deliveries[0]!))
        yield* settle(yield* changeOf(others[0]!))
        const toForeign = yield* foreign.until(others[0]!.id)
        assert.notInclude(toForeign, deliveries[0]!.id)
        yield* settle(yield* changeOf(deliveries[0]!, 2))
        const toOwn = yield* own.until(`"number":2`)
        assert.notInclude(toOwn, others[0]!.id)
        assert.notInclude(toOwn, "not shown")
        assert.strictEqual(own.response.headers.get("content-type"), "text/event-stream")
        assert.match(toOwn, /^: connected\n\nevent: attempt\ndata: \{.*\}\n\nevent/)
      })
    )

    it.effect("narrows by webhook, type and status", () =>
      Effect.gen(function* () {
        const { deliveries } = yield* makeMessage({}, {}, {})
        const [first, second] = deliveries
        const { deliveries: late } = yield* makeMessage({ type: "invoice.late" }, {})
        const byWebhook = yield* open(`?webhook=${second!.webhookId}`)
        const byType = yield* open("?type=invoice.late")
        const byStatus = yield* open("?status=delivered")
        yield* settle(yield* changeOf(first!))
        yield* settle(yield* changeOf(second!))
        yield* settle(yield* changeOf(late[0]!))
        yield* settle({ ...(yield* changeOf(first!, 9)), status: "delivered" })
        assert.notInclude(yield* byWebhook.until(second!.id), first!.id)
        assert.notInclude(yield* byType.until(late[0]!.id), second!.id)
        assert.notInclude(yield* byStatus.until(`"number":9`), `"number":1,`)
        for (const [query, status] of [
          ["?webhook=nobody", 404],
          ["?status=lost", 422]
        ] as const) {
          const { call } = yield* Calls
          assert.strictEqual((yield* call("GET", `/v1/deliveries/stream${query}`)).status, status)
        }
      })
    )

    it.effect("comments every 15 seconds, and ends after an hour", () =>
      Effect.gen(function* () {
        const { until } = yield* open()
        yield* TestClock.adjust("15 seconds")
        assert.include(yield* until(": still here\n\n"), ": still here\n\n")
        yield* TestClock.adjust("1 hour")
        // Ends instead of waiting for what never comes.
        yield* until("never")
      })
    )
  })

  layer(calls({ streams: { bufferMax: 4 } }))((it) => {
    it.effect("says how many events a slow reader missed", () =>
      Effect.gen(function* () {
        const { settled } = yield* Fakes
        const { until } = yield* open()
        const { deliveries } = yield* makeMessage({}, {})
        const changes = yield* Effect.forEach(
          Array.from({ length: 1_000 }, (_, i) => i + 1),
          (number) => changeOf(deliveries[0]!, number)
        )
        yield* PubSub.publishAll(settled, changes)
        const text = yield* until(`"number":1000,`)
        const missed = [...text.matchAll(/"missed":(\d+)/g)].map(([, count]) => Number(count))
        const told = text.match(/event: attempt/g)?.length ?? 0
        assert.isAbove(missed.length, 0)
        assert.strictEqual(
          missed.reduce((sum, count) => sum + count, told),
          1_000
        )
      })
    )
  })

  layer(calls({ streams: { streamsMax: 3, tenantStreamsMax: 2 } }))((it) => {
    it.effect("refuses more streams than there may be, until one is closed", () =>
      Effect.gen(function* () {
        const { keys } = yield* Tenants
        const first = yield* open()
        yield* open()
        const refused = yield* open()
        assert.strictEqual(refused.response.status, 503)
        assert.strictEqual(refused.response.headers.get("retry-after"), "5")
        assert.include(yield* refused.until("}"), "streams_busy")
        assert.strictEqual((yield* open("", keys.other)).response.status, 200)
        assert.strictEqual((yield* open("", keys.other)).response.status, 503)
        yield* first.close
        while ((yield* open()).response.status !== 200) yield* Effect.yieldNow
      })
    )
  })

  layer(Layer.empty)((it) => {
    it.effect("ends at shutdown, and holds it up for no reader", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(
          calls({ gracefulShutdownTimeout: "1 hour" }),
          scope
        )
        const { until } = yield* Effect.provide(open(), context)
        yield* Scope.close(scope, Exit.void)
        yield* until("never")
      })
    )
  })
})
