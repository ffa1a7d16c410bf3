import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { ed25519Bytes, keepEd25519, encode } from "../../src/domain/Secret.ts"
import { pairOf } from "../../src/send/Ed25519.ts"
import { Calls, layer as calls } from "./Calls.ts"

const url = "https://receiver.example/hook"

/** A private key, and what receivers verify with. */
const privateKey = (number: number) =>
  encode(keepEd25519(pairOf(Buffer.alloc(ed25519Bytes.seed, number))))
const publicKeyOf = (privateKey: string) =>
  `whpk_${Buffer.from(privateKey.slice("whsk_".length), "base64").subarray(32).toString("base64")}`

describe("/v1/webhooks", () => {
  layer(calls())((it) => {
    const create = (json: Record<string, unknown> = {}) =>
      Calls.use(({ call }) => call("POST", "/v1/webhooks", { json: { url, ...json } }))

    it.effect("registers a webhook with every default", () =>
      Effect.gen(function* () {
        const answer = yield* create()
        assert.strictEqual(answer.status, 201)
        const { id, secret, ...rest } = answer.json
        assert.match(id, /^wh_[0-9a-z]{26}$/)
        assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
        assert.deepStrictEqual(rest, {
          uid: null,
          name: null,
          description: null,
          metadata: {},
          url,
          eventTypes: [],
          resources: [],
          channels: [],
          filter: null,
          headers: {},
          auth: { kind: "none" },
          certificates: [],
          unreadable: [],
          format: "json",
          method: "POST",
          template: null,
          signature: "standard",
          traceHeaders: false,
          timeoutMs: 15_000,
          retry: "standard",
          clientErrors: "retry",
          onFailure: {},
          concurrency: 10,
          rate: null,
          ordering: "none",
          circuit: { failures: 5, openMs: 30_000, openMsMax: 600_000, state: "closed" },
          disableAfter: { durationMs: 432_000_000 },
          alertAt: [3, 5, 10],
          adHoc: false,
          status: "enabled",
          disabledReason: null,
          consecutiveFailures: 0,
          lastSuccessAt: null,
          lastFailureAt: null,
          createdAt: "1970-01-01T00:00:00.000Z",
          updatedAt: "1970-01-01T00:00:00.000Z"
        })
      })
    )

    it.effect("keeps every field that it is given", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const given = {
          uid: "crm-1",
          name: "CRM",
          description: "Two\nlines",
          metadata: { team: "sales" },
          url,
          eventTypes: ["invoice.*", "order.paid"],
          resources: [{ type: "invoice" }, { type: "order", id: "7" }],
          channels: ["eu", "us"],
          filter: { amount: { $gt: 100 } },
          headers: { "X-Client": "abc\tdef" },
          format: "slack",
          method: "POST",
          template: { title: "{type}", text: "{data.amount} due" },
          signature: { header: "X-GS-Signature", timestampHeader: "X-GS-Timestamp" },
          timeoutMs: 5_000,
          retry: { kind: "table", delaysMs: [1, 2], jitter: 0.5 },
          traceHeaders: true,
          clientErrors: "permanent",
          onFailure: { status_4xx: "exhaust", tls: "pause", dns: "disable", auth: "retry" },
          concurrency: 3,
          rate: { limit: 100, perMs: 60_000 },
          ordering: { by: "key", onExhausted: "park" },
          circuit: { failures: 2, openMs: 10, openMsMax: 20 },
          disableAfter: { failures: 9 },
          alertAt: [1]
        }
        const made = yield* create({ ...given, secret: `whsec_${"A".repeat(32)}` })
        assert.strictEqual(made.status, 201)
        assert.strictEqual(made.json.secret, `whsec_${"A".repeat(32)}`)
        const got = yield* call("GET", "/v1/webhooks/crm-1")
        assert.deepInclude(got.json, {
          ...given,
          circuit: { ...given.circuit, state: "closed" }
        })
        assert.strictEqual((yield* call("GET", `/v1/webhooks/${made.json.id}`)).text, got.text)
        assert.notProperty(got.json, "secret")
        assert.notInclude(got.text, "whsec_")
      })
    )

    it.effect("answers the first webhook again for a repeated Idempotency-Key", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const headers = { "idempotency-key": "same request" }
        const first = yield* call("POST", "/v1/webhooks", { headers, json: { url } })
        const again = yield* call("POST", "/v1/webhooks", { headers, json: { url } })
        assert.strictEqual(again.status, 201)
        assert.strictEqual(again.text, first.text)
        const other = yield* call("POST", "/v1/webhooks", { headers, json: { url, name: "x" } })
        assert.strictEqual(other.status, 409)
        assert.strictEqual(other.json.code, "idempotency_conflict")
        for (const key of ["x".repeat(256), "ümlaut"]) {
          const answer = yield* call("POST", "/v1/webhooks", {
            headers: { "idempotency-key": key },
            json: { url }
          })
          assert.strictEqual(answer.status, 422)
          assert.strictEqual(answer.json.errors[0].pointer, "/headers/idempotency-key")
        }
      })
    )

    it.effect("refuses a uid that another webhook has", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        yield* create({ uid: "taken" })
        const second = yield* create({ uid: "taken" })
        assert.strictEqual(second.status, 409)
        assert.strictEqual(second.json.code, "webhook_uid_taken")
        const third = yield* create()
        const patched = yield* call("PATCH", `/v1/webhooks/${third.json.id}`, {
          json: { uid: "taken" }
        })
        assert.strictEqual(patched.status, 409)
      })
    )

    it.effect("names each wrong place of an input", () =>
      Effect.gen(function* () {
        const wrong: ReadonlyArray<readonly [Record<string, unknown>, ReadonlyArray<string>]> = [
          [{ colour: "red" }, ["/colour"]],
          [{ url: 5 }, ["/url"]],
          [{ url: "" }, ["/url"]],
          [{ timeoutMs: 1, concurrency: "many" }, ["/concurrency", "/timeoutMs"]],
          [{ circuit: { failures: 0, speed: 1 } }, ["/circuit/failures", "/circuit/speed"]],
          [{ retry: "never" }, ["/retry"]],
          [{ clientErrors: "ignore" }, ["/clientErrors"]],
          [{ rate: { limit: 0, perMs: 1 } }, ["/rate/limit"]],
          [{ rate: { limit: 1 } }, ["/rate/perMs"]],
          [{ ordering: "fifo" }, ["/ordering"]],
          [{ onFailure: { status_2xx: "exhaust" } }, ["/onFailure/status_2xx"]],
          [{ onFailure: { tls: "ignore" } }, ["/onFailure/tls"]],
          [
            { clientErrors: "permanent", onFailure: { status_4xx: "retry" } },
            ["/onFailure/status_4xx"]
          ],
          [{ format: "xml" }, ["/format"]],
          [{ method: "DELETE" }, ["/method"]],
          [{ method: "GET" }, ["/method"]],
          [{ format: "slack", method: "PUT" }, ["/method"]],
          [{ template: "{type}" }, ["/template"]],
          [{ format: "slack", template: { chatId: "1" } }, ["/template/chatId"]],
          [{ format: "slack", template: { title: "{nobody}" } }, ["/template/title"]],
          [{ format: "telegram" }, ["/url"]],
          [{ format: "telegram", template: { chatId: "1", text: "<h1>" } }, ["/template/text"]],
          [{ format: "query", url: `${url}/{secret}` }, ["/url"]],
          [{ signature: "hmac" }, ["/signature"]],
          [{ signature: { header: "Host" } }, ["/signature/header"]],
          [{ signature: { header: "X", prefx: "" } }, ["/signature/prefx"]],
          [
            { signature: "hex", headers: { "x-signature": "a", "X-Timestamp": "b" } },
            ["/headers/X-Timestamp", "/headers/x-signature"]
          ],
          [{ method: "GET", signature: "github", secret: privateKey(1) }, ["/method", "/secret"]],
          [{ secret: "a text" }, ["/secret"]],
          [{ secret: `whsk_${Buffer.alloc(64).toString("base64")}` }, ["/secret"]],
          [{ secret: publicKeyOf(privateKey(1)), signature: "hex" }, ["/secret"]],
          [{ retry: { kind: "table", delaysMs: [1], jitter: 2 } }, ["/retry/jitter"]],
          [{ eventTypes: ["a b", "ok"] }, ["/eventTypes/0"]],
          [{ eventTypes: Array.from({ length: 251 }, () => "a") }, ["/eventTypes"]],
          [{ resources: [{ type: "a", id: "\u0000" }] }, ["/resources/0/id"]],
          [
            { headers: { "Webhook-Id": "x", "a/b": "y" } },
            ["/headers/Webhook-Id", "/headers/a~1b"]
          ],
          [{ headers: { ok: "line\r\nbreak" } }, ["/headers/ok"]],
          [{ metadata: { ["k".repeat(65)]: "v" } }, [`/metadata/${"k".repeat(65)}`]],
          [{ name: "\ud800" }, ["/name"]],
          [{ name: "x".repeat(257) }, ["/name"]],
          [{ uid: "wh_01h455vb4pex5vsknk084sn02q" }, ["/uid"]],
          [{ uid: "a b" }, ["/uid"]],
          [{ secret: "whsec_short" }, ["/secret"]],
          [{ secret: " whsec_short", signature: "hex" }, ["/secret"]],
          [{ status: "paused" }, ["/status"]],
          [{ alertAt: 3 }, ["/alertAt"]]
        ]
        for (const [json, pointers] of wrong) {
          const answer = yield* create(json)
          assert.strictEqual(answer.status, 422, JSON.stringify(json))
          assert.strictEqual(answer.json.code, "invalid_input")
          assert.deepStrictEqual(
            answer.json.errors.map((error: { pointer: string }) => error.pointer).sort(),
            pointers
          )
          assert.notInclude(answer.text, "whsec_short")
        }
      })
    )

    it.effect("keeps keys that objects have a meaning for out of its maps", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const field of ["headers", "metadata"]) {
          const answer = yield* call("POST", "/v1/webhooks", {
            body: `{"url":"${url}","${field}":{"__proto__":"x"}}`,
            headers: { "content-type": "application/json" }
          })
          assert.strictEqual(answer.status, 422, field)
        }
      })
    )

    it.effect("refuses a URL that the guard refuses, wherever one is written", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { json } = yield* create({ uid: "guarded" })
        for (const bad of [
          "https://10.0.0.1/",
          "https://[::1]/",
          "https://169.254.169.254/latest",
          "ftp://a.example/",
          "https://user:pass@a.example/",
          "nonsense"
        ]) {
          for (const [method, path] of [
            ["POST", "/v1/webhooks"],
            ["PUT", "/v1/webhooks/guarded"],
            ["PUT", "/v1/webhooks/guarded-new"],
            ["PATCH", `/v1/webhooks/${json.id}`]
          ] as const) {
            const answer = yield* call(method, path, { json: { url: bad } })
            assert.strictEqual(answer.status, 422, `${method} ${bad}`)
            assert.strictEqual(answer.json.code, "url_not_allowed")
            assert.isNotEmpty(answer.json.detail)
            assert.deepStrictEqual(answer.json.errors, [
              { pointer: "/url", message: answer.json.detail }
            ])
          }
        }
        assert.strictEqual((yield* call("GET", "/v1/webhooks/guarded")).json.url, url)
        assert.strictEqual((yield* call("GET", "/v1/webhooks/guarded-new")).status, 404)
      })
    )

    it.effect("registers by PUT under a uid, then replaces with defaults", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = "/v1/webhooks/crm:eu~1"
        const made = yield* call("PUT", path, { json: { url, name: "first", timeoutMs: 100 } })
        assert.strictEqual(made.status, 201)
        assert.strictEqual(made.json.uid, "crm:eu~1")
        assert.match(made.json.secret, /^whsec_/)
        const replaced = yield* call("PUT", path, { json: { url, uid: "crm:eu~1" } })
        assert.strictEqual(replaced.status, 200)
        assert.notProperty(replaced.json, "secret")
        assert.deepInclude(replaced.json, {
          id: made.json.id,
          uid: "crm:eu~1",
          name: null,
          timeoutMs: 15_000
        })
        const secret = (yield* call("GET", `${path}/secret`)).json.secret
        assert.strictEqual(secret, made.json.secret)
      })
    )

    it.effect("replaces by id and keeps the uid unless another is given", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* create({ uid: "by-id", name: "first" })
        const path = `/v1/webhooks/${made.json.id}`
        const kept = yield* call("PUT", path, { json: { url } })
        assert.deepInclude(kept.json, { uid: "by-id", name: null })
        const moved = yield* call("PUT", path, { json: { url, uid: "by-id-2" } })
        assert.strictEqual(moved.json.uid, "by-id-2")
        const cleared = yield* call("PUT", path, { json: { url, uid: null } })
        assert.strictEqual(cleared.json.uid, null)
      })
    )

    it.effect("rotates where PUT brings another secret, and not where it brings the same", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = "/v1/webhooks/put-secret"
        const secret = (letter: string) => `whsec_${letter.repeat(32)}`
        const made = yield* call("PUT", path, { json: { url, secret: secret("A") } })
        assert.strictEqual(made.json.secret, secret("A"))
        const same = yield* call("PUT", path, { json: { url, secret: secret("A") } })
        yield* TestClock.adjust("1 minute")
        const other = yield* call("PUT", path, { json: { url, secret: secret("B") } })
        assert.strictEqual(same.status, 200)
        assert.strictEqual(other.status, 200)
        assert.strictEqual((yield* call("GET", `${path}/secret`)).json.secret, secret("B"))
      })
    )

    it.effect("refuses a PUT whose path and body disagree, and one to an id that nothing has", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const disagree = yield* call("PUT", "/v1/webhooks/this", { json: { url, uid: "that" } })
        assert.strictEqual(disagree.status, 422)
        assert.deepStrictEqual(disagree.json.errors[0].pointer, "/uid")
        const id = yield* call("PUT", "/v1/webhooks/wh_01h455vb4pex5vsknk084sn02q", {
          json: { url }
        })
        assert.strictEqual(id.status, 404)
        const odd = yield* call("PUT", "/v1/webhooks/a%20b", { json: { url } })
        assert.strictEqual(odd.status, 422)
        assert.deepStrictEqual(odd.json.errors[0].pointer, "/params/id")
      })
    )

    it.effect("changes by PATCH what is named, and clears what is null", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* create({
          uid: "patched",
          name: "old",
          description: "old",
          metadata: { a: "1" },
          headers: { a: "1" },
          timeoutMs: 100,
          concurrency: 2
        })
        const path = `/v1/webhooks/${made.json.id}`
        yield* TestClock.adjust("1 second")
        const patched = yield* call("PATCH", path, {
          json: { name: "new", description: null, metadata: { b: "2" }, timeoutMs: 200 }
        })
        assert.strictEqual(patched.status, 200)
        const { secret: _, ...before } = made.json
        assert.deepStrictEqual(patched.json, {
          ...before,
          name: "new",
          description: null,
          metadata: { b: "2" },
          timeoutMs: 200,
          updatedAt: patched.json.updatedAt
        })
        assert.notStrictEqual(patched.json.updatedAt, before.updatedAt)
        const cleared = yield* call("PATCH", path, {
          json: { uid: null, headers: {}, circuit: { failures: 7 } }
        })
        assert.deepInclude(cleared.json, {
          uid: null,
          headers: {},
          concurrency: 2,
          timeoutMs: 200,
          circuit: { failures: 7, openMs: 30_000, openMsMax: 600_000, state: "closed" }
        })
        assert.strictEqual((yield* call("GET", "/v1/webhooks/patched")).status, 404)
        const secret = yield* call("PATCH", path, { json: { secret: `whsec_${"A".repeat(32)}` } })
        assert.strictEqual(secret.json.errors[0].pointer, "/secret")
      })
    )

    const everything = {
      name: "n",
      description: "d",
      metadata: { a: "b" },
      eventTypes: ["a.*"],
      resources: [{ type: "a" }],
      channels: ["c"],
      filter: { a: { $gt: 1 } },
      headers: { "X-A": "1", "X-Token": "t" },
      auth: { kind: "bearer", token: "hidden" },
      ordering: { by: "key", onExhausted: "park" },
      rate: { limit: 5, perMs: 100 },
      onFailure: { status_4xx: "pause" },
      circuit: { failures: 3 },
      retry: "quick",
      timeoutMs: 1_000,
      disableAfter: { failures: 3 },
      alertAt: [4],
      concurrency: 3,
      signature: "svix",
      traceHeaders: true
    }

    it.effect("takes back by PUT and PATCH what it answered, and then answers the same", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* create({ ...everything, uid: "taken-back" })
        const path = `/v1/webhooks/${made.json.id}`
        yield* call("POST", `${path}/pause`)
        const answer = (yield* call("GET", path)).json
        for (const [method, at] of [
          ["PUT", path],
          ["PUT", "/v1/webhooks/taken-back"],
          ["PATCH", path]
        ] as const) {
          const sent = yield* call(method, at, { json: answer })
          assert.strictEqual(sent.status, 200, sent.text)
          const after = (yield* call("GET", path)).json
          assert.deepStrictEqual({ ...after, updatedAt: answer.updatedAt }, answer)
        }
        for (const wrong of [{ status: "enabled" }, { id: "wh_01h455vb4pex5vsknk084sn02q" }]) {
          const sent = yield* call("PATCH", path, { json: wrong })
          assert.strictEqual(sent.status, 422)
          assert.strictEqual(sent.json.errors[0].pointer, `/${Object.keys(wrong)[0]}`)
        }
        const born = yield* create({ status: "paused" })
        assert.deepStrictEqual(
          [born.status, born.json.errors.map((error: { pointer: string }) => error.pointer)],
          [422, ["/status"]]
        )
      })
    )

    it.effect("goes back by PATCH to the default of what is null, and keeps the rest", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const plain = (yield* create()).json
        const path = `/v1/webhooks/${(yield* create(everything)).json.id}`
        for (const name of Object.keys(everything)) {
          const before = (yield* call("GET", path)).json
          const sent = yield* call("PATCH", path, { json: { [name]: null } })
          assert.strictEqual(sent.status, 200, `${name} ${sent.text}`)
          assert.notDeepEqual(sent.json[name], before[name], name)
          assert.deepStrictEqual(
            sent.json,
            { ...before, [name]: plain[name], updatedAt: sent.json.updatedAt },
            name
          )
        }
        assert.strictEqual((yield* call("PATCH", path, { json: { url: null } })).status, 422)
      })
    )

    it.effect("names the place of each odd part of a setting, and what was expected there", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = `/v1/webhooks/${(yield* create()).json.id}`
        const before = (yield* call("GET", path)).json
        for (const [json, pointer] of [
          [{ ordering: { by: "key", onExhausted: "park", more: 1 } }, "/ordering/more"],
          [{ ordering: { by: "key" } }, "/ordering/onExhausted"],
          [{ rate: { limit: 1, perMs: 1, more: 1 } }, "/rate/more"],
          [{ rate: { limit: 0, perMs: 1 } }, "/rate/limit"],
          [{ onFailure: { status_2xx: "retry" } }, "/onFailure/status_2xx"],
          [{ onFailure: { status_4xx: "never" } }, "/onFailure/status_4xx"],
          [{ auth: { kind: "bearer", token: "t", more: 1 } }, "/auth/more"],
          [{ auth: { kind: "basic", username: "a" } }, "/auth/password"],
          [{ filter: { a: { $near: 1 } } }, "/filter/a/$near"],
          [{ channels: ["a", ""] }, "/channels/1"],
          [{ circuit: { more: 1 } }, "/circuit/more"]
        ] as const) {
          for (const method of ["PATCH", "PUT"] as const) {
            const sent = yield* call(method, path, { json: { url: before.url, ...json } })
            assert.strictEqual(sent.status, 422, sent.text)
            assert.deepStrictEqual(
              sent.json.errors.map((error: { pointer: string }) => error.pointer),
              [pointer]
            )
          }
        }
        for (const auth of [5, "none", {}, { kind: "magic" }]) {
          const { json } = yield* call("PATCH", path, { json: { auth } })
          assert.match(json.errors[0].message, /^Expected an auth whose kind is none, basic/)
        }
        assert.deepStrictEqual((yield* call("GET", path)).json, before)
      })
    )

    it.effect("shows the secret, and rotates it with or without a body", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const made = yield* create()
        const path = `/v1/webhooks/${made.json.id}`
        const shown = yield* call("GET", `${path}/secret`)
        assert.deepStrictEqual(shown.json, { secret: made.json.secret })
        assert.strictEqual(shown.headers.get("cache-control"), "no-store")
        const generated = yield* call("POST", `${path}/rotate-secret`)
        assert.strictEqual(generated.status, 200)
        assert.notStrictEqual(generated.json.secret, made.json.secret)
        assert.deepStrictEqual((yield* call("GET", `${path}/secret`)).json, generated.json)
        const given = `whsec_${"C".repeat(32)}`
        const rotated = yield* call("POST", `${path}/rotate-secret`, {
          json: { secret: given, gracePeriodSeconds: 0 }
        })
        assert.deepStrictEqual(rotated.json, { secret: given })
        for (const gracePeriodSeconds of [-1, 1.5, 2_592_001, "1"]) {
          const bad = yield* call("POST", `${path}/rotate-secret`, { json: { gracePeriodSeconds } })
          assert.strictEqual(bad.status, 422)
        }
      })
    )

    it.effect("shows the public key of a private one wherever it shows that", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const secret = privateKey(2)
        const made = yield* create({ secret })
        assert.deepInclude(made.json, { secret, publicKey: publicKeyOf(secret) })
        const path = `/v1/webhooks/${made.json.id}`
        const shown = yield* call("GET", `${path}/secret`)
        assert.deepStrictEqual(shown.json, { secret, publicKey: publicKeyOf(secret) })
        assert.notProperty((yield* call("GET", path)).json, "publicKey")
        const generated = (yield* call("POST", `${path}/rotate-secret`)).json
        assert.notStrictEqual(generated.secret, secret)
        assert.match(generated.secret, /^whsk_/)
        assert.strictEqual(generated.publicKey, publicKeyOf(generated.secret))
        const shared = `whsec_${"D".repeat(32)}`
        const rotated = yield* call("POST", `${path}/rotate-secret`, { json: { secret: shared } })
        assert.deepStrictEqual(rotated.json, { secret: shared })
      })
    )

    it.effect("takes a secret of another sender as it is, for signatures in hex", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const secret = "It's a secret to everybody 🤫"
        const made = yield* create({ secret, signature: "github" })
        assert.strictEqual(made.json.secret, secret)
        const path = `/v1/webhooks/${made.json.id}`
        assert.deepStrictEqual((yield* call("GET", `${path}/secret`)).json, { secret })
        const generated = (yield* call("POST", `${path}/rotate-secret`)).json
        assert.match(generated.secret, /^whsec_/)
      })
    )

    it.effect("refuses a secret that does not make the webhook's signatures", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const wrong = (answer: { status: number; json: { errors: unknown } }, pointer: string) => {
          assert.strictEqual(answer.status, 422)
          assert.lengthOf(answer.json.errors as ReadonlyArray<unknown>, 1)
          assert.deepInclude((answer.json.errors as ReadonlyArray<object>)[0], { pointer })
        }
        const standard = `/v1/webhooks/${(yield* create()).json.id}`
        const hex = `/v1/webhooks/${(yield* create({ signature: "hex" })).json.id}`
        const ed25519 = `/v1/webhooks/${(yield* create({ secret: privateKey(3) })).json.id}`
        const rotate = (path: string, secret: string) =>
          call("POST", `${path}/rotate-secret`, { json: { secret } })
        const put = (path: string, json: object) => call("PUT", path, { json: { url, ...json } })
        const patch = (path: string, json: object) => call("PATCH", path, { json })

        wrong(yield* rotate(standard, "a text"), "/secret")
        wrong(yield* rotate(hex, privateKey(3)), "/secret")
        wrong(yield* rotate(standard, `${privateKey(3).slice(0, -4)}AA==`), "/secret")
        wrong(yield* put(standard, { secret: "a text" }), "/secret")
        wrong(yield* put(hex, { signature: "hex", secret: privateKey(3) }), "/secret")
        wrong(yield* put(ed25519, { signature: "hex" }), "/signature")
        wrong(yield* patch(ed25519, { signature: "stripe" }), "/signature")
        for (const path of [standard, hex, ed25519]) {
          assert.strictEqual((yield* rotate(path, `whsec_${"E".repeat(32)}`)).status, 200)
        }
        assert.strictEqual((yield* patch(ed25519, { signature: "stripe" })).status, 200)
        const both = yield* put(standard, { signature: "github", secret: "a text" })
        assert.strictEqual(both.status, 200)
        assert.strictEqual((yield* call("GET", `${standard}/secret`)).json.secret, "a text")
      })
    )

    it.effect("judges a PATCH by what it makes of the webhook", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const pointersOf = (answer: { json: { errors: ReadonlyArray<{ pointer: string }> } }) =>
          answer.json.errors.map(({ pointer }) => pointer)
        const made = yield* create({
          url: "https://api.telegram.org/bot1:a/sendMessage?chat_id=1",
          format: "telegram",
          template: "<b>{type}</b>"
        })
        const path = `/v1/webhooks/${made.json.id}`
        const patch = (json: object) => call("PATCH", path, { json })
        assert.deepStrictEqual(pointersOf(yield* patch({ url })), ["/url"])
        assert.deepStrictEqual(pointersOf(yield* patch({ format: "json" })), ["/template"])
        assert.deepStrictEqual(pointersOf(yield* patch({ method: "GET" })), ["/method"])
        const moved = yield* patch({ url, format: "query", template: null })
        assert.deepInclude(moved.json, { url, format: "query", template: null, method: "GET" })
        const posted = yield* patch({ method: "POST" })
        assert.strictEqual(posted.json.method, "POST")
        assert.strictEqual((yield* patch({ method: null })).json.method, "GET")
        yield* patch({ headers: { "X-Signature": "mine" } })
        assert.deepStrictEqual(pointersOf(yield* patch({ signature: "hex" })), [
          "/headers/X-Signature"
        ])
        const freed = yield* patch({ signature: "hex", headers: {} })
        assert.deepInclude(freed.json, { signature: "hex", headers: {} })
      })
    )

    it.effect("refuses retries that go on for longer than messages are kept", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const long = { kind: "table", delaysMs: [20 * 86_400_000, 11 * 86_400_000], jitter: 0 }
        const refused = {
          pointer: "/retry",
          message: "Retries last up to 31 days, and messages are kept for 30"
        }
        const created = yield* call("POST", "/v1/webhooks", { json: { url, retry: long } })
        assert.strictEqual(created.status, 422)
        assert.deepStrictEqual(created.json.errors, [refused])
        const { json: webhook } = yield* call("POST", "/v1/webhooks", { json: { url } })
        const at = `/v1/webhooks/${webhook.id}`
        for (const method of ["PATCH", "PUT"]) {
          const changed = yield* call(method, at, { json: { url, retry: long } })
          assert.strictEqual(changed.status, 422)
          assert.deepStrictEqual(changed.json.errors, [refused])
        }
        assert.strictEqual((yield* call("GET", at)).json.retry, "standard")
        const short = { ...long, delaysMs: [30 * 86_400_000] }
        assert.strictEqual((yield* call("PATCH", at, { json: { retry: short } })).status, 200)
      })
    )

    it.effect("keeps every setting of requests that change the webhook together", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = `/v1/webhooks/${(yield* create()).json.id}`
        const settings = {
          timeoutMs: 1_000,
          concurrency: 2,
          retry: "quick",
          clientErrors: "permanent",
          signature: "github",
          alertAt: [1]
        }
        yield* Effect.forEach(
          Object.entries(settings),
          ([name, value]) => call("PATCH", path, { json: { [name]: value } }),
          { concurrency: "unbounded" }
        )
        assert.deepInclude((yield* call("GET", path)).json, settings)
      })
    )

    it.effect("takes placeholders in the path and the query of a URL, and nowhere before", () =>
      Effect.gen(function* () {
        const taken = [
          "https://receiver.example/users/{data.user.id}/seen?src={type}&q={data.q}",
          "https://receiver.example/{data}",
          "https://receiver.example/%7Bdata.user%20name%7D"
        ]
        for (const url of taken) {
          const made = yield* create({ format: "query", url })
          assert.deepInclude(made.json, { url, method: "GET" })
        }
        const refused = [
          "https://{data.host}/",
          "https://{data.host}.example/",
          "https://receiver.example:{data.port}/",
          "https://{type}@receiver.example/",
          "{type}://receiver.example/",
          "https://receiver.example{data.rest}/",
          "https://receiver.example/#{type}"
        ]
        for (const url of refused) {
          const answer = yield* create({ format: "query", url })
          assert.strictEqual(answer.status, 422, url)
          assert.strictEqual(answer.json.errors[0].pointer, "/url", url)
        }
      })
    )

    it.effect("pauses and resumes", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = `/v1/webhooks/${(yield* create()).json.id}`
        assert.strictEqual((yield* call("POST", `${path}/pause`)).json.status, "paused")
        assert.strictEqual((yield* call("GET", path)).json.status, "paused")
        assert.strictEqual((yield* call("POST", `${path}/resume`)).json.status, "enabled")
      })
    )

    it.effect("removes a webhook once", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const path = `/v1/webhooks/${(yield* create()).json.id}`
        const gone = yield* call("DELETE", path)
        assert.strictEqual(gone.status, 204)
        assert.strictEqual(gone.text, "")
        assert.strictEqual((yield* call("DELETE", path)).status, 404)
        assert.strictEqual((yield* call("GET", path)).status, 404)
      })
    )

    it.effect("answers 404 to text that can be neither an id nor a uid", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const ref of ["%00", "a%20b", "%F0%9F%98%80", "x".repeat(257), "wh_"]) {
          const answer = yield* call("GET", `/v1/webhooks/${ref}`)
          assert.strictEqual(answer.status, 404, ref)
        }
        assert.strictEqual(
          (yield* call("GET", `/v1/webhooks/${"x".repeat(256)}`)).json.code,
          "webhook_not_found"
        )
      })
    )
  })

  layer(calls())("listing", (it) => {
    it.effect("pages newest first, there and back", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const ids: Array<string> = []
        for (let i = 0; i < 5; i++) {
          const made = yield* call("POST", "/v1/webhooks", { json: { url, name: `n${i}` } })
          ids.unshift(made.json.id)
        }
        const page = (query: string) => call("GET", `/v1/webhooks?${query}`)
        const idsOf = (answer: { json: { data: ReadonlyArray<{ id: string }> } }) =>
          answer.json.data.map(({ id }) => id)
        const first = yield* page("limit=2")
        assert.deepStrictEqual(idsOf(first), ids.slice(0, 2))
        assert.isNull(first.json.prevCursor)
        const second = yield* page(`limit=2&cursor=${first.json.nextCursor}`)
        assert.deepStrictEqual(idsOf(second), ids.slice(2, 4))
        const last = yield* page(`limit=2&cursor=${second.json.nextCursor}`)
        assert.deepStrictEqual(idsOf(last), ids.slice(4))
        assert.isNull(last.json.nextCursor)
        const back = yield* page(`limit=2&cursor=${second.json.prevCursor}`)
        assert.deepStrictEqual(idsOf(back), ids.slice(0, 2))
        assert.deepStrictEqual(idsOf(yield* page("q=n3")), [ids[1]])
        assert.deepStrictEqual(idsOf(yield* page("status=paused")), [])
        assert.deepStrictEqual(idsOf(yield* page("before=1969-12-31T23:59:59Z")), [])
        assert.lengthOf(idsOf(yield* page("after=1969-12-31T23:59:59%2B00:00")), 5)
      })
    )

    it.effect("refuses parameters that it cannot follow", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const [query, pointer] of [
          ["limit=0", "/query/limit"],
          ["limit=251", "/query/limit"],
          ["limit=ten", "/query/limit"],
          ["limit=1&limit=2", "/query/limit"],
          ["cursor=abc", "/query/cursor"],
          ["before=yesterday", "/query/before"],
          ["after=2026-02-30T00:00:00Z", "/query/after"],
          ["status=gone", "/query/status"],
          ["q=%00", "/query/q"],
          ["q=", "/query/q"]
        ]) {
          const answer = yield* call("GET", `/v1/webhooks?${query}`)
          assert.strictEqual(answer.status, 422, query)
          assert.strictEqual(answer.json.errors[0].pointer, pointer)
        }
      })
    )
  })
})
