/**
 * The sender against real receivers on loopback: good, slow, broken and hostile ones.
 *
 * T-numbers name the behaviours of a receiver in the project's list of misbehaviours.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import { TestClock } from "effect/testing"
import * as Net from "node:net"
import { gzipSync } from "node:zlib"
import type { Outcome } from "../../src/domain/Attempt.ts"
import { problems } from "../../src/domain/RequestHeaders.ts"
import { AddressGuard, type AddressGuardOptions } from "../../src/send/AddressGuard.ts"
import { type HttpRequest, HttpSender, type HttpSenderOptions } from "../../src/send/HttpSender.ts"
import * as Receiver from "../support/Receiver.ts"
import { scaled } from "../support/Scale.ts"
import certificates from "./certificates.json" with { type: "json" }

const { drip, flood, make, never, raw, reply, reset } = Receiver

const local: AddressGuardOptions = { allowHttp: true, allowNetworks: ["127.0.0.0/8"] }

const zone = Layer.orDie(
  Dns.layerStatic({
    hosts: {
      "receiver.test": ["127.0.0.1"],
      "mixed.test": ["127.0.0.1", "10.0.0.1"],
      "private.test": ["10.0.0.1"],
      "dead.test": ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    }
  })
)

const sender = (
  options: HttpSenderOptions = {},
  guard: AddressGuardOptions = local,
  dns: Layer.Layer<Dns.Dns> = zone
) => HttpSender.layer(options).pipe(Layer.provide(AddressGuard.layer(guard)), Layer.provide(dns))

const post = (url: string, request: Partial<HttpRequest> = {}) =>
  HttpSender.use((sender) =>
    sender.send({
      url: new URL(url),
      method: "POST",
      headers: { "content-type": "application/json", "webhook-id": "msg_1" },
      body: Buffer.from(`{"a":1}`),
      timeoutMs: 5_000,
      ...request
    })
  )

const outcomeOf = (url: string, request: Partial<HttpRequest> = {}) =>
  Effect.map(post(url, request), ({ outcome }) => outcome)

/** Reads an answer that must have come. */
const responded = (outcome: Outcome) => {
  if (outcome._tag !== "Responded")
    assert.fail(`Expected an answer, got ${JSON.stringify(outcome)}`)
  return { ...outcome, body: Buffer.from(outcome.body).toString("latin1") }
}

/** What a receiver of this behaviour leads to, in short. */
const short = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Responded":
      return `${outcome.statusCode}${outcome.bodyError === null ? "" : " body error"}`
    case "TimedOut":
      return `timed out: ${outcome.phase}`
    case "Unreachable":
      return outcome.cause
    case "Refused":
      return `refused: ${outcome.rule}`
    case "NotSent":
      return `not sent: ${outcome.cause}`
  }
}

describe("HttpSender", () => {
  it.live("sends the body byte for byte, with our headers and no others (T-01)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(reply(200, { headers: { "X-Answer": "yes" }, body: "fine" }))
      const body = new Uint8Array(Arr.makeBy(256, (i) => i))
      const { outcome, durationMs } = yield* post(`${receiver.url}/hook?a=b%20c&d`, { body })
      const answer = responded(outcome)
      assert.strictEqual(answer.statusCode, 200)
      assert.strictEqual(answer.headers["x-answer"], "yes")
      assert.strictEqual(answer.body, "fine")
      assert.isFalse(answer.truncated)
      assert.isNull(answer.bodyError)
      assert.isTrue(Number.isInteger(durationMs) && durationMs >= 0 && durationMs < 5_000)

      const [request] = receiver.requests
      assert.isDefined(request)
      assert.strictEqual(request.method, "POST")
      assert.strictEqual(request.path, "/hook?a=b%20c&d")
      assert.deepStrictEqual(request.body, body)
      assert.deepStrictEqual(
        { ...request.headers },
        {
          host: `127.0.0.1:${receiver.port}`,
          connection: "keep-alive",
          "content-type": "application/json",
          "webhook-id": "msg_1",
          "accept-encoding": "identity",
          "content-length": "256"
        }
      )
    }).pipe(Effect.provide(sender()))
  )

  it.live("sends each method, and GET without a body", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      for (const method of ["POST", "PUT", "PATCH"] as const) {
        assert.strictEqual(short(yield* outcomeOf(receiver.url, { method })), "200")
      }
      yield* outcomeOf(receiver.url, { method: "GET", body: null })
      yield* outcomeOf(receiver.url, { body: new Uint8Array() })
      assert.deepStrictEqual(
        receiver.requests.map(({ method, body, headers }) => [
          method,
          body.length,
          headers["content-length"]
        ]),
        [
          ["POST", 7, "7"],
          ["PUT", 7, "7"],
          ["PATCH", 7, "7"],
          ["GET", 0, undefined],
          ["POST", 0, "0"]
        ]
      )
    }).pipe(Effect.provide(sender()))
  )

  it.live("resolves names and sends to the address that was judged, under the name", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const url = `http://receiver.test:${receiver.port}/`
      assert.strictEqual(short(yield* outcomeOf(url)), "200")
      assert.strictEqual(receiver.requests[0]?.headers.host, `receiver.test:${receiver.port}`)
    }).pipe(Effect.provide(sender()))
  )

  it.live("tries the next address where one does not answer (T-50)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      assert.strictEqual(short(yield* outcomeOf(`http://dead.test:${receiver.port}/`)), "200")
    }).pipe(Effect.provide(sender()))
  )

  it.live("keeps 50 headers and 8 KiB of them, values of one name joined", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(
        raw(
          `HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\n__proto__: c\r\n` +
            Arr.makeBy(80, (i) => `x-${i}: ${i}\r\n`).join("") +
            "content-length: 0\r\n\r\n"
        ),
        reply(200, { headers: { "x-a": "a".repeat(5_000), "x-b": "b".repeat(5_000) } })
      )
      const many = responded(yield* outcomeOf(receiver.url))
      assert.isAtMost(Object.keys(many.headers).length, 50)
      assert.strictEqual(many.headers["set-cookie"], "a, b")
      assert.strictEqual(many.headers["x-40"], "40")
      const large = responded(yield* outcomeOf(receiver.url))
      assert.isAtMost(JSON.stringify(large.headers).length, 8_192)
      assert.lengthOf(large.headers["x-a"] ?? "", 5_000)
    }).pipe(Effect.provide(sender()))
  )
})

