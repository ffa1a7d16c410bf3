/**
 * What the API makes of credentials: which it takes, how it shows them, and what sending back what it
 * showed means.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { WebhookId } from "../../src/domain/TypeId.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import clients from "../send/clients.json" with { type: "json" }
import { Calls, layer as calls } from "./Calls.ts"

const url = "https://receiver.example/hook"
const mask = "********"
const tokenUrl = "https://issuer.example/token"

const auths = {
  basic: { kind: "basic", username: "me", password: "canary" },
  bearer: { kind: "bearer", token: "canary" },
  header: { kind: "header", name: "X-Api-Key", value: "canary" },
  oauth2: { kind: "oauth2", tokenUrl, clientId: "id", clientSecret: "canary", scope: "a b" },
  mtls: {
    kind: "mtls",
    certificate: clients.clientA.cert,
    key: clients.clientA.key,
    ca: clients.ca
  }
} as const
const credentials = {
  basic: "password",
  bearer: "token",
  header: "value",
  oauth2: "clientSecret",
  mtls: "key"
} as const
const kinds = ["basic", "bearer", "header", "oauth2", "mtls"] as const

/** Certificates are judged by the clock; set before the engine starts, for its timers start there. */
const today = Layer.effectDiscard(TestClock.setTime(Date.parse("2026-11-26T00:00:00Z")))

