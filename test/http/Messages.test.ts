import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { IdempotencyConflict, MessageUidConflict, Overloaded } from "../../src/domain/Message.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { brokenStore, Fakes, makeMessage, Tenants } from "./Fakes.ts"

const json = { "content-type": "application/json" }

describe("/v1/messages", () => {
  layer(calls({ maxBodyBytes: 1_000 }))("publishing", (it) => {
    const publish = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
      Calls.use(({ call }) =>
        call("POST", "/v1/messages", { body, headers: { ...json, ...headers } })
      )
    const lastDraft = Effect.map(Fakes, ({ drafts }) => drafts.at(-1)!)

    it.effect("accepts a message and hands it on as it was written", () =>
      Effect.gen(function* () {
        const { own } = yield* Tenants
        const answer = yield* publish(
          `{"type":"invoice.paid","data": { "a" : 1.0, "a":1e400 } ,"uid":"o-1","resource":{"type":"order","id":"7"}}`,
          { "idempotency-key": "k 1" }
        )
        assert.strictEqual(answer.status, 202)
        assert.deepStrictEqual(answer.json, {
          id: answer.json.id,
          uid: "o-1",
          type: "invoice.paid",
          createdAt: "1970-01-01T00:00:01.000Z",
          deliveries: 2
        })
        assert.match(answer.json.id, /^msg_/)
        assert.deepStrictEqual(yield* lastDraft, {
          tenantId: own.id,
          type: "invoice.paid",
          uid: "o-1",
          resource: { type: "order", id: "7" },
          data: `{ "a" : 1.0, "a":1e400 }`,
          idempotencyKey: "k 1"
        })
      })
    )

    it.effect("hands on what a message says about its way", () =>
      Effect.gen(function* () {
        const answer = yield* publish(
          `{"type":"a","data":1,"orderingKey":"o","channels":["x","y"],"deliverAt":"1970-01-01T00:01:00Z","expiresAt":"1970-01-01T01:01:00+01:00"}`
        )
        assert.strictEqual(answer.status, 422)
        assert.deepStrictEqual(answer.json.errors, [
          { pointer: "/expiresAt", message: "Expected an instant after deliverAt" }
        ])
        yield* publish(
          `{"type":"a","data":1,"orderingKey":"o","channels":["x","y"],"deliverAt":"1970-01-01T00:01:00Z","expiresAt":"1970-01-01T01:02:00+01:00"}`
        )
        assert.deepInclude(yield* lastDraft, {
          orderingKey: "o",
          channels: ["x", "y"],
          deliverAt: 60_000,
          expiresAt: 120_000
        })
        const yearLater = yield* publish(`{"type":"a","data":1,"deliverAt":"1971-02-01T00:00:00Z"}`)
        assert.strictEqual(yearLater.json.errors[0].pointer, "/deliverAt")
        for (const fields of [
          `"orderingKey":""`,
          `"orderingKey":"${"x".repeat(257)}"`,
          `"channels":[${'"c",'.repeat(16)}"c"]`,
          `"channels":[""]`,
          `"channels":null`,
          `"deliverAt":"tomorrow"`,
          `"expiresAt":1`
        ]) {
          const refused = yield* publish(`{"type":"a","data":1,${fields}}`)
          assert.strictEqual(refused.status, 422, fields)
        }
      })
    )

    it.effect("takes bytes of any content type as they are, with the rest in the query", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const raw = (query: string, body: string | Uint8Array, type: string | undefined) =>
          call("POST", `/v1/messages/raw?${query}`, {
            body,
            headers: type === undefined ? {} : { "content-type": type, "idempotency-key": "k" }
          })
        const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
        const answer = yield* raw(
          "type=file.stored&uid=f-1&resourceType=file&resourceId=7&orderingKey=o&channels=a&channels=b" +
            "&deliverAt=1970-01-01T00:01:00Z&expiresAt=1970-01-01T00:02:00Z",
          bytes,
          `image/png; x="1"`
        )
        assert.strictEqual(answer.status, 202)
        assert.deepStrictEqual(yield* lastDraft, {
          tenantId: (yield* Tenants).own.id,
          type: "file.stored",
          uid: "f-1",
          resource: { type: "file", id: "7" },
          orderingKey: "o",
          channels: ["a", "b"],
          deliverAt: 60_000,
          expiresAt: 120_000,
          data: { contentType: `image/png; x="1"`, bytes },
          idempotencyKey: "k"
        })
        yield* raw("type=a&channels=one", "\ufeff{", "application/json")
        assert.deepInclude(yield* lastDraft, {
          channels: ["one"],
          data: {
            contentType: "application/json",
            bytes: Uint8Array.from([0xef, 0xbb, 0xbf, 0x7b])
          }
        })
        for (const [query, body, type, status, pointer] of [
          ["", "x", "text/plain", 422, "/query/type"],
          ["type=posthaste.x", "x", "text/plain", 422, "/query/type"],
          ["type=a&resourceId=1", "x", "text/plain", 422, "/query/resourceType"],
          ["type=a&resourceType=1", "x", "text/plain", 422, "/query/resourceId"],
          ["type=a&deliverAt=soon", "x", "text/plain", 422, "/query/deliverAt"],
          ["type=a&deliverAt=1980-01-01T00:00:00Z", "x", "text/plain", 422, "/query/deliverAt"],
          ["type=a", bytes, undefined, 415, undefined],
          ["type=a", "x", "text", 415, undefined],
          ["type=a", "x".repeat(1_001), "text/plain", 413, undefined],
          ["type=a", bytes, "application/json", 400, undefined],
          ["type=a", bytes, "application/cloudevents+json; charset=utf-8", 400, undefined],
          ["type=a", bytes, "text/plain;charset=UTF-8", 400, undefined]
        ] as const) {
          const refused = yield* raw(query, body, type)
          assert.strictEqual(refused.status, status, `${query} ${type}`)
          if (pointer !== undefined) assert.strictEqual(refused.json.errors[0].pointer, pointer)
        }
      })
    )

    it.effect(
      "judges each message of a batch on its own, and keeps its data as it was written",
      () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const { drafts } = yield* Fakes
          const before = drafts.length
          const answer = yield* call("POST", "/v1/messages/batch", {
            body: `{"messages" : [ {"type":"a","data": { "n" : 1.0, "n":[",]"] } ,"uid":"b-1"},
            {"type":"a b","data":1}, 7, {"type":"b","data":"]}"}, {"type":"c","data":1,"expiresat":1},
            {"type":"c","data":1,"uid":"conflict"}]}`,
            headers: { ...json, "idempotency-key": "k" }
          })
          assert.strictEqual(answer.status, 202)
          assert.deepInclude(answer.json, { accepted: 3, refused: 3 })
          assert.deepStrictEqual(
            answer.json.data.map((one: { index: number; status: number }) => [
              one.index,
              one.status
            ]),
            [202, 422, 422, 202, 422, 202].map((status, index) => [index, status])
          )
          assert.strictEqual(answer.json.data[1].problem.errors[0].pointer, "/messages/1/type")
          assert.strictEqual(answer.json.data[2].problem.errors[0].pointer, "/messages/2")
          assert.strictEqual(answer.json.data[4].problem.errors[0].pointer, "/messages/4/expiresat")
          assert.deepStrictEqual(
            drafts
              .slice(before)
              .map(({ data, idempotencyKey, uid }) => [data, uid, idempotencyKey]),
            [
              [`{ "n" : 1.0, "n":[",]"] }`, "b-1", "k\n0"],
              [`"]}"`, null, "k\n3"],
              ["1", "conflict", "k\n5"]
            ]
          )
          for (const body of [
            "{}",
            `{"messages":[]}`,
            `{"messages":{}}`,
            `{"messages":[${"1,".repeat(1_000)}1]}`,
            `{"messages":[1],"more":1}`
          ]) {
            const refused = yield* call("POST", "/v1/messages/batch", { body, headers: json })
            assert.strictEqual(refused.status, 422, body.slice(0, 40))
          }
        })
    )

    it.effect("keeps numbers, escapes and unicode of data byte for byte", () =>
      Effect.gen(function* () {
        for (const data of [
          "1.0",
          "-0",
          "12345678901234567890",
          "null",
          `"\\u0000\\ud800\\/é"`,
          `"😀 ü"`,
          "[ ]",
          `{"":{"":[{}]}}`,
          `{"__proto__":1}`
        ]) {
          const answer = yield* publish(`{"type":"a","data":${data}}`)
          assert.strictEqual(answer.status, 202, data)
          assert.strictEqual((yield* lastDraft).data, data)
        }
        yield* publish(`{"data":1,"type":"a","d\\u0061ta":[2]}`)
        assert.strictEqual((yield* lastDraft).data, "[2]")
        const answer = yield* publish(`{"type":"a","data":1,"uid":null,"resource":null}`)
        assert.strictEqual(answer.json.uid, null)
        assert.deepInclude(yield* lastDraft, { uid: null, resource: null, idempotencyKey: null })
      })
    )

    it.effect("names each wrong place of an envelope", () =>
      Effect.gen(function* () {
        const { drafts } = yield* Fakes
        const before = drafts.length
        for (const [body, ...pointers] of [
          [`{"type":"a"}`, "/data"],
          [`{"data":1}`, "/type"],
          [`{"type":"a","data":1,"orderingkey":"x"}`, "/orderingkey"],
          [`{"type":"a b","data":1}`, "/type"],
          [`{"type":"posthaste.webhook.disabled","data":1}`, "/type"],
          [`{"type":"${"a".repeat(257)}","data":1}`, "/type"],
          [`{"type":1,"data":1,"uid":2}`, "/type", "/uid"],
          [`{"type":"a","data":1,"uid":"msg_01h455vb4pex5vsknk084sn02q"}`, "/uid"],
          [`{"type":"a","data":1,"resource":{"type":"t"}}`, "/resource/id"],
          [`{"type":"a","data":1,"resource":{"type":"t","id":"\\u0000"}}`, "/resource/id"],
          [`{"type":"a","data":1,"resource":{"type":"t","id":"\\ud800"}}`, "/resource/id"],
          [`{"type":"a","data":1,"resource":{"type":"t","id":"i","x":1}}`, "/resource/x"],
          [`{"type":"a","data":1,"__proto__":1}`, "/__proto__"],
          [`[]`, ""],
          [`null`, ""],
          [``, ""]
        ] as ReadonlyArray<[string, ...Array<string>]>) {
          const answer = yield* publish(body)
          assert.strictEqual(answer.status, 422, body)
          assert.deepStrictEqual(
            answer.json.errors.map((error: { pointer: string }) => error.pointer).sort(),
            pointers,
            body
          )
        }
        for (const key of ["", "x".repeat(256), "a\u00fcb"]) {
          const answer = yield* publish(`{"type":"a","data":1}`, { "idempotency-key": key })
          assert.strictEqual(answer.status, 422, key)
        }
        assert.lengthOf(drafts, before)
      })
    )

    it.effect("answers 400 to what is no JSON, no UTF-8, or nested too deeply", () =>
      Effect.gen(function* () {
        for (const body of [
          `{`,
          `{"type":"a","data":01}`,
          `{"type":"a","data":1}x`,
          `\ufeff{"type":"a","data":1}`,
          Uint8Array.from([0x22, 0xff, 0x22]),
          Uint8Array.from([...Buffer.from(`{"type":"a","data":"`), 0xc3, ...Buffer.from(`"}`)]),
          `{"type":"a","data":${"[".repeat(64)}${"]".repeat(64)}}`
        ]) {
          const answer = yield* publish(body)
          assert.strictEqual(answer.status, 400, String(body))
          assert.strictEqual(answer.json.code, "unreadable")
        }
        const deepest = `{"type":"a","data":${"[".repeat(63)}${"]".repeat(63)}}`
        assert.strictEqual((yield* publish(deepest)).status, 202)
      })
    )

    it.effect("answers 413 to a body over the limit, announced or not, and to data over it", () =>
      Effect.gen(function* () {
        const { raw } = yield* Calls
        const { keys } = yield* Tenants
        const { drafts } = yield* Fakes
        const before = drafts.length
        const data = yield* publish(`{"type":"a","data":"${"x".repeat(999)}"}`)
        assert.strictEqual(data.status, 413)
        assert.strictEqual(data.json.code, "body_too_large")
        const wide = yield* publish(`{"type":"a","data":"${"é".repeat(500)}"}`)
        assert.strictEqual(wide.status, 413)
        const whole = yield* publish(`{"type":"a","data":"${"x".repeat(50_000)}"}`)
        assert.strictEqual(whole.status, 413)
        const chunk = `${(20_000).toString(16)}\r\n${"x".repeat(20_000)}\r\n`
        const chunked = yield* raw(
          `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${keys.all}\r\n` +
            `content-type: application/json\r\ntransfer-encoding: chunked\r\n` +
            `connection: close\r\n\r\n${chunk}0\r\n\r\n`
        )
        assert.match(chunked, /^HTTP\/1\.1 413 /)
        assert.lengthOf(drafts, before)
        const fits = `{"type":"a","uid":"${"u".repeat(256)}","data":"${"x".repeat(998)}"}`
        assert.strictEqual((yield* publish(fits)).status, 202)
      })
    )

    it.effect("answers 415 to another media type, charset or encoding", () =>
      Effect.gen(function* () {
        const body = `{"type":"a","data":1}`
        for (const headers of [
          { "content-type": "text/plain" },
          { "content-type": "application/x-www-form-urlencoded" },
          { "content-type": "application/json; charset=iso-8859-1" },
          { "content-type": "application/jsonp" },
          { "content-encoding": "gzip" }
        ] as ReadonlyArray<Record<string, string>>) {
          const answer = yield* publish(body, headers)
          assert.strictEqual(answer.status, 415, JSON.stringify(headers))
          assert.strictEqual(answer.json.code, "unsupported_media_type")
        }
        for (const type of [
          "Application/JSON; Charset=UTF-8",
          'application/json;charset="utf-8"'
        ]) {
          assert.strictEqual((yield* publish(body, { "content-type": type })).status, 202)
        }
      })
    )

    it.effect("answers what the publisher refuses", () =>
      Effect.gen(function* () {
        const fakes = yield* Fakes
        const accept = fakes.publish
        for (const [error, status, code] of [
          [new MessageUidConflict(), 409, "message_uid_conflict"],
          [new IdempotencyConflict(), 409, "idempotency_conflict"],
          [new Overloaded({ retryAfterSeconds: 3 }), 503, "overloaded"],
          [brokenStore("MessageRepo.insert"), 503, "store_unavailable"]
        ] as const) {
          fakes.publish = () => Effect.fail(error)
          const answer = yield* publish(`{"type":"a","data":1}`)
          assert.strictEqual(answer.status, status)
          assert.strictEqual(answer.json.code, code)
          if (status === 503) assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]$/)
        }
        fakes.publish = accept
      })
    )
  })

  layer(calls())("reading", (it) => {
    it.effect("lists messages, newest first, with bodies only when asked", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { asked } = yield* Fakes
        const older = yield* makeMessage(
          { uid: "m-1", resource: { type: "order", id: "7" } },
          {},
          {}
        )
        const newer = yield* makeMessage({
          body: Uint8Array.from([0xff]),
          contentType: "image/png"
        })
        const plain = yield* call("GET", "/v1/messages")
        assert.deepStrictEqual(plain.json, {
          data: [
            {
              id: newer.message.id,
              uid: null,
              type: "invoice.paid",
              resource: null,
              orderingKey: null,
              channels: [],
              deliverAt: null,
              expiresAt: null,
              contentType: "image/png",
              createdAt: "1970-01-01T00:00:01.000Z",
              deliveries: 0
            },
            {
              id: older.message.id,
              uid: "m-1",
              type: "invoice.paid",
              resource: { type: "order", id: "7" },
              orderingKey: null,
              channels: [],
              deliverAt: null,
              expiresAt: null,
              contentType: "application/json",
              createdAt: "1970-01-01T00:00:01.000Z",
              deliveries: 2
            }
          ],
          nextCursor: null,
          prevCursor: null
        })
        const bodies = yield* call("GET", "/v1/messages?include=body")
        assert.deepInclude(bodies.json.data[0], { body: "/w==", bodyEncoding: "base64" })
        assert.deepInclude(bodies.json.data[1], { body: `{"data":1}`, bodyEncoding: "utf8" })
        const query =
          "type=invoice.paid&resourceType=order&resourceId=7&before=2026-01-01T00:00:00Z&limit=7"
        yield* call("GET", `/v1/messages?${query}`)
        assert.deepStrictEqual(asked.at(-1), {
          request: { limit: 7, cursor: null, before: Date.UTC(2026, 0), after: null },
          filter: {
            type: "invoice.paid",
            resourceType: "order",
            resourceId: "7",
            includeBody: false
          }
        })
        const bad = yield* call("GET", "/v1/messages?include=everything")
        assert.strictEqual(bad.json.errors[0].pointer, "/query/include")
      })
    )

    it.effect("gets a message by id and by uid, with its deliveries", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { deliveries, message } = yield* makeMessage({ uid: "m-2" }, {}, { status: "held" })
        const byId = yield* call("GET", `/v1/messages/${message.id}`)
        assert.strictEqual(byId.status, 200)
        assert.notProperty(byId.json, "body")
        assert.deepStrictEqual(
          byId.json.deliveries.map((one: { id: string; status: string }) => [one.id, one.status]),
          [
            [deliveries[1]!.id, "held"],
            [deliveries[0]!.id, "pending"]
          ]
        )
        assert.isNull(byId.json.deliveriesNextCursor)
        const byUid = yield* call("GET", "/v1/messages/m-2?include=body")
        assert.deepStrictEqual(byUid.json, {
          ...byId.json,
          body: `{"data":1}`,
          bodyEncoding: "utf8"
        })
        for (const ref of ["nothing", "msg_01h455vb4pex5vsknk084sn02q", "%00"]) {
          const missing = yield* call("GET", `/v1/messages/${ref}`)
          assert.strictEqual(missing.status, 404)
          assert.strictEqual(missing.json.code, "message_not_found")
        }
      })
    )

    it.effect("tells why each webhook of that time got a message or did not", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { decisions, deliveries } = yield* Fakes
        const webhook = (name: string) =>
          Effect.map(
            call("POST", "/v1/webhooks", {
              body: JSON.stringify({ name, url: "https://a.example/", eventTypes: ["x.y"] }),
              headers: json
            }),
            (answer) => answer.json.id
          )
        const [matched, filtered, paused, type] = yield* Effect.all(
          ["matched", "filtered", "paused", "type"].map(webhook)
        )
        const message = yield* makeMessage({}, {}, {})
        deliveries.splice(
          -2,
          2,
          { ...message.deliveries[0]!, webhookId: matched },
          {
            ...message.deliveries[1]!,
            webhookId: paused
          }
        )
        decisions.set(message.message.id, [
          { webhookId: filtered, reason: "filter", clause: "/a/$gt" },
          { webhookId: paused, reason: "paused", clause: null }
        ])
        const path = `/v1/messages/${message.message.id}/routing`
        const { json: explained } = yield* call("GET", path)
        assert.deepStrictEqual(
          explained.data.map((one: Record<string, unknown>) => [
            one["name"],
            one["matched"],
            one["reason"],
            one["clause"]
          ]),
          [
            ["type", false, "type", null],
            ["paused", true, "paused", null],
            ["filtered", false, "filter", "/a/$gt"],
            ["matched", true, "matched", null]
          ]
        )
        assert.deepInclude(explained.data[3], { deliveryId: message.deliveries[0]!.id })
        assert.strictEqual(explained.data[0].webhookId, type)
        const first = yield* call("GET", `${path}?limit=1`)
        const rest = yield* call("GET", `${path}?cursor=${first.json.nextCursor}`)
        assert.deepStrictEqual([...first.json.data, ...rest.json.data], explained.data)
        const early = yield* makeMessage({ createdAt: -1 })
        const nobody = yield* call("GET", `/v1/messages/${early.message.id}/routing`)
        assert.deepStrictEqual(nobody.json.data, [])
        assert.strictEqual((yield* call("GET", "/v1/messages/none/routing")).status, 404)
      })
    )

    it.effect("shows the first 250 deliveries and where the rest is", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { message } = yield* makeMessage({}, ...Array.from({ length: 251 }, () => ({})))
        const { json } = yield* call("GET", `/v1/messages/${message.id}`)
        assert.lengthOf(json.deliveries, 250)
        const rest = yield* call(
          "GET",
          `/v1/deliveries?message=${message.id}&cursor=${json.deliveriesNextCursor}`
        )
        assert.lengthOf(rest.json.data, 1)
      })
    )

    it.effect("answers 503 while the store is away", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const fakes = yield* Fakes
        fakes.down = true
        for (const path of ["/v1/messages", "/v1/messages/x", "/v1/deliveries"]) {
          const answer = yield* call("GET", path)
          assert.strictEqual(answer.status, 503)
          assert.strictEqual(answer.json.code, "store_unavailable")
          assert.strictEqual(answer.headers.get("retry-after"), "2")
          assert.notInclude(answer.text, "gone")
        }
        fakes.down = false
      })
    )
  })
})