describe("HttpSender, with headers of webhooks", () => {
  const sets = scaled(1_000, 10_000)

  it.live(
    `sends every one of ${sets} random sets that may be registered (SEC-39)`,
    () =>
      Effect.gen(function* () {
        const receiver = yield* make()
        const random = randomHeaders(39)
        let refused = 0
        for (let sent = 0; sent < sets;) {
          const headers = random()
          if (problems(headers).length > 0) {
            refused++
            continue
          }
          sent++
          const said = JSON.stringify(headers)
          const outcome = yield* outcomeOf(receiver.url, { headers, body: null })
          assert.strictEqual(short(outcome), "200", said)
          const {
            host: _,
            connection,
            "accept-encoding": identity,
            ...rest
          } = {
            ...receiver.requests.at(-1)?.headers
          }
          assert.deepStrictEqual([connection, identity], ["keep-alive", "identity"])
          delete rest["content-length"]
          assert.deepStrictEqual(
            Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, String(value)])),
            Object.fromEntries(
              Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])
            ),
            said
          )
        }
        assert.isAbove(refused, sets / 20)
        assert.strictEqual(receiver.accepted(), 1)
      }).pipe(Effect.provide(sender())),
    { timeout: 120_000 }
  )
})

/** Makes sets of headers, most of which may be registered: all tokens, all bytes of values, all sizes. */
const randomHeaders = (seed: number) => {
  let state = seed
  // mulberry32, so that a failure can be repeated.
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const textOf = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[below(alphabet.length)]).join("")
  const token = "ABCXYZabcxyz019!#$%&'*+.^_`|~-"
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("")
  const special = [
    "Authorization",
    "Cookie",
    "Host",
    "Accept",
    "Range",
    "Set-Cookie",
    "TE",
    "If-Match"
  ]
  return (): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: below(22) }, () => [
        below(8) === 0 ? special[below(special.length)]! : textOf(token, 1 + below(20)),
        textOf(
          below(300) === 0 ? `${printable}\u00e9\n` : `${printable}\t`,
          below(below(9) === 0 ? 900 : 30)
        ).trim()
      ])
    )
}

