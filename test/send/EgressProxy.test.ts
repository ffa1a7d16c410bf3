/**
 * Receivers through a forward proxy: what it is asked for, what stays as it was, and whom its failures
 * are charged to.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import * as Dns from "effect/net/Dns"
import type { Outcome } from "../../src/domain/Attempt.ts"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { HttpSender } from "../../src/send/HttpSender.ts"
import * as ForwardProxy from "../support/ForwardProxy.ts"
import * as Receiver from "../support/Receiver.ts"
import certificates from "./certificates.json" with { type: "json" }

const zone = Layer.orDie(
  Dns.layerStatic({
    hosts: {
      "receiver.test": ["127.0.0.1"],
      "two.test": ["127.0.0.2", "127.0.0.1"],
      "private.test": ["10.0.0.1"]
    }
  })
)

const through = (proxy: string) =>
  HttpSender.layer({ proxy: Redacted.make(proxy), certificates: [certificates.ca] }).pipe(
    Layer.provide(AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })),
    Layer.provide(zone)
  )

const post = (url: string, timeoutMs = 2_000) =>
  HttpSender.use((sender) =>
    sender.send({
      url: new URL(url),
      method: "POST",
      headers: { "webhook-id": "msg_1" },
      body: Buffer.from("{}"),
      timeoutMs
    })
  ).pipe(Effect.map(({ outcome }) => short(outcome)))

const short = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Responded":
      return String(outcome.statusCode)
    case "TimedOut":
      return `timed out: ${outcome.phase}`
    case "Unreachable":
      return outcome.cause
    case "Refused":
      return `refused: ${outcome.rule}`
    case "NotSent":
      return `not sent: ${outcome.detail}`
  }
}

const egress = HttpSender.use((sender) => sender.egress)

describe("HttpSender, through a proxy", () => {
  for (const proxied of [false, true]) {
    for (const secure of [false, true]) {
      const names = [proxied ? "https" : "http", secure ? "https" : "http"]
      it.live(`over ${names[0]} reaches a receiver over ${names[1]} under its own name`, () =>
        Effect.gen(function* () {
          const proxy = yield* ForwardProxy.make(
            proxied ? { certificate: certificates.trusted } : {}
          )
          const receiver = yield* Receiver.make(secure ? { certificate: certificates.trusted } : {})
          const scheme = proxied ? "https" : "http"
          const sender = through(`${scheme}://us%40er:pa%3Ass@127.0.0.1:${proxy.port}`)
          yield* Effect.gen(function* () {
            const url = `${names[1]}://receiver.test:${receiver.port}/hook`
            for (let i = 0; i < 3; i++) assert.strictEqual(yield* post(url), "200")
            assert.strictEqual(yield* egress, "proxy")
          }).pipe(Effect.provide(sender))
          // The address that was judged, not the name; one tunnel for three requests.
          assert.deepStrictEqual(proxy.asked, [
            {
              authority: `127.0.0.1:${receiver.port}`,
              authorization: `Basic ${Buffer.from("us@er:pa:ss").toString("base64")}`
            }
          ])
          assert.strictEqual(proxy.hits().plain, 0)
          assert.lengthOf(receiver.requests, 3)
          const [request] = receiver.requests
          assert.strictEqual(request?.headers.host, `receiver.test:${receiver.port}`)
          assert.notProperty(request?.headers, "proxy-authorization")
        })
      )
    }
  }

  for (const scheme of ["http", "https"]) {
    it.live(`over ${scheme} survives that the proxy resets what is under way`, () =>
      Effect.gen(function* () {
        const certificate = certificates.trusted
        const proxy = yield* ForwardProxy.make(scheme === "https" ? { certificate } : {})
        const plain = yield* Receiver.make()
        const secure = yield* Receiver.make({ certificate })
        yield* Effect.gen(function* () {
          for (const receiver of [plain, secure]) {
            receiver.answers(Receiver.never, Receiver.reply(200))
            const url = receiver.url.replace("127.0.0.1", "receiver.test")
            const waiting = yield* Effect.forkChild(post(url))
            yield* receiver.take
            proxy.reset()
            assert.strictEqual(yield* Fiber.join(waiting), "reset")
            assert.strictEqual(yield* post(url), "200")
          }
        }).pipe(Effect.provide(through(`${scheme}://127.0.0.1:${proxy.port}`)))
      })
    )
  }

  it.live("refuses a receiver's certificate for another name", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      const receiver = yield* Receiver.make({ certificate: certificates.otherName })
      assert.strictEqual(
        yield* post(`https://receiver.test:${receiver.port}/`).pipe(
          Effect.provide(through(`http://127.0.0.1:${proxy.port}`))
        ),
        "tls"
      )
      assert.lengthOf(receiver.requests, 0)
    })
  )

  it.live("judges addresses as ever, and asks the proxy for none that is refused", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* post("http://private.test/"), "refused: private_network")
        assert.strictEqual(yield* post("http://10.0.0.1/"), "refused: private_network")
        assert.strictEqual(yield* post("http://missing.test/"), "dns")
        assert.strictEqual(yield* egress, "proxy")
      }).pipe(Effect.provide(through(`http://127.0.0.1:${proxy.port}`)))
      assert.strictEqual(proxy.hits().connections, 0)
    })
  )

  it.live("asks for the next address where the proxy does not reach one", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      const receiver = yield* Receiver.make()
      assert.strictEqual(
        yield* post(`http://two.test:${receiver.port}/`).pipe(
          Effect.provide(through(`http://127.0.0.1:${proxy.port}`))
        ),
        "200"
      )
      assert.deepStrictEqual(
        proxy.asked.map(({ authority }) => authority),
        ["127.0.0.2", "127.0.0.1"].map((host) => `${host}:${receiver.port}`)
      )
    })
  )

  const failures: ReadonlyArray<readonly [ForwardProxy.Mood, string]> = [
    [{ status: 407 }, "CONNECT answered 407"],
    [{ status: 502 }, "CONNECT answered 502"],
    [{ status: 503 }, "CONNECT answered 503"],
    ["hang up", "closed without an answer"],
    ["silent", "no tunnel in time"]
  ]
  for (const [mood, detail] of failures) {
    it.live(`charges no receiver with a proxy that fails: ${detail}`, () =>
      Effect.gen(function* () {
        const proxy = yield* ForwardProxy.make()
        const receiver = yield* Receiver.make()
        const url = `http://receiver.test:${receiver.port}/`
        yield* Effect.gen(function* () {
          proxy.mood(mood)
          for (let i = 0; i < 2; i++) {
            assert.strictEqual(
              yield* post(url, 200),
              `not sent: The egress proxy failed (${detail}).`
            )
          }
          assert.strictEqual(yield* egress, "proxy_failing")
          assert.lengthOf(receiver.requests, 0)
          proxy.mood("open")
          assert.strictEqual(yield* post(url), "200")
          assert.strictEqual(yield* egress, "proxy")
        }).pipe(Effect.provide(through(`http://127.0.0.1:${proxy.port}`)))
      })
    )
  }

  it.live("charges no receiver with a proxy that is not there", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(ForwardProxy.make())
      for (const scheme of ["http", "https"]) {
        assert.strictEqual(
          yield* post("http://receiver.test:9999/").pipe(
            Effect.provide(through(`${scheme}://127.0.0.1:${port}`))
          ),
          "not sent: The egress proxy failed (ECONNREFUSED)."
        )
      }
    })
  )

  it.live("charges no receiver with a proxy whose certificate is not trusted", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make({ certificate: certificates.selfSigned })
      assert.strictEqual(
        yield* post("http://receiver.test:9999/").pipe(
          Effect.provide(through(`https://127.0.0.1:${proxy.port}`))
        ),
        "not sent: The egress proxy failed (DEPTH_ZERO_SELF_SIGNED_CERT)."
      )
      assert.lengthOf(proxy.asked, 0)
    })
  )

  it.live("charges a receiver that the proxy does not reach while it reaches another", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      const receiver = yield* Receiver.make()
      const dead = yield* Effect.scoped(Receiver.make())
      yield* Effect.gen(function* () {
        const url = `http://receiver.test:${dead.port}/`
        assert.match(yield* post(url), /^not sent: .*503/)
        receiver.answers(Receiver.reply(200, { headers: { connection: "close" } }))
        assert.strictEqual(yield* post(receiver.url), "200")
        assert.strictEqual(yield* post(url), "refused")
      }).pipe(Effect.provide(through(`http://127.0.0.1:${proxy.port}`)))
    })
  )
})

describe("HttpSender, and the requests in flight to one address", () => {
  it.live("keeps them within their bound, whatever names and connections they take", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      receiver.answers(Receiver.reply(200, { delayMs: 50 }))
      const urls = ["receiver.test", "127.0.0.1"].map((host) => `http://${host}:${receiver.port}/`)
      for (let round = 0; round < 3; round++) {
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, i) => urls[i % 2]!),
          (url) => post(url),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(
          outcomes.filter((outcome) => outcome === "200"),
          3
        )
        assert.lengthOf(
          outcomes.filter((outcome) => outcome.startsWith("not sent: Too many requests")),
          7
        )
      }
      // Kept connections are used again, so these were all that were ever in flight.
      assert.isAtMost(receiver.accepted(), 6)
    }).pipe(
      Effect.provide(
        HttpSender.layer({ addressInFlightMax: 3 }).pipe(
          Layer.provide(AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })),
          Layer.provide(zone)
        )
      )
    )
  )

  it.live("counts the address that was connected, not the first of a name", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      receiver.answers(Receiver.reply(200, { delayMs: 100 }))
      const outcomes = yield* Effect.forEach(
        ["two.test", "two.test", "127.0.0.1"],
        (host) => post(`http://${host}:${receiver.port}/`),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes.map((outcome) => outcome.slice(0, 8)).toSorted(), [
        "200",
        "not sent",
        "not sent"
      ])
      assert.strictEqual(yield* post(`http://two.test:${receiver.port}/`), "200")
    }).pipe(
      Effect.provide(
        HttpSender.layer({ addressInFlightMax: 1 }).pipe(
          Layer.provide(AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] })),
          Layer.provide(zone)
        )
      )
    )
  )
})
