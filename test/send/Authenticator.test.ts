/**
 * How requests tell a receiver who calls, against real receivers and token endpoints on loopback.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import * as Dns from "effect/net/Dns"
import { TestClock } from "effect/testing"
import { TLSSocket } from "node:tls"
import type { Outcome } from "../../src/domain/Attempt.ts"
import type { Auth, OAuth2Auth } from "../../src/domain/Auth.ts"
import { fromUuid } from "../../src/domain/TypeId.ts"
import { fieldsOf, healthy, type Webhook } from "../../src/domain/Webhook.ts"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { Authenticator } from "../../src/send/Authenticator.ts"
import { type HttpRequest, HttpSender } from "../../src/send/HttpSender.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import { type Answer, make, never, type Received, reply } from "../support/Receiver.ts"
import certificates from "./certificates.json" with { type: "json" }
import clients from "./clients.json" with { type: "json" }

const zone = Layer.orDie(Dns.layerStatic({ hosts: { "receiver.test": ["127.0.0.1"] } }))

const authenticator = Authenticator.layer.pipe(
  Layer.provide(HttpSender.layer({ certificates: [certificates.ca] })),
  Layer.provide(AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })),
  Layer.provide(zone)
)

const webhookWith = (auth: Auth, number = 1): Webhook => ({
  id: fromUuid("webhook", `00000000-0000-0000-0000-00000000000${number}`),
  tenantId: fromUuid("tenant", "00000000-0000-0000-0000-000000000009"),
  ...fieldsOf("https://receiver.example/hook"),
  auth,
  status: "enabled",
  disabledReason: null,
  health: healthy,
  secrets: [],
  unreadable: [],
  adHoc: null,
  createdAt: 0,
  updatedAt: 0,
  configuredAt: 0
})

const send = (webhook: Webhook, url: string, request: Partial<HttpRequest> = {}) =>
  Authenticator.use((authenticator) =>
    authenticator.send(webhook, {
      url: new URL(url),
      method: "POST",
      headers: { "x-a": "1" },
      body: Buffer.from("{}"),
      timeoutMs: 5_000,
      ...request
    })
  )

/** What came of it, in short. */
const short = (outcome: Outcome): string =>
  outcome._tag === "Responded"
    ? String(outcome.statusCode)
    : outcome._tag === "TimedOut"
      ? outcome.phase
      : outcome._tag === "Unreachable"
        ? `${outcome.cause}: ${outcome.detail}`
        : outcome._tag

const sent = (...args: Parameters<typeof send>) =>
  Effect.map(send(...args), ({ outcome }) => short(outcome))

const headerOf = (name: string) => (request: Received) => request.headers[name]