describe("HttpSender, with bodies of answers", () => {
  const head = (status: string, headers = "") => `HTTP/1.1 ${status}\r\n${headers}\r\n`

  it.live("keeps 10 KB and reads on to the end, so that the connection can be used again", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(
        reply(200, { body: "a".repeat(60_000) }),
        reply(200, { body: "b".repeat(10_240) })
      )
      const long = responded(yield* outcomeOf(receiver.url))
      assert.strictEqual(long.body, "a".repeat(10_240))
      assert.isTrue(long.truncated)
      assert.isNull(long.bodyError)
      const exact = responded(yield* outcomeOf(receiver.url))
      assert.strictEqual(exact.body, "b".repeat(10_240))
      assert.isFalse(exact.truncated)
      assert.strictEqual(receiver.accepted(), 1)
    }).pipe(Effect.provide(sender()))
  )

  for (const [name, beginning, piece] of [
    [
      "chunked (T-22)",
      head("200 OK", "transfer-encoding: chunked\r\n"),
      "1000\r\n" + "a".repeat(4_096) + "\r\n"
    ],
    ["without a length (T-23)", head("200 OK", "connection: close\r\n"), "a".repeat(4_096)],
    ["of a gibibyte (T-28)", head("200 OK", "content-length: 1073741824\r\n"), "a".repeat(4_096)]
  ] as const) {
    it.live(`reads at most 64 KiB of an endless body ${name}, then closes`, () =>
      Effect.gen(function* () {
        const receiver = yield* make()
        receiver.answers(flood(beginning, Buffer.from(piece)))
        const answer = responded(yield* outcomeOf(receiver.url))
        assert.strictEqual(answer.body, "a".repeat(10_240))
        assert.isTrue(answer.truncated)
        assert.isNull(answer.bodyError)
        yield* receiver.closed
      }).pipe(Effect.provide(sender()))
    )
  }

  it.live("does not decompress (T-24, T-25, T-26)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const bomb = gzipSync(Buffer.alloc(8_000_000))
      receiver.answers(
        reply(200, { headers: { "content-encoding": "gzip" }, body: bomb }),
        reply(200, {
          headers: { "content-encoding": Arr.makeBy(200, () => "gzip").join() },
          body: "x"
        }),
        reply(200, { headers: { "content-encoding": "br" }, body: "no brotli" })
      )
      const packed = responded(yield* outcomeOf(receiver.url))
      assert.strictEqual(packed.body, bomb.toString("latin1", 0, packed.body.length))
      assert.strictEqual(responded(yield* outcomeOf(receiver.url)).body, "x")
      assert.strictEqual(responded(yield* outcomeOf(receiver.url)).body, "no brotli")
    }).pipe(Effect.provide(sender()))
  )

  it.live("cuts the slow body of a 2xx shortly after its headers (T-04)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(drip(head("200 OK", "content-length: 999\r\n"), "a", 20))
      const { outcome, durationMs } = yield* post(receiver.url)
      const answer = responded(outcome)
      assert.strictEqual(answer.bodyError, "The body was not complete in time.")
      assert.isTrue(answer.truncated)
      assert.match(answer.body, /^a+$/)
      assert.isAtLeast(durationMs, 150)
      assert.isBelow(durationMs, 2_000)
      yield* receiver.closed
    }).pipe(Effect.provide(sender({ bodyWaitMs: 150 })))
  )

  it.live("waits for no body beyond the deadline", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(drip(head("200 OK", "content-length: 999\r\n"), "a", 20))
      const { outcome, durationMs } = yield* post(receiver.url, { timeoutMs: 200 })
      assert.strictEqual(short(outcome), "200 body error")
      assert.isBelow(durationMs, 1_900)
    }).pipe(Effect.provide(sender({ bodyWaitMs: 2_000 })))
  )

  it.live("waits for other bodies until the deadline, and tells the status (T-05)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(drip(head("500 No", "content-length: 999\r\n"), "a", 20))
      const { outcome, durationMs } = yield* post(receiver.url, { timeoutMs: 300 })
      const answer = responded(outcome)
      assert.strictEqual(answer.statusCode, 500)
      assert.strictEqual(answer.bodyError, "The body was not complete in time.")
      assert.isAtLeast(durationMs, 299)
      assert.isBelow(durationMs, 2_000)
      yield* receiver.closed
    }).pipe(Effect.provide(sender({ bodyWaitMs: 100 })))
  )

  for (const [name, answer, body] of [
    ["is reset (T-07)", raw(head("200 OK", "content-length: 99\r\n") + "part", "reset"), "part"],
    [
      "ends before its length (T-08)",
      raw(head("200 OK", "content-length: 99\r\n") + "part", "end"),
      "part"
    ],
    [
      "has a chunk of no size (T-27)",
      raw(head("200 OK", "transfer-encoding: chunked\r\n") + "4\r\npart\r\nzz\r\n"),
      "part"
    ]
  ] as const) {
    it.live(`tells the status of an answer whose body ${name}`, () =>
      Effect.gen(function* () {
        const receiver = yield* make()
        receiver.answers(answer)
        const result = responded(yield* outcomeOf(receiver.url))
        assert.strictEqual(result.statusCode, 200)
        assert.strictEqual(result.body, body)
        assert.match(result.bodyError ?? "", /^The body broke off \(.+\)\.$/)
        assert.strictEqual(receiver.requests.length, 1)
        yield* receiver.closed
      }).pipe(Effect.provide(sender()))
    )
  }
})

