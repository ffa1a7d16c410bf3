import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { verify } from "../../src/verify.ts"
import * as Receiver from "../support/Receiver.ts"
import { Calls } from "./Calls.ts"
import * as Real from "./Real.ts"

const given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
const publish = (json: object, headers: Record<string, string> = {}) =>
  Calls.use(({ call }) => call("POST", "/v1/messages", { json, headers }))

/** The webhook that a message went to. */
const webhookOf = Effect.fnUntraced(function* (messageId: string) {
  const { call } = yield* Calls
  const { json } = yield* call("GET", `/v1/messages/${messageId}`)
  return json.deliveries[0].webhookId as string
})

describe("A webhook given with a message", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("gets it alone, signed with a secret that is shown only on demand", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const receiver = yield* Receiver.make()
        const other = yield* Receiver.make()
        const registered = yield* call("POST", "/v1/webhooks", { json: { url: other.url } })
        const accepted = yield* publish({ type: "a", data: 1, webhook: { url: receiver.url } })
        assert.strictEqual(accepted.status, 202, accepted.text)
        assert.strictEqual(accepted.json.deliveries, 1)
        const { body, headers } = yield* receiver.take
        const id = yield* webhookOf(accepted.json.id)
        const { json: shown } = yield* call("GET", `/v1/webhooks/${id}/secret`)
        const text = Buffer.from(body).toString()
        assert.isTrue(verify({ secret: shown.secret, headers, body: text }).ok)
        const webhook = yield* call("GET", `/v1/webhooks/${id}`)
        assert.deepInclude(webhook.json, { url: receiver.url, adHoc: true, status: "enabled" })
        assert.notInclude(webhook.text, shown.secret)
        const listed = (query: string) =>
          Effect.map(call("GET", `/v1/webhooks${query}`), ({ json }) =>
            json.data.map((one: { id: string }) => one.id)
          )
        assert.deepStrictEqual(yield* listed(""), [registered.json.id])
        assert.deepStrictEqual(yield* listed("?adHoc=false"), [registered.json.id])
        assert.deepStrictEqual(yield* listed("?adHoc=true"), [id])
        const routing = yield* call("GET", `/v1/messages/${accepted.json.id}/routing`)
        assert.deepStrictEqual(
          routing.json.data.map((one: Record<string, unknown>) => [
            one.webhookId,
            one.matched,
            one.reason
          ]),
          [
            [id, true, "adHoc"],
            [registered.json.id, false, "adHoc"]
          ]
        )
        assert.lengthOf(other.requests, 0)
        const plain = yield* publish({ type: "a", data: 1 })
        const [theirs] = (yield* call("GET", `/v1/messages/${plain.json.id}/routing`)).json.data
        assert.deepInclude(theirs, { webhookId: registered.json.id, reason: "matched" })
      })
    )

    it.effect("is given with a raw message by its query and a header", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const receiver = yield* Receiver.make()
        const raw = (url: string | null, secret?: string) =>
          call(
            "POST",
            `/v1/messages/raw?type=a${url === null ? "" : `&webhookUrl=${encodeURIComponent(url)}`}`,
            {
              body: "a,b",
              headers: {
                "content-type": "text/csv",
                ...(secret === undefined ? {} : { "posthaste-webhook-secret": secret })
              }
            }
          )
        const accepted = yield* raw(receiver.url, given)
        assert.strictEqual(accepted.status, 202, accepted.text)
        const { body, headers } = yield* receiver.take
        assert.isTrue(verify({ secret: given, headers, body: Buffer.from(body) }).ok)
        assert.strictEqual(Buffer.from(body).toString(), "a,b")
        for (const [answer, code, pointer] of [
          [yield* raw("https://10.0.0.1/"), "url_not_allowed", "/query/webhookUrl"],
          [yield* raw(null, given), "invalid_input", "/query/webhookUrl"],
          [yield* raw(receiver.url, "x"), "invalid_input", "/headers/posthaste-webhook-secret"]
        ] as const) {
          assert.strictEqual(answer.status, 422, answer.text)
          assert.strictEqual(answer.json.code, code)
          assert.strictEqual(answer.json.errors[0].pointer, pointer)
        }
      })
    )

    it.effect("is judged for each message of a batch", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const receiver = yield* Receiver.make()
        const webhook = { url: receiver.url, secret: given }
        const { json, status } = yield* call("POST", "/v1/messages/batch", {
          json: {
            messages: [
              { type: "a", data: 0, webhook },
              { type: "a", data: 1, webhook: { url: "https://169.254.169.254/" } },
              { type: "a", data: 2, webhook: { ...webhook, secret: "short" } },
              { type: "a", data: 3, webhook }
            ]
          }
        })
        assert.strictEqual(status, 202)
        assert.deepInclude(json, { accepted: 2, refused: 2 })
        const { problem } = json.data[1]
        assert.deepInclude(json.data[1], { index: 1, status: 422 })
        assert.strictEqual(problem.code, "url_not_allowed")
        assert.strictEqual(problem.errors[0].pointer, "/messages/1/webhook/url")
        assert.strictEqual(json.data[2].problem.errors[0].pointer, "/messages/2/webhook/secret")
        const ids = [json.data[0].message.id, json.data[3].message.id]
        const [first, second] = yield* Effect.forEach(ids, webhookOf)
        assert.strictEqual(first, second)
        yield* receiver.take
        yield* receiver.take
      })
    )

    it.effect("makes another request of one with the same key", () =>
      Effect.gen(function* () {
        const receiver = yield* Receiver.make()
        const key = { "idempotency-key": "one" }
        const message = { type: "a", data: 1, webhook: { url: receiver.url } }
        const first = yield* publish(message, key)
        assert.strictEqual((yield* publish(message, key)).json.id, first.json.id)
        const other = { ...message, webhook: { url: receiver.url, secret: given } }
        const conflict = yield* publish(other, key)
        assert.deepInclude(conflict.json, { status: 409, code: "idempotency_conflict" })
      })
    )

    it.effect("is refused where it may not be sent to, or is no webhook", () =>
      Effect.gen(function* () {
        for (const [webhook, code, pointer] of [
          [{ url: "https://10.0.0.1/" }, "url_not_allowed", "/webhook/url"],
          [{ url: "ftp://a.example/" }, "url_not_allowed", "/webhook/url"],
          [{ url: "https://a.example/", secret: "text" }, "invalid_input", "/webhook/secret"],
          [{ url: "https://a.example/", format: "slack" }, "invalid_input", "/webhook/format"],
          [{ secret: given }, "invalid_input", "/webhook/url"]
        ] as const) {
          const { json, status, text } = yield* publish({ type: "a", data: 1, webhook })
          assert.strictEqual(status, 422, text)
          assert.strictEqual(json.code, code)
          assert.strictEqual(json.errors[0].pointer, pointer)
        }
      })
    )
  })
})