describe("Authenticator", () => {
  it.live("adds nothing where a webhook has no auth", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      assert.strictEqual(yield* sent(webhookWith({ kind: "none" }), receiver.url), "200")
      assert.isUndefined(receiver.requests[0]?.headers.authorization)
    }).pipe(Effect.provide(authenticator))
  )

  it.live("sends a password, a token or a key, each in one header", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const auths: ReadonlyArray<readonly [Auth, name: string, value: string]> = [
        [
          { kind: "basic", username: "Aladdin", password: Redacted.make("open sesame") },
          "authorization",
          "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        ],
        [
          { kind: "basic", username: "test", password: Redacted.make("123£") },
          "authorization",
          "Basic dGVzdDoxMjPCow=="
        ],
        [{ kind: "bearer", token: Redacted.make("mF_9.B5f") }, "authorization", "Bearer mF_9.B5f"],
        [{ kind: "header", name: "X-API-Key", value: Redacted.make("a b") }, "x-api-key", "a b"]
      ]
      for (const [auth, name, value] of auths) {
        // A header of the same name cannot be registered, but may be in an older row.
        const headers = { [name.toUpperCase()]: "stored", "x-a": "1" }
        assert.strictEqual(yield* sent(webhookWith(auth), receiver.url, { headers }), "200")
        assert.deepStrictEqual(receiver.requests.at(-1)?.headers[name], value)
        assert.strictEqual(receiver.requests.at(-1)?.headers["x-a"], "1")
      }
    }).pipe(Effect.provide(authenticator))
  )

  describe("with a client certificate", () => {
    const mtls = (client: { readonly cert: string; readonly key: string }): Auth => ({
      kind: "mtls",
      certificate: client.cert,
      key: Redacted.make(client.key)
    })
    const clientOf: Answer = ({ response, socket }) => {
      const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : ""
      response.end(String(name))
    }
    const mutual = { certificate: { ...certificates.trusted, ca: clients.ca } }
    const bodyOf = (...args: Parameters<typeof send>) =>
      Effect.map(send(...args), ({ outcome }) =>
        outcome._tag === "Responded" ? Buffer.from(outcome.body).toString() : short(outcome)
      )

    it.live("shows it, and shares no connection with another one (SEC-46)", () =>
      Effect.gen(function* () {
        const receiver = yield* make(mutual)
        receiver.answers(clientOf)
        const url = `https://receiver.test:${receiver.port}/`
        const a = webhookWith(mtls(clients.clientA), 1)
        const alsoA = webhookWith(mtls(clients.clientA), 2)
        const b = webhookWith(mtls(clients.clientB), 3)
        const seen: Array<string> = []
        for (let round = 0; round < 3; round++) {
          for (const webhook of [a, b, alsoA]) seen.push(yield* bodyOf(webhook, url))
        }
        assert.deepStrictEqual(
          seen,
          Array.from({ length: 3 }, () => ["client a", "client b", "client a"]).flat()
        )
        assert.strictEqual(receiver.accepted(), 2)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("mixes up no clients in many requests at once, on new sessions and resumed ones", () =>
      Effect.gen(function* () {
        const receiver = yield* make(mutual)
        receiver.answers((exchange) => {
          exchange.response.setHeader(
            "connection",
            exchange.request.path === "/c" ? "close" : "keep-alive"
          )
          clientOf(exchange)
        })
        const url = `https://receiver.test:${receiver.port}`
        const webhooks = {
          "client a": webhookWith(mtls(clients.clientA)),
          "client b": webhookWith(mtls(clients.clientB))
        }
        const names = ["client a", "client b"] as const
        yield* Effect.forEach(
          Array.from({ length: 400 }, (_, i) => i),
          Effect.fnUntraced(function* (i) {
            const name = names[i % 2]!
            const path = i % 3 === 0 ? "/c" : "/"
            assert.strictEqual(yield* bodyOf(webhooks[name], url + path), name)
          }),
          { concurrency: 16 }
        )
        assert.lengthOf(receiver.requests, 400)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("is not served where the receiver wants another one, or one at all", () =>
      Effect.gen(function* () {
        const strict = yield* make({ certificate: { ...clients.receiver, ca: certificates.ca } })
        const url = `https://receiver.test:${strict.port}/`
        const { ca } = clients
        for (const auth of [{ kind: "none", ca } as const, { ...mtls(clients.clientA), ca }]) {
          // Node hangs up on such a client after the handshake; others send an alert.
          assert.match(yield* sent(webhookWith(auth), url), /^(?:tls|reset): /)
        }
        assert.lengthOf(strict.requests, 0)
      }).pipe(Effect.provide(authenticator))
    )
  })

  describe("with an authority of its own", () => {
    it.live("reaches a receiver from it, and still those from the usual roots", () =>
      Effect.gen(function* () {
        const own = yield* make({ certificate: clients.receiver })
        const usual = yield* make({ certificate: certificates.trusted })
        const trusting = webhookWith({ kind: "bearer", token: Redacted.make("t"), ca: clients.ca })
        const other = webhookWith({ kind: "bearer", token: Redacted.make("t") }, 2)
        const ownUrl = `https://receiver.test:${own.port}/`
        assert.strictEqual(yield* sent(trusting, ownUrl), "200")
        assert.strictEqual(yield* sent(trusting, `https://127.0.0.1:${usual.port}/`), "200")
        // The trusted connection waits, and must serve nobody who does not trust it.
        assert.match(yield* sent(other, ownUrl), /^tls: .*\(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/)
        assert.match(yield* sent(webhookWith({ kind: "none" }, 3), ownUrl), /^tls: /)
        assert.lengthOf(own.requests, 1)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("refuses what is expired, early, self-signed or for another name all the same", () =>
      Effect.gen(function* () {
        const trusting = webhookWith({ kind: "none", ca: clients.ca })
        for (const [certificate, code] of [
          [clients.early, "CERT_NOT_YET_VALID"],
          [certificates.expired, "CERT_HAS_EXPIRED"],
          [certificates.selfSigned, "DEPTH_ZERO_SELF_SIGNED_CERT"],
          [certificates.otherName, "ERR_TLS_CERT_ALTNAME_INVALID"]
        ] as const) {
          const receiver = yield* make({ certificate })
          const outcome = yield* sent(trusting, `https://receiver.test:${receiver.port}/`)
          assert.match(outcome, new RegExp(`^tls: .*\\(${code}\\)`))
          assert.lengthOf(receiver.requests, 0)
        }
      }).pipe(Effect.provide(authenticator))
    )
  })

  describe("with client credentials", () => {
    const tokenAnswer = (token: string, more: Record<string, unknown> = {}): Answer =>
      reply(200, {
        body: JSON.stringify({
          access_token: token,
          token_type: "Bearer",
          expires_in: 3600,
          ...more
        })
      })
    const oauth2 = (url: string, more: Partial<OAuth2Auth> = {}): OAuth2Auth => ({
      kind: "oauth2",
      tokenUrl: `${url}/token`,
      clientId: "my id",
      clientSecret: Redacted.make("s€cret:+"),
      ...more
    })
    const authorizations = (requests: ReadonlyArray<Received>) =>
      requests.map(headerOf("authorization"))

    it.live("asks once for all attempts of a webhook, and for each webhook", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        issuer.answers(tokenAnswer("one"), tokenAnswer("two"))
        const webhook = webhookWith(oauth2(issuer.url))
        yield* Effect.all(
          Array.from({ length: 20 }, () => sent(webhook, receiver.url)),
          { concurrency: "unbounded" }
        )
        // The webhook as it is read again after an edit that left its auth as it was.
        yield* sent(webhookWith(oauth2(issuer.url)), receiver.url)
        assert.lengthOf(issuer.requests, 1)
        assert.deepStrictEqual([...new Set(authorizations(receiver.requests))], ["Bearer one"])
        yield* sent(webhookWith(oauth2(issuer.url), 2), receiver.url)
        yield* sent(webhookWith(oauth2(issuer.url, { scope: "b" })), receiver.url)
        assert.deepStrictEqual(authorizations(receiver.requests.slice(21)), [
          "Bearer two",
          "Bearer two"
        ])
        assert.lengthOf(issuer.requests, 3)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("asks as RFC 6749 says, with the client in the header or in the body", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        issuer.answers(tokenAnswer("t"))
        yield* sent(webhookWith(oauth2(issuer.url, { scope: "a b", audience: "x" })), receiver.url)
        yield* sent(
          webhookWith(oauth2(issuer.url, { clientAuthentication: "body" }), 2),
          receiver.url
        )
        const [header, body] = issuer.requests
        assert.strictEqual(header?.method, "POST")
        assert.strictEqual(header?.path, "/token")
        assert.strictEqual(header?.headers["content-type"], "application/x-www-form-urlencoded")
        assert.strictEqual(
          header?.headers.authorization,
          `Basic ${Buffer.from("my+id:s%E2%82%ACcret%3A%2B").toString("base64")}`
        )
        const formOf = (request: Received | undefined) =>
          Object.fromEntries(new URLSearchParams(Buffer.from(request!.body).toString()))
        assert.deepStrictEqual(formOf(header), {
          grant_type: "client_credentials",
          scope: "a b",
          audience: "x"
        })
        assert.isUndefined(body?.headers.authorization)
        assert.deepStrictEqual(formOf(body), {
          grant_type: "client_credentials",
          client_id: "my id",
          client_secret: "s€cret:+"
        })
      }).pipe(Effect.provide(authenticator))
    )

    it.live("asks again once when the receiver answers 401, within the same attempt", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        issuer.answers(tokenAnswer("old"), tokenAnswer("new"))
        receiver.answers(reply(200), reply(401), reply(204), reply(401))
        const webhook = webhookWith(oauth2(issuer.url))
        assert.strictEqual(yield* sent(webhook, receiver.url), "200")
        assert.strictEqual(yield* sent(webhook, receiver.url), "204")
        assert.strictEqual(yield* sent(webhook, receiver.url), "401")
        assert.deepStrictEqual(authorizations(receiver.requests), [
          "Bearer old",
          "Bearer old",
          "Bearer new",
          "Bearer new",
          "Bearer new"
        ])
        assert.lengthOf(issuer.requests, 3)
      }).pipe(Effect.provide(authenticator))
    )

    it.effect(
      "renews a token beside the attempts before it expires, and uses none after that",
      () =>
        Effect.gen(function* () {
          const network = yield* TestSender
          const issuer = "http://issuer.test"
          const receiver = "http://receiver.test/"
          const token = (name: string) => ({
            status: 200,
            body: `{"access_token":"${name}","token_type":"bearer","expires_in":1000}`
          })
          const away = { status: 503 }
          yield* network.answer(`${issuer}/token`, token("a"), away, token("b"), away, token("c"))
          const webhook = webhookWith(oauth2(issuer))
          const asked = Effect.map(network.sent(`${issuer}/token`), (requests) => requests.length)
          const attempt = Effect.gen(function* () {
            const outcome = yield* sent(webhook, receiver)
            const last = (yield* network.sent(receiver)).at(-1)
            return outcome === "200" ? last?.headers["authorization"] : outcome
          })
          const unasked = yield* attempt
          yield* TestClock.adjust("939 seconds")
          assert.deepStrictEqual([unasked, yield* attempt], ["Bearer a", "Bearer a"])
          assert.strictEqual(yield* asked, 1)
          yield* TestClock.adjust("1 second")
          // The endpoint is away, and then it is not: the token at hand is good meanwhile.
          for (const [count, next] of [
            [2, "Bearer a"],
            [3, "Bearer b"]
          ] as const) {
            assert.strictEqual(yield* attempt, "Bearer a")
            yield* Effect.yieldNow
            assert.strictEqual(yield* attempt, next)
            assert.strictEqual(yield* asked, count)
            yield* TestClock.adjust("5 seconds")
          }
          yield* TestClock.adjust("990 seconds")
          assert.strictEqual(yield* attempt, "auth: The token endpoint issuer.test answered 503.")
          assert.strictEqual(yield* attempt, "Bearer c")
          assert.strictEqual(yield* asked, 5)
        }).pipe(
          Effect.provide(
            Authenticator.layer.pipe(
              Layer.provideMerge(TestSender.layer),
              Layer.provide(
                AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })
              ),
              Layer.provide(zone)
            )
          )
        )
    )

    it.live("says in the class auth why there is no token, and sends nothing", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        const host = new URL(issuer.url).host
        const answers: ReadonlyArray<readonly [Answer, RegExp]> = [
          [
            reply(401, { body: `{"error":"invalid_client","error_description":"s€cret:+"}` }),
            /answered 401 \(invalid_client\)\.$/
          ],
          [reply(400, { body: `{"error":"canary"}` }), /answered 400\.$/],
          [reply(302, { headers: { location: receiver.url } }), /answered 302\.$/],
          [reply(200, { body: "canary" }), /answered no bearer token\.$/],
          [tokenAnswer("can ary"), /answered no bearer token\.$/],
          [tokenAnswer("canary\r\n"), /answered no bearer token\.$/],
          [tokenAnswer("canary", { token_type: "mac" }), /answered no bearer token\.$/],
          [reply(200, { body: `{"access_token":"${"x".repeat(10_000)}"}` }), /no bearer token\.$/],
          [({ socket }) => socket.destroy(), /closed the connection without an answer/]
        ]
        for (const [i, [answer, detail]] of answers.entries()) {
          issuer.answers(answer)
          const webhook = webhookWith(oauth2(issuer.url, { scope: `s${i}` }))
          const outcome = yield* sent(webhook, receiver.url)
          assert.match(outcome, /^auth: /)
          assert.match(outcome, detail)
          assert.include(outcome, host)
          assert.notMatch(outcome, /can.?ary|s€cret/)
        }
        const guarded = webhookWith(oauth2("http://10.0.0.1"))
        assert.match(yield* sent(guarded, receiver.url), /^auth: No token could be asked for: /)
        assert.lengthOf(receiver.requests, 0)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("keeps the attempt's deadline over token, request and second request", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        issuer.answers(never)
        const slow = yield* send(webhookWith(oauth2(issuer.url)), receiver.url, { timeoutMs: 200 })
        assert.strictEqual(short(slow.outcome), "auth: No token came in time.")
        assert.isBelow(slow.durationMs, 700)
        issuer.answers(tokenAnswer("t"))
        receiver.answers(reply(401, { delayMs: 150 }), never)
        const second = yield* send(webhookWith(oauth2(issuer.url), 2), receiver.url, {
          timeoutMs: 400
        })
        assert.strictEqual(short(second.outcome), "headers")
        assert.isAtLeast(second.durationMs, 390)
        assert.isBelow(second.durationMs, 1_000)
      }).pipe(Effect.provide(authenticator))
    )

    it.live("goes on asking for the others when one attempt is interrupted", () =>
      Effect.gen(function* () {
        const [issuer, receiver] = [yield* make(), yield* make()]
        issuer.answers(reply(200, { body: `{"access_token":"t"}`, delayMs: 200 }))
        const webhook = webhookWith(oauth2(issuer.url))
        const first = yield* Effect.forkChild(sent(webhook, receiver.url), {
          startImmediately: true
        })
        const other = yield* Effect.forkChild(sent(webhook, receiver.url), {
          startImmediately: true
        })
        yield* issuer.take
        yield* Fiber.interrupt(first)
        assert.strictEqual(yield* Fiber.join(other), "200")
        assert.lengthOf(issuer.requests, 1)
        assert.lengthOf(receiver.requests, 1)
      }).pipe(Effect.provide(authenticator))
    )
  })
})