describe("HttpSender, with broken receivers", () => {
  const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

  const behaviours: ReadonlyArray<readonly [string, Receiver.Answer, string]> = [
    ["resets (T-06)", reset, "reset"],
    ["hangs up", raw("", "end"), "reset"],
    ["hangs up within the headers", raw("HTTP/1.1 200 OK\r\nx-a: b", "end"), "reset"],
    ["sends no status line (T-10)", raw("HELLO\r\n\r\n"), "protocol"],
    ["greets in SSH (T-10)", raw("SSH-2.0-OpenSSH_9.6\r\n"), "protocol"],
    ["answers in HTTP 0.9 (T-10)", raw("<html>fine</html>", "end"), "protocol"],
    ["ends lines with LF alone (T-10)", raw("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), "protocol"],
    [
      "folds a header (T-10)",
      raw("HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
      "protocol"
    ],
    ["puts NUL into a header (T-10)", raw("HTTP/1.1 200 OK\r\nx-a: \u0000\r\n\r\n"), "protocol"],
    [
      "answers with status 099 (T-11)",
      raw("HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n"),
      "protocol"
    ],
    ["answers 100 unasked (T-13)", raw(`HTTP/1.1 100 Continue\r\n\r\n${ok}`), "protocol"],
    [
      "answers 101 unasked (T-14)",
      raw("HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"),
      "protocol"
    ],
    [
      "answers 103, then 200",
      ({ response }) => {
        response.writeEarlyHints({ link: "</a>; rel=preload" })
        response.end()
      },
      "200"
    ],
    ["sends a body with 204 (T-15)", raw("HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok"), "204"],
    [
      "names a length and chunks (T-17)",
      raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
      "protocol"
    ],
    [
      "names two lengths (T-18)",
      raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
      "protocol"
    ],
    [
      "names a negative length (T-19)",
      raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
      "protocol"
    ],
    [
      "sends a header of 70 KB (T-20)",
      raw(`HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(70_000)}\r\n\r\n`),
      "protocol"
    ],
    [
      "sends 3,000 headers (T-21)",
      raw(`HTTP/1.1 200 OK\r\n${"x-name: value\r\n".repeat(3_000)}\r\n`),
      "protocol"
    ],
    [
      "answers with status 600 (T-31)",
      raw("HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n"),
      "protocol"
    ],
    [
      "answers with status 999 (T-31)",
      raw("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
      "protocol"
    ],
    ["answers in HTTP/1.0 (T-32)", raw("HTTP/1.0 200 OK\r\n\r\nok", "end"), "200"],
    ["never answers (T-02)", never, "timed out: headers"],
    ["drips its headers (T-03)", drip("HTTP/1.1 200 OK\r\nx-a: ", "a", 20), "timed out: headers"],
    [
      "answers 103 for ever (T-12)",
      drip("", "HTTP/1.1 103 Early\r\n\r\n", 20),
      "timed out: headers"
    ]
  ]

  for (const [name, answer, expected] of behaviours) {
    it.live(`sends once to a receiver that ${name}: ${expected}`, () =>
      Effect.gen(function* () {
        const receiver = yield* make()
        receiver.answers(answer, reply(204))
        const { outcome, durationMs } = yield* post(receiver.url, { timeoutMs: 400 })
        assert.strictEqual(short(outcome), expected, JSON.stringify(outcome))
        assert.strictEqual(receiver.requests.length, 1)
        assert.isBelow(durationMs, 2_000)
        if (expected.startsWith("timed out")) {
          assert.isAtLeast(durationMs, 399)
          yield* receiver.closed
        }
        // What was left over must not be taken for the answer to the next request.
        assert.strictEqual(short(yield* outcomeOf(receiver.url)), "204")
        assert.strictEqual(receiver.requests.length, 2)
      }).pipe(Effect.provide(sender()))
    )
  }

  it.live("names the receiver and a code in what it says, and no address", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(reset, raw("HELLO\r\n\r\n"))
      const host = `receiver.test:${receiver.port}`
      assert.deepStrictEqual(yield* outcomeOf(`http://${host}/`), {
        _tag: "Unreachable",
        cause: "reset",
        detail: `${host} closed the connection without an answer (ECONNRESET).`
      })
      assert.deepStrictEqual(yield* outcomeOf(`http://${host}/`), {
        _tag: "Unreachable",
        cause: "protocol",
        detail: `${host} did not answer in HTTP/1.1 (Expected HTTP/, RTSP/ or ICE/).`
      })
    }).pipe(Effect.provide(sender()))
  )

  for (const [name, surplus] of [
    ["garbage (T-09)", "surplus"],
    ["another answer (T-33)", "HTTP/1.1 500 Poison\r\ncontent-length: 0\r\n\r\n"]
  ] as const) {
    it.live(
      `takes an answer that is followed by ${name}, and does not use the connection again`,
      () =>
        Effect.gen(function* () {
          const receiver = yield* make()
          receiver.answers(raw(ok + surplus), reply(204))
          const first = responded(yield* outcomeOf(receiver.url))
          assert.strictEqual(first.body, "ok")
          assert.isNull(first.bodyError)
          assert.strictEqual(short(yield* outcomeOf(receiver.url)), "204")
          assert.deepStrictEqual(
            receiver.requests.map(({ connection }) => connection),
            [1, 2]
          )
        }).pipe(Effect.provide(sender()))
    )
  }

  it.live("asks anew where to connect when a kept connection is lost", () => {
    let lookups = 0
    const once = Layer.succeed(AddressGuard, {
      url: () => assert.fail("The sender parses no URLs."),
      address: () => undefined,
      lookup: () =>
        ++lookups === 1
          ? Effect.succeed([NetAddress.ipv4Loopback])
          : Effect.fail({ _tag: "Refused", rule: "moved", detail: "It moved." } as const)
    })
    return Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(raw(`${ok}HTTP/1.1 500 Poison\r\ncontent-length: 0\r\n\r\n`))
      assert.strictEqual(short(yield* outcomeOf(receiver.url)), "200")
      assert.strictEqual(short(yield* outcomeOf(receiver.url)), "refused: moved")
      assert.strictEqual(receiver.requests.length, 1)
    }).pipe(Effect.provide(HttpSender.layer().pipe(Layer.provide(once))))
  })

  it.live("takes the status of an answer that came before the body was read (T-37)", () =>
    Effect.gen(function* () {
      const { port } = yield* tcpServer((socket) => {
        socket.once("data", () => {
          socket.pause()
          socket.end("HTTP/1.1 413 Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        })
      })
      const outcome = yield* outcomeOf(`http://127.0.0.1:${port}/`, {
        body: new Uint8Array(8_000_000)
      })
      assert.strictEqual(short(outcome), "413")
    }).pipe(Effect.provide(sender()))
  )

  it.live("gives up on a receiver that reads nothing (T-36)", () =>
    Effect.gen(function* () {
      let resume = () => {}
      const { port, closed } = yield* tcpServer((socket) => {
        socket.pause()
        resume = () => socket.resume()
      })
      const outcome = yield* outcomeOf(`http://127.0.0.1:${port}/`, {
        body: new Uint8Array(8_000_000),
        timeoutMs: 200
      })
      assert.strictEqual(short(outcome), "timed out: headers")
      // A server that does not read does not notice either that the other side is gone.
      resume()
      yield* closed
    }).pipe(Effect.provide(sender()))
  )

  it.live("answers each status class as it came (T-16, T-45, T-46, T-47)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      for (const status of [200, 201, 205, 206, 299, 304, 400, 404, 410, 429, 500, 503, 599]) {
        receiver.answers(reply(status))
        assert.strictEqual(responded(yield* outcomeOf(receiver.url)).statusCode, status)
      }
    }).pipe(Effect.provide(sender()))
  )

  it.live("does not follow redirects (T-30)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const canary = yield* make()
      for (const status of [300, 301, 302, 303, 307, 308]) {
        for (const location of [`${canary.url}/`, `${receiver.url}/`, "/loop"]) {
          receiver.answers(
            reply(status, { headers: { location, refresh: `0; url=${canary.url}` } })
          )
          const answer = responded(yield* outcomeOf(receiver.url))
          assert.strictEqual(answer.statusCode, status)
          assert.strictEqual(answer.headers["location"], location)
        }
      }
      assert.strictEqual(receiver.requests.length, 18)
      assert.strictEqual(canary.accepted(), 0)
    }).pipe(Effect.provide(sender()))
  )

  it.live("says that nobody listens (T-39)", () =>
    Effect.gen(function* () {
      const receiver = yield* make().pipe(Effect.scoped)
      assert.deepStrictEqual(yield* outcomeOf(receiver.url), {
        _tag: "Unreachable",
        cause: "refused",
        detail: `No connection to 127.0.0.1:${receiver.port} (ECONNREFUSED).`
      })
    }).pipe(Effect.provide(sender()))
  )
})