describe("The auth of a webhook", () => {
  layer(Layer.provide(calls(), today))((it) => {
    const create = (json: Record<string, unknown> = {}) =>
      Calls.use(({ call }) => call("POST", "/v1/webhooks", { json: { url, ...json } }))
    const patch = (id: string, json: unknown) =>
      Calls.use(({ call }) => call("PATCH", `/v1/webhooks/${id}`, { json }))
    const get = (id: string) => Calls.use(({ call }) => call("GET", `/v1/webhooks/${id}`))
    /** The webhook as the engine has it. */
    const kept = Effect.fnUntraced(function* (id: string) {
      const [webhook] = yield* (yield* WebhookRepo).findMany([WebhookId.make(id)])
      return webhook!
    })
    const pointersOf = (answer: {
      readonly json: { readonly errors: ReadonlyArray<{ readonly pointer: string }> }
    }) => answer.json.errors.map(({ pointer }) => pointer)

    it.effect("is shown with a mask in the place of its credential, everywhere", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const kind of kinds) {
          const made = yield* create({ auth: auths[kind] })
          assert.strictEqual(made.status, 201, made.text)
          const shown = { ...auths[kind], [credentials[kind]]: mask }
          const list = yield* call("GET", "/v1/webhooks?limit=1")
          const got = yield* get(made.json.id)
          for (const json of [made.json, got.json, list.json.data[0]]) {
            assert.deepStrictEqual(json.auth, shown)
          }
          for (const { text } of [made, list, got]) {
            assert.notInclude(text, "canary")
            assert.notInclude(text, "PRIVATE KEY")
          }
        }
      })
    )

    it.effect("stays as it is when its mask comes back, by PATCH and by PUT", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const kind of kinds) {
          const { json } = yield* create({ auth: auths[kind] })
          const before = (yield* kept(json.id)).auth
          for (const method of ["PATCH", "PUT"]) {
            const sent = { url, auth: { ...json.auth } }
            const answer = yield* call(method, `/v1/webhooks/${json.id}`, { json: sent })
            assert.strictEqual(answer.status, 200, answer.text)
            assert.deepStrictEqual(opened((yield* kept(json.id)).auth), opened(before))
          }
        }
      })
    )

    it.effect("is refused where a mask stands for nothing", () =>
      Effect.gen(function* () {
        for (const kind of kinds) {
          const auth = { ...auths[kind], [credentials[kind]]: mask }
          const made = yield* create({ auth })
          assert.strictEqual(made.status, 422)
          assert.include(pointersOf(made), `/auth/${credentials[kind]}`)
        }
        const { json } = yield* create({ auth: auths.bearer })
        const other = yield* patch(json.id, { auth: { ...auths.basic, password: mask } })
        assert.deepStrictEqual(pointersOf(other), ["/auth/password"])
        const header = yield* patch(json.id, { headers: { "X-New": mask } })
        assert.deepStrictEqual(pointersOf(header), ["/headers/X-New"])
      })
    )

    it.effect("is replaced as a whole, and gone with kind none or a PUT without it", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { json } = yield* create({ auth: auths.bearer })
        const path = `/v1/webhooks/${json.id}`
        const basic = yield* patch(json.id, { auth: auths.basic })
        assert.deepStrictEqual(basic.json.auth, { ...auths.basic, password: mask })
        assert.deepStrictEqual((yield* patch(json.id, { auth: { kind: "none" } })).json.auth, {
          kind: "none"
        })
        yield* patch(json.id, { auth: auths.basic })
        const put = yield* call("PUT", path, { json: { url } })
        assert.deepStrictEqual(put.json.auth, { kind: "none" })
      })
    )

    it.effect("tells of its certificates whom they name and when they end", () =>
      Effect.gen(function* () {
        const { json } = yield* create({ auth: auths.mtls })
        assert.deepInclude(json.certificates[0], {
          use: "client",
          subject: "CN=client a, O=Posthaste tests",
          issuer: "CN=Posthaste test clients CA",
          validFrom: "2020-01-01T00:00:00.000Z",
          expiresAt: "2120-01-01T00:00:00.000Z"
        })
        assert.deepInclude(json.certificates[1], { use: "ca", issuer: json.certificates[0].issuer })
        assert.lengthOf(json.certificates, 2)
      })
    )

    it.effect(
      "is refused, with its place and without its credential, where it cannot be used",
      () =>
        Effect.gen(function* () {
          const { clientA, clientB, expired, short, ca, lockedKey } = clients
          const mtls = { kind: "mtls", certificate: clientA.cert, key: clientA.key }
          const cases: ReadonlyArray<readonly [pointer: string, auth: unknown]> = [
            ["/auth/key", { ...mtls, key: clientB.key }],
            ["/auth/key", { ...mtls, key: lockedKey }],
            ["/auth/key", { ...mtls, key: "canary" }],
            ["/auth/certificate", { ...mtls, certificate: "canary" }],
            ["/auth/certificate", { ...mtls, certificate: clientA.cert.replace("MII", "XII") }],
            ["/auth/certificate", { ...mtls, certificate: clientA.cert + clientA.key }],
            ["/auth/certificate", { kind: "mtls", certificate: expired.cert, key: expired.key }],
            ["/auth/certificate", { kind: "mtls", certificate: short.cert, key: short.key }],
            ["/auth/certificate", { ...mtls, certificate: "x".repeat(16_385) }],
            ["/auth/ca", { kind: "none", ca: "canary" }],
            ["/auth/ca", { kind: "none", ca: expired.cert }],
            ["/auth/username", { kind: "basic", username: "a:b", password: "canary" }],
            ["/auth/password", { kind: "basic", username: "a", password: "canary\n" }],
            ["/auth/token", { kind: "bearer", token: "canary canary" }],
            ["/auth/token", { kind: "bearer", token: "canary\r\nx: y" }],
            ["/auth/name", { kind: "header", name: "x y", value: "canary" }],
            ["/auth/name", { kind: "header", name: "Host", value: "canary" }],
            ["/auth/name", { kind: "header", name: "Webhook-Id", value: "canary" }],
            ["/auth/value", { kind: "header", name: "x-key", value: "canary\n" }],
            ["/auth/tokenUrl", { ...auths.oauth2, tokenUrl: "https://10.0.0.1/canary" }],
            ["/auth/tokenUrl", { ...auths.oauth2, tokenUrl: "ftp://issuer.example/" }],
            ["/auth/tokenUrl", { ...auths.oauth2, tokenUrl: "https://u:canary@issuer.example/" }],
            ["/auth/scope", { ...auths.oauth2, scope: "a  b" }],
            ["/auth", { kind: "canary" }],
            ["/auth", "canary"],
            ["/auth/password", { kind: "basic", username: "a" }],
            ["/auth/canary", { kind: "none", canary: 1 }],
            ["/auth/token", { kind: "bearer", token: { canary: 1 } }]
          ]
          for (const [pointer, auth] of cases) {
            const answer = yield* create({ auth })
            const said = JSON.stringify(auth).slice(0, 100)
            assert.strictEqual(answer.status, 422, said)
            assert.include(pointersOf(answer), pointer, `${said} ${answer.text}`)
            if (!pointer.includes("canary")) assert.notInclude(answer.text, "canary", said)
            assert.notInclude(answer.text, "PRIVATE KEY", said)
          }
          assert.strictEqual((yield* create({ auth: { kind: "none", ca } })).status, 201)
        })
    )

    it.effect("is refused where something else of the webhook does not go with it", () =>
      Effect.gen(function* () {
        const clash = yield* create({ auth: auths.bearer, headers: { Authorization: "x" } })
        assert.deepStrictEqual(pointersOf(clash), ["/headers/Authorization"])
        const key = yield* create({ auth: auths.header, headers: { "x-api-key": "x" } })
        assert.deepStrictEqual(pointersOf(key), ["/headers/x-api-key"])
        const signed = yield* create({ auth: auths.header, signature: { header: "x-api-key" } })
        assert.deepStrictEqual(pointersOf(signed), ["/auth/name"])
        const { json } = yield* create({ headers: { Authorization: "x" } })
        assert.deepStrictEqual(pointersOf(yield* patch(json.id, { auth: auths.basic })), [
          "/headers/Authorization"
        ])
        const fits = yield* patch(json.id, { auth: auths.basic, headers: {} })
        assert.strictEqual(fits.status, 200)
      })
    )

    it.effect("leaves headers whose names speak of credentials masked, and as they are", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const headers = { "X-Auth-Token": "canary", Authorization: "canary", "X-Plain": "shown" }
        const { json } = yield* create({ headers })
        const masked = { "X-Auth-Token": mask, Authorization: mask, "X-Plain": "shown" }
        const list = yield* call("GET", "/v1/webhooks?limit=1")
        for (const shown of [json, (yield* get(json.id)).json, list.json.data[0]]) {
          assert.deepStrictEqual(shown.headers, masked)
        }
        const answer = yield* patch(json.id, {
          headers: { "x-auth-token": mask, "X-Plain": "other" }
        })
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual((yield* kept(json.id)).headers, {
          "x-auth-token": "canary",
          "X-Plain": "other"
        })
      })
    )

    it.effect("shows no credential of a URL in lists, and takes their mask for what it was", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const full = `${url}?token=canary&user=1`
        const { json } = yield* create({ url: full })
        const list = yield* call("GET", "/v1/webhooks?limit=1")
        assert.strictEqual(list.json.data[0].url, `${url}?token=${mask}&user=1`)
        assert.strictEqual((yield* get(json.id)).json.url, full)
        const kept = yield* patch(json.id, { url: list.json.data[0].url })
        assert.strictEqual(kept.json.url, full)
        const other = yield* patch(json.id, { url: `${url}/other?token=${mask}` })
        assert.deepStrictEqual(pointersOf(other), ["/url"])

        const auth = { ...auths.oauth2, tokenUrl: `${tokenUrl}?key=canary` }
        yield* patch(json.id, { auth })
        const listed = yield* call("GET", "/v1/webhooks?limit=1")
        assert.strictEqual(listed.json.data[0].auth.tokenUrl, `${tokenUrl}?key=${mask}`)
        const sent = yield* patch(json.id, { auth: listed.json.data[0].auth })
        assert.strictEqual(sent.json.auth.tokenUrl, auth.tokenUrl)
        const elsewhere = { ...auth, tokenUrl: `${tokenUrl}/b?key=${mask}` }
        assert.deepStrictEqual(pointersOf(yield* patch(json.id, { auth: elsewhere })), [
          "/auth/tokenUrl"
        ])
      })
    )
  })
})

/** Every credential opened, so that two can be compared. */
const opened = (auth: object) =>
  Object.entries(auth).map(([name, value]) => [
    name,
    Redacted.isRedacted(value) ? Redacted.value(value) : value
  ])
