import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { verify } from "../../src/verify.ts"
import certificates from "../send/certificates.json" with { type: "json" }
import * as Receiver from "../support/Receiver.ts"
import { Calls } from "./Calls.ts"
import * as Real from "./Real.ts"

const register = Effect.fnUntraced(function* (url: string, fields: object = {}) {
  const { call } = yield* Calls
  const made = yield* call("POST", "/v1/webhooks", { json: { url, ...fields } })
  assert.strictEqual(made.status, 201, made.text)
  const path = `/v1/webhooks/${made.json.id}`
  return {
    path,
    secret: made.json.secret as string,
    test: (json?: unknown) => call("POST", `${path}/test`, { json }),
    check: call("POST", `${path}/check`),
    get: call("GET", path)
  }
})

describe("Trials", () => {
  layer(Real.layer({}, { certificates: [certificates.ca] }), {
    excludeTestServices: true,
    timeout: "60 seconds"
  })((it) => {
    it.effect("a test is one signed request, shown as an attempt, and is written nowhere", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const receiver = yield* Receiver.make()
        receiver.answers(Receiver.reply(503, { body: "busy", headers: { "retry-after": "60" } }))
        const hook = yield* register(receiver.url, { headers: { "x-own": "private-value" } })
        yield* call("POST", `${hook.path}/pause`)
        const before = (yield* hook.get).json
        const tested = yield* hook.test()
        assert.strictEqual(tested.status, 200, tested.text)
        const { headers, body } = yield* receiver.take
        const text = Buffer.from(body).toString()
        assert.isTrue(verify({ secret: hook.secret, headers, body: text }).ok)
        const sent = JSON.parse(text)
        assert.deepInclude(sent, { id: headers["webhook-id"], type: "posthaste.test" })
        assert.deepInclude(tested.json, {
          messageId: sent.id,
          type: "posthaste.test",
          class: "status_5xx",
          statusCode: 503,
          responseBody: "busy",
          number: 1
        })
        assert.include(tested.json.explanation, "503: a delivery would be tried again")
        assert.strictEqual(tested.json.request.body, text)
        assert.include(tested.json.request.headerNames, "webhook-signature")
        assert.notInclude(tested.text, "private-value")
        assert.deepStrictEqual((yield* hook.get).json, before)
        assert.lengthOf(receiver.requests, 1)
        const type = "invoice.paid"
        const typed = yield* hook.test({ type })
        assert.strictEqual(typed.json.type, type)
        const { body: second } = yield* receiver.take
        assert.strictEqual(JSON.parse(Buffer.from(second).toString()).type, type)
      })
    )

    it.effect("a test of a type sends its example of the catalogue, and makes none up", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const receiver = yield* Receiver.make()
        const hook = yield* register(receiver.url)
        const schema = { type: "object", required: ["amount"] }
        const example = { amount: 100, currency: "€" }
        for (const [name, more] of [
          ["invoice.example", { example }],
          ["invoice.bare", {}]
        ] as const) {
          const made = yield* call("POST", "/v1/event-types", {
            json: { name, displayName: name, schema, ...more }
          })
          assert.strictEqual(made.status, 201, made.text)
        }
        const sent = (type: string) =>
          Effect.gen(function* () {
            assert.strictEqual((yield* hook.test({ type })).status, 200)
            return JSON.parse(Buffer.from((yield* receiver.take).body).toString())
          })
        assert.deepInclude(yield* sent("invoice.example"), {
          type: "invoice.example",
          data: example
        })
        for (const type of ["invoice.bare", "invoice.unknown"]) {
          assert.deepInclude((yield* sent(type)).data, { test: true })
        }
      })
    )

    it.effect("a test says what a delivery would make of the answer", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make()
        const hook = yield* register(receiver.url, { clientErrors: "permanent" })
        for (const [answer, words] of [
          [Receiver.reply(204), "204: a delivery would be delivered"],
          [Receiver.reply(410), "the webhook disabled"],
          [Receiver.reply(404), "exhausted at once"],
          [
            Receiver.reply(302, { headers: { location: "/x" } }),
            "a redirect, which is not followed"
          ],
          [Receiver.reset, "There was no answer"]
        ] as const) {
          receiver.answers(answer)
          assert.include((yield* hook.test()).json.explanation, words)
        }
        assert.strictEqual((yield* hook.get).json.status, "enabled")
      })
    )

    it.effect("one trial of a webhook runs at a time", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make()
        receiver.answers(Receiver.reply(200, { delayMs: 200 }))
        const hook = yield* register(receiver.url)
        const answers = yield* Effect.all([hook.test(), hook.test(), hook.check], {
          concurrency: "unbounded"
        })
        const statuses = answers.map(({ status }) => status).sort()
        assert.deepStrictEqual(statuses, [200, 429, 429])
        const refused = answers.find(({ status }) => status === 429)!
        assert.strictEqual(refused.json.code, "trials_busy")
        assert.strictEqual(refused.headers.get("retry-after"), "1")
        assert.strictEqual((yield* hook.test()).status, 200)
      })
    )

    it.effect("a check shows how far a connection comes, and sends nothing but HEAD", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make({ certificate: certificates.trusted })
        receiver.answers(
          Receiver.reply(301, { headers: { location: "https://elsewhere.example/hook?secret=1" } })
        )
        const hook = yield* register(`${receiver.url}/a?b=c`, {
          headers: { "x-own": "private-value" }
        })
        const { json, status, text } = yield* hook.check
        assert.strictEqual(status, 200, text)
        assert.isTrue(json.ok, text)
        assert.deepStrictEqual(json.dns.verdict, "allowed")
        assert.include(json.dns.addresses, "127.0.0.1")
        assert.match(json.tls.protocol, /^TLSv1\.[23]$/)
        assert.isAtLeast(json.tls.chain.length, 1)
        assert.isNumber(json.tls.daysToExpiry)
        assert.deepStrictEqual(json.http, {
          version: "1.1",
          statusCode: 301,
          redirectHost: "elsewhere.example"
        })
        assert.isTrue(json.warnings.some((one: string) => one.includes("elsewhere.example")))
        for (const part of ["dnsMs", "connectMs", "tlsMs", "answerMs", "totalMs"]) {
          assert.isAtLeast(json.latency[part], 0, part)
        }
        const request = yield* receiver.take
        assert.deepInclude(request, { method: "HEAD", path: "/a?b=c" })
        assert.strictEqual(request.body.length, 0)
        assert.isUndefined(request.headers["x-own"])
        assert.isUndefined(request.headers["webhook-signature"])
        assert.notInclude(text, "secret=1")
      })
    )

    it.effect("a check says in words why a certificate is refused", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make({ certificate: certificates.expired })
        const hook = yield* register(receiver.url)
        const { json } = yield* hook.check
        assert.isFalse(json.ok)
        assert.strictEqual(json.failure.class, "tls")
        assert.isTrue(
          json.warnings.some((one: string) => one.includes("past its end")),
          json
        )
        assert.isNull(json.http)
      })
    )

    it.effect("a check names the rule of an address that is refused, and not the address", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const hook = yield* register("https://a.example/")
        const checked = yield* hook.check
        assert.isFalse(checked.json.ok)
        assert.notStrictEqual(checked.json.dns.verdict, "allowed")
        assert.deepStrictEqual(checked.json.dns.addresses, [])
        assert.strictEqual((yield* call("POST", "/v1/webhooks/nothing/check")).status, 404)
        assert.strictEqual((yield* call("POST", "/v1/webhooks/nothing/test")).status, 404)
      })
    )

    it.effect("a check of a receiver that never answers ends with the webhook's timeout", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make()
        receiver.answers(Receiver.never)
        const hook = yield* register(receiver.url, { timeoutMs: 1_000 })
        const { json } = yield* hook.check
        assert.strictEqual(json.failure.class, "headers_timeout")
        assert.isNumber(json.latency.connectMs)
        assert.isNull(json.latency.totalMs)
        yield* receiver.closed
      })
    )
  })
})