describe("HttpSender, reusing connections", () => {
  it.live("sends one request after another on one connection", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      for (let i = 0; i < 20; i++) yield* outcomeOf(receiver.url)
      assert.strictEqual(receiver.requests.length, 20)
      assert.strictEqual(receiver.accepted(), 1)
    }).pipe(Effect.provide(sender()))
  )

  it.live("sends concurrent requests on connections of their own, and mixes up no answers", () =>
    Effect.gen(function* () {
      const receivers = yield* Effect.all([make(), make()])
      for (const [index, receiver] of receivers.entries()) {
        receiver.answers(({ request, response }) =>
          response.end(`${index} ${Buffer.from(request.body).toString()}`)
        )
      }
      yield* Effect.forEach(
        Arr.range(1, 1_000),
        (i) =>
          Effect.gen(function* () {
            const receiver = receivers[i % 2 === 0 ? 0 : 1]
            const answer = yield* outcomeOf(receiver.url, { body: Buffer.from(`body ${i}`) })
            assert.strictEqual(responded(answer).body, `${i % 2} body ${i}`)
          }),
        { concurrency: 40, discard: true }
      )
      for (const receiver of receivers) {
        assert.strictEqual(receiver.requests.length, 500)
        assert.isAtMost(receiver.accepted(), 40)
      }
    }).pipe(Effect.provide(sender()))
  )

  it.live("opens a new one where the receiver closed it in between (T-35)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      for (let i = 1; i <= 5; i++) {
        assert.strictEqual(short(yield* outcomeOf(receiver.url)), "200")
        receiver.hangUp()
        yield* receiver.closed
      }
      assert.strictEqual(receiver.requests.length, 5)
      assert.strictEqual(receiver.accepted(), 5)
    }).pipe(Effect.provide(sender()))
  )

  it.live("does not send again what was written to one that the receiver closes", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(reply(200), reset, reply(200))
      yield* outcomeOf(receiver.url)
      assert.strictEqual(short(yield* outcomeOf(receiver.url)), "reset")
      assert.strictEqual(receiver.requests.length, 2)
      assert.strictEqual(receiver.accepted(), 1)
    }).pipe(Effect.provide(sender()))
  )

  it.live("does not use one again that the receiver wants closed (T-49)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(reply(200, { headers: { connection: "close" } }))
      for (let i = 0; i < 3; i++) assert.strictEqual(short(yield* outcomeOf(receiver.url)), "200")
      assert.strictEqual(receiver.accepted(), 3)
    }).pipe(Effect.provide(sender()))
  )

  it.live("closes one that received something unasked (T-34)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(({ response, socket }) => {
        response.end("ok", () =>
          setImmediate(() => socket.write("HTTP/1.1 500 Poison\r\ncontent-length: 0\r\n\r\n"))
        )
      })
      assert.strictEqual(short(yield* outcomeOf(receiver.url)), "200")
      yield* receiver.closed
      assert.strictEqual(short(yield* outcomeOf(receiver.url)), "200")
      assert.strictEqual(receiver.accepted(), 2)
    }).pipe(Effect.provide(sender()))
  )

  it.live("keeps no more waiting than its bounds, and none that is too old", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(reply(200, { delayMs: 30 }))
      const together = (n: number) =>
        Effect.all(
          Arr.makeBy(n, () => outcomeOf(receiver.url)),
          { concurrency: "unbounded" }
        )
      yield* Effect.gen(function* () {
        yield* together(5)
        assert.strictEqual(receiver.accepted(), 5)
        yield* together(5)
        assert.strictEqual(receiver.accepted(), 8)
      }).pipe(Effect.provide(sender({ idleConnectionsPerOriginMax: 2 })))
      yield* receiver.closed
      yield* Effect.gen(function* () {
        yield* outcomeOf(receiver.url)
        yield* outcomeOf(receiver.url)
        assert.strictEqual(receiver.accepted(), 10)
      }).pipe(Effect.provide(sender({ connectionAgeMaxMs: 1 })))
    })
  )

  it.live("closes all connections with its layer, those in use included", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const fiber = yield* Effect.gen(function* () {
        yield* outcomeOf(receiver.url)
        receiver.answers(never)
        const fiber = yield* Effect.forkDetach(outcomeOf(receiver.url), { startImmediately: true })
        yield* Effect.andThen(receiver.take, receiver.take)
        return fiber
      }).pipe(Effect.provide(sender()))
      yield* receiver.closed
      assert.strictEqual(short(yield* Fiber.join(fiber)), "reset")
    })
  )

  it.live("opens none after its layer was closed", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const closed = yield* Effect.provide(HttpSender, sender())
      const { outcome } = yield* closed.send({
        url: new URL(receiver.url),
        method: "POST",
        headers: {},
        body: null,
        timeoutMs: 1_000
      })
      assert.strictEqual(short(outcome), "refused")
      assert.strictEqual(receiver.accepted(), 0)
    })
  )
})

