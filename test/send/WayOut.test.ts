/**
 * That there is one way out (SEC-01), counted while an engine sends in every way that it can: each
 * address that this process begins to connect to was let pass by the guard, for that connection.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { Effect, Layer, Redacted, References, Schedule, Schema } from "effect"
import * as Dns from "effect/net/Dns"
import { formatIp } from "effect/net/NetAddress"
import * as net from "node:net"
import type { Auth } from "../../src/domain/Auth.ts"
import { firstPage } from "../../src/domain/Page.ts"
import type { MessageId } from "../../src/domain/TypeId.ts"
import { fieldsOf, WebhookSettings } from "../../src/domain/Webhook.ts"
import * as Engine from "../../src/Engine.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { HttpSender } from "../../src/send/HttpSender.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { Trials } from "../../src/send/Trials.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import * as ForwardProxy from "../support/ForwardProxy.ts"
import * as Receiver from "../support/Receiver.ts"
import certificates from "./certificates.json" with { type: "json" }

/** Every address and port that a TCP connection was begun to, whoever in this process began it. */
const begun: Array<string> = []
const { connect } = net.Socket.prototype
beforeAll(() => {
  // Below net.connect, tls.connect, http and fetch.
  vi.spyOn(net.Socket.prototype, "connect").mockImplementation(function (
    this: net.Socket,
    ...args: ReadonlyArray<unknown>
  ) {
    this.on("connectionAttempt", (address: string, port: number) => {
      begun.push(`${address} ${port}`)
    })
    return Reflect.apply(connect, this, args)
  })
})
afterAll(() => {
  vi.restoreAllMocks()
})

const zone = Layer.orDie(
  Dns.layerStatic({
    hosts: {
      "receiver.test": ["127.0.0.1"],
      "two.test": ["127.0.0.2", "127.0.0.1"],
      "private.test": ["127.0.0.1", "10.0.0.1"]
    }
  })
)

/** An engine over real sockets whose guard writes down what it lets pass. */
const engine = (passed: Array<string>, proxy: number | null) =>
  Engine.layerPath({ lanes: { drainMs: 0 } }).pipe(
    Layer.provideMerge(
      HttpSender.layer({
        certificates: [certificates.ca],
        proxy: proxy === null ? null : Redacted.make(`http://127.0.0.1:${proxy}`)
      })
    ),
    Layer.provideMerge(
      Layer.effect(
        AddressGuard,
        Effect.map(AddressGuard, (guard) =>
          AddressGuard.of({
            ...guard,
            lookup: (url) =>
              Effect.tap(guard.lookup(url), (addresses) =>
                Effect.sync(() => {
                  for (const address of addresses) passed.push(`${formatIp(address)} ${url.port}`)
                })
              )
          })
        )
      ).pipe(
        Layer.provide(AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })),
        Layer.provide(zone)
      )
    ),
    Layer.provideMerge(Engine.layerStoresMemory()),
    Layer.provideMerge(Ids.layer),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )

/**
 * Sends in every way to two receivers and a token endpoint, and ends when all of it has arrived.
 * Answers what the guard let pass for a registration alone.
 */