describe("HttpSender, and its deadline", () => {
  it.effect("follows the Effect clock while it waits for an answer", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(never)
      const fiber = yield* Effect.forkChild(post(receiver.url, { timeoutMs: 15_000 }))
      yield* receiver.take
      yield* TestClock.adjust("14999 millis")
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        outcome: { _tag: "TimedOut", phase: "headers" },
        durationMs: 15_000
      })
      yield* receiver.closed
    }).pipe(Effect.provide(sender()))
  )

  it.effect("ends requests in the order of their deadlines", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(never)
      const ended: Array<number> = []
      const fibers = yield* Effect.forEach([9_000, 50, 700, 4_000], (timeoutMs) =>
        post(receiver.url, { timeoutMs }).pipe(
          Effect.map(({ durationMs }) => ended.push(durationMs)),
          Effect.forkChild
        )
      )
      for (const _ of fibers) yield* receiver.take
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ended, [50, 700, 4_000, 9_000])
    }).pipe(Effect.provide(sender()))
  )

  it.effect("ends while a name is being resolved", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(post("http://slow.test/", { timeoutMs: 1_000 }))
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        outcome: { _tag: "TimedOut", phase: "dns" },
        durationMs: 1_000
      })
    }).pipe(
      Effect.provide(
        sender({}, local, Layer.succeed(Dns.Dns, Dns.make({ lookup: () => Effect.never })))
      )
    )
  )

  it.live("ends while TLS is being negotiated, and closes the socket (T-42)", () =>
    Effect.gen(function* () {
      const { port, closed } = yield* tcpServer((socket) => void socket.resume())
      const { outcome, durationMs } = yield* post(`https://receiver.test:${port}/`, {
        timeoutMs: 200
      })
      assert.deepStrictEqual(outcome, { _tag: "TimedOut", phase: "connect" })
      assert.isBelow(durationMs, 2_000)
      yield* closed
    }).pipe(Effect.provide(sender()))
  )

  it.live("closes the socket when it is interrupted, whatever it waits for", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      receiver.answers(never)
      const waiting = yield* Effect.forkChild(outcomeOf(receiver.url))
      yield* receiver.take
      yield* Fiber.interrupt(waiting)
      yield* receiver.closed

      receiver.answers(drip("HTTP/1.1 500 No\r\ncontent-length: 999\r\n\r\n", "a", 5))
      const reading = yield* Effect.forkChild(outcomeOf(receiver.url))
      yield* receiver.take
      yield* Fiber.interrupt(reading)
      yield* receiver.closed

      const silent = yield* tcpServer((socket) => void socket.resume())
      const shaking = yield* Effect.forkChild(outcomeOf(`https://receiver.test:${silent.port}/`))
      yield* silent.accepted
      yield* Fiber.interrupt(shaking)
      yield* silent.closed
      assert.strictEqual(receiver.requests.length, 2)
    }).pipe(Effect.provide(sender()))
  )
})

describe("HttpSender, and what it refuses", () => {
  it.live("opens no connection to addresses that are not allowed", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      for (const host of [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "receiver.example"
      ]) {
        const outcome = yield* outcomeOf(`http://${host}:${receiver.port}/`)
        assert.strictEqual(short(outcome), "refused: loopback", host)
      }
      assert.strictEqual(receiver.accepted(), 0)
    }).pipe(
      Effect.provide(
        sender(
          {},
          { allowHttp: true },
          Layer.orDie(Dns.layerStatic({ hosts: { "receiver.example": ["127.0.0.1"] } }))
        )
      )
    )
  )

  it.live("refuses a name for one blocked answer among others (DNS mix)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const host = `mixed.test:${receiver.port}`
      assert.deepStrictEqual(yield* outcomeOf(`http://${host}/`), {
        _tag: "Refused",
        rule: "private_network",
        detail: "mixed.test is at an address that requests may not go to (private_network)."
      })
      assert.strictEqual(
        short(yield* outcomeOf("http://private.test/")),
        "refused: private_network"
      )
      assert.strictEqual(short(yield* outcomeOf("http://missing.test/")), "dns")
      assert.strictEqual(receiver.accepted(), 0)
    }).pipe(Effect.provide(sender()))
  )

  it.live("judges the URL again, which may have been stored under other rules", () =>
    Effect.gen(function* () {
      assert.strictEqual(short(yield* outcomeOf("http://receiver.test/")), "refused: scheme")
      assert.strictEqual(short(yield* outcomeOf("https://localhost/")), "refused: special_name")
    }).pipe(Effect.provide(sender({}, {})))
  )

  it.live("answers that a request cannot be sent, on a new connection as on a kept one", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      const bad: ReadonlyArray<HttpRequest["headers"]> = [
        { "x-a": "b\r\nx-c: d" },
        { "x a": "b" },
        { expect: "100-continue" },
        { upgrade: "websocket" },
        { "transfer-encoding": "chunked" },
        { "content-length": "3" }
      ]
      for (const headers of bad) {
        const outcome = yield* outcomeOf(receiver.url, { headers })
        assert.strictEqual(short(outcome), "refused: unusable_request", JSON.stringify(headers))
      }
      yield* outcomeOf(receiver.url)
      for (const headers of bad) {
        const outcome = yield* outcomeOf(receiver.url, { headers })
        assert.strictEqual(short(outcome), "refused: unusable_request", JSON.stringify(headers))
      }
      assert.strictEqual(receiver.requests.length, 1)
    }).pipe(Effect.provide(sender()))
  )
})