const sendAll = Effect.gen(function* () {
  const ids = yield* Ids
  const log = yield* DeliveryLog
  const publisher = yield* Publisher
  const repo = yield* WebhookRepo
  const trials = yield* Trials
  const { id: tenantId } = yield* (yield* TenantRepo).ensureDefault
  const plain = yield* Receiver.make()
  const secure = yield* Receiver.make({ certificate: certificates.trusted })
  const issuer = yield* Receiver.make()
  issuer.answers(
    Receiver.reply(200, { body: JSON.stringify({ access_token: "t", token_type: "Bearer" }) })
  )
  // One that fails is sent again, and connections that close are opened again.
  plain.answers(
    Receiver.reply(500),
    Receiver.reply(200, { headers: { connection: "close" } }),
    Receiver.reply(200)
  )
  const named = ({ port }: Receiver.Receiver, host = "receiver.test", scheme = "http") =>
    `${scheme}://${host}:${port}/hook`

  const register = Effect.fnUntraced(function* (
    type: string,
    url: string,
    auth: Auth = { kind: "none" },
    settings: Partial<typeof WebhookSettings.Encoded> = {}
  ) {
    return yield* repo.create({
      id: yield* ids.next("webhook"),
      tenantId,
      secret: { id: yield* ids.next("secret"), key: Redacted.make(yield* ids.bytes(32)) },
      idempotency: null,
      fields: {
        ...fieldsOf(url),
        eventTypes: [type],
        auth,
        settings: yield* Effect.orDie(
          Schema.decodeUnknownEffect(WebhookSettings)({
            retry: { kind: "table", delaysMs: [10, 10], jitter: 0 },
            ...settings
          })
        )
      }
    })
  })
  const oauth2 = {
    kind: "oauth2",
    tokenUrl: named(issuer),
    clientId: "me",
    clientSecret: Redacted.make("mine")
  } as const
  const webhooks = [
    yield* register("a.b", named(plain)),
    yield* register("a.b", named(secure, "receiver.test", "https")),
    yield* register("a.b", plain.url),
    yield* register("a.b", named(plain, "two.test")),
    yield* register("a.b", named(plain), oauth2),
    yield* register("a.b", named(plain), { kind: "none" }, { format: "query", method: "GET" }),
    yield* register("a.b", named(plain, "private.test")),
    yield* register("a.b", "http://10.0.0.1/")
  ]

  const draft = { tenantId, type: "a.b", uid: null, resource: null, idempotencyKey: null } as const
  const messages: Array<{ readonly id: MessageId }> = []
  for (let n = 0; n < 5; n++) {
    messages.push(yield* publisher.publish({ ...draft, data: JSON.stringify({ n }) }))
  }
  const destination = { url: named(plain, "two.test"), secret: null }
  messages.push(yield* publisher.publish({ ...draft, data: "{}", destination }))
  const settled = Effect.gen(function* () {
    const found = []
    for (const { id: messageId } of messages) {
      const filter = { webhookId: null, messageId, type: null, status: null, statusCodeClass: null }
      found.push(...(yield* log.list(tenantId, firstPage, filter)).data)
    }
    return found
  }).pipe(
    Effect.repeat({
      schedule: Schedule.spaced("5 millis"),
      until: (found) => found.length === 41 && found.every(({ settledAt }) => settledAt !== null)
    })
  )
  const [first] = (yield* settled).filter(({ status }) => status === "delivered")
  yield* (yield* Lanes).redeliver(tenantId, first!.id)
  const ended = yield* settled

  const createdAt = 0
  const contentType = "application/json"
  for (const webhook of webhooks) {
    const message = { id: yield* ids.next("message"), type: "a.b", contentType, createdAt }
    const rest = { body: Buffer.from("{}"), orderingKey: null, expiresAt: null }
    yield* trials.test(webhook, { ...message, ...rest })
    yield* trials.check(webhook)
  }
  const count = (status: string) => ended.filter((delivery) => delivery.status === status).length
  // Five of each webhook but of the two that lead to a private address, and the one of its own.
  assert.deepStrictEqual([count("delivered"), count("exhausted")], [31, 10])
  assert.isAbove(issuer.requests.length, 0)
  // Looked up once more than it was connected to: when it was registered.
  return [`127.0.0.1 ${plain.port}`, `127.0.0.2 ${plain.port}`]
})

describe("The guard", () => {
  it.live("let pass each address that was connected to, once for each connection", () =>
    Effect.gen(function* () {
      const passed: Array<string> = []
      begun.length = 0
      const registered = yield* Effect.provide(sendAll, engine(passed, null))
      assert.isAbove(begun.length, 20)
      assert.deepStrictEqual([...begun, ...registered].toSorted(), passed.toSorted())
    })
  )

  it.live(
    "let pass each address that a proxy was asked for, and nothing goes beside the proxy",
    () =>
      Effect.gen(function* () {
        const passed: Array<string> = []
        const proxy = yield* ForwardProxy.make()
        begun.length = 0
        const registered = yield* Effect.provide(sendAll, engine(passed, proxy.port))
        const asked = proxy.asked.map(({ authority }) => authority.replace(":", " "))
        assert.isAbove(asked.length, 20)
        assert.deepStrictEqual([...asked, ...registered].toSorted(), passed.toSorted())
        const toProxy = begun.filter((place) => place.endsWith(` ${proxy.port}`))
        assert.lengthOf(toProxy, asked.length)
        // The rest are the tunnels of the proxy, which runs in this process too.
        const beside = begun.filter((place) => !toProxy.includes(place))
        assert.deepStrictEqual(beside.toSorted(), asked.toSorted())
      })
  )

  it.live("would be seen to be passed by", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      begun.length = 0
      yield* Effect.promise(() => fetch(receiver.url))
      assert.deepStrictEqual(begun, [`127.0.0.1 ${receiver.port}`])
    })
  )
})