describe("HttpSender, over TLS", () => {
  const trusting = { certificates: [certificates.ca] }

  it.live("sends to a receiver with a trusted certificate, and keeps the connection", () =>
    Effect.gen(function* () {
      const receiver = yield* make({ certificate: certificates.trusted })
      for (const host of ["receiver.test", "receiver.test.", "127.0.0.1"]) {
        const url = `https://${host}:${receiver.port}/`
        assert.strictEqual(short(yield* outcomeOf(url)), "200", host)
        assert.strictEqual(short(yield* outcomeOf(url)), "200", host)
      }
      assert.strictEqual(receiver.accepted(), 3)
    }).pipe(Effect.provide(sender(trusting)))
  )

  it.live("resumes a session on a later connection", () =>
    Effect.gen(function* () {
      const receiver = yield* make({ certificate: certificates.trusted })
      const reused: Array<boolean> = []
      receiver.answers(({ response, socket }) => {
        if ("isSessionReused" in socket && typeof socket.isSessionReused === "function") {
          reused.push(socket.isSessionReused())
        }
        response.writeHead(200, { connection: "close" }).end()
      })
      for (let i = 0; i < 2; i++) {
        yield* outcomeOf(`https://receiver.test:${receiver.port}/`)
        yield* receiver.closed
      }
      assert.deepStrictEqual(reused, [false, true])
    }).pipe(Effect.provide(sender(trusting)))
  )

  for (const [name, certificate, code] of [
    ["expired", certificates.expired, "CERT_HAS_EXPIRED"],
    ["for another name", certificates.otherName, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["self-signed", certificates.selfSigned, "DEPTH_ZERO_SELF_SIGNED_CERT"]
  ] as const) {
    it.live(`refuses a certificate that is ${name}, whatever the environment says (T-41)`, () =>
      Effect.gen(function* () {
        const receiver = yield* make({ certificate })
        const host = `receiver.test:${receiver.port}`
        const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
        process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        const outcome = yield* Effect.ensuring(
          outcomeOf(`https://${host}/`),
          Effect.sync(() => {
            if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
            else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before
          })
        )
        assert.deepStrictEqual(outcome, {
          _tag: "Unreachable",
          cause: "tls",
          detail: `No TLS connection with ${host} (${code}).`
        })
        assert.strictEqual(receiver.requests.length, 0)
      }).pipe(Effect.provide(sender(trusting)))
    )
  }

  it.live("trusts no authority that it was not given", () =>
    Effect.gen(function* () {
      const receiver = yield* make({ certificate: certificates.trusted })
      const outcome = yield* outcomeOf(`https://receiver.test:${receiver.port}/`)
      assert.strictEqual(short(outcome), "tls")
      assert.strictEqual(receiver.requests.length, 0)
    }).pipe(Effect.provide(sender()))
  )

  it.live("says that a receiver speaks no TLS (T-42)", () =>
    Effect.gen(function* () {
      const receiver = yield* make()
      assert.strictEqual(short(yield* outcomeOf(`https://receiver.test:${receiver.port}/`)), "tls")
    }).pipe(Effect.provide(sender()))
  )

  it.live("tells a body that breaks off within TLS", () =>
    Effect.gen(function* () {
      const receiver = yield* make({ certificate: certificates.trusted })
      receiver.answers(raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\npart", "end"))
      const answer = responded(yield* outcomeOf(`https://receiver.test:${receiver.port}/`))
      assert.strictEqual(answer.body, "part")
      assert.isNotNull(answer.bodyError)
    }).pipe(Effect.provide(sender(trusting)))
  )
})

/** A server below HTTP. `closed` waits until it has no connection any more. */
const tcpServer = Effect.fnUntraced(function* (onConnection: (socket: Net.Socket) => void) {
  const open = new Set<Net.Socket>()
  let onAccepted = () => {}
  let onClosed = () => {}
  const server = Net.createServer((socket) => {
    open.add(socket)
    onAccepted()
    socket.on("error", () => {})
    onConnection(socket)
    socket.on("close", () => {
      open.delete(socket)
      onClosed()
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of open) socket.destroy()
      })
  )
  const address = server.address()
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    accepted: Effect.callback<void>((resume) => {
      onAccepted = () => resume(Effect.void)
      if (open.size > 0) onAccepted()
    }),
    closed: Effect.callback<void>((resume) => {
      onClosed = () => resume(Effect.void)
      if (open.size === 0) onClosed()
    })
  }
})
