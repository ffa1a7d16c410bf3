/**
 * The real service against receivers that misbehave in every way of the project's list, over http and
 * https: which class each attempt gets, what is written down, and that deadlines are kept.
 *
 * The certificates are of an authority made for these tests; the service trusts it by
 * NODE_EXTRA_CA_CERTS, and its environment asks it to be careless with all others.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { makeService, type Service } from "../support/Service.ts"
import { type Behaviour, behaviours, retryAfters } from "./Behaviours.ts"
import { ca } from "./Certificates.ts"
import { type HostileServer, open } from "./HostileServer.ts"

interface Attempt {
  readonly class: string
  readonly statusCode: number | null
  readonly error: string | null
  readonly advice: string | null
  readonly durationMs: number
  readonly responseTruncated: boolean
  readonly responseBody: string | null
  readonly responseBodyEncoding: string | null
  readonly responseHeaders: Record<string, string> | null
  readonly startedAt: string
  readonly nextAttemptAt: string | null
  readonly settled: string | null
}

interface Result {
  readonly first: Attempt
  readonly second: Attempt | undefined
  readonly requests: HostileServer["requests"]
  readonly bytesRead: number
  readonly connections: number
  /** How many were made. */
  readonly attempts: number
}

const timeoutMs = 1_000
/** How long after its deadline an attempt may end. */
const toleranceMs = 100
const retry = { kind: "table", delaysMs: [3_600_000, 3_600_000], jitter: 0 }

const cleanups: Array<() => Promise<void> | void> = []
afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
})

/** Requests in flight to one address, which all but the farm keep within. */
const crowdMax = 32

let service: Service
const started = async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-hostile-"))
  const trusted = path.join(directory, "ca.pem")
  fs.writeFileSync(trusted, ca)
  const one = await makeService({
    env: {
      NODE_EXTRA_CA_CERTS: trusted,
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_OPTIONS: "--tls-min-v1.0 --tls-cipher-list=DEFAULT@SECLEVEL=0",
      POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS: String(crowdMax),
      POSTHASTE_MAX_IN_FLIGHT: "128"
    }
  })
  cleanups.push(() => fs.rmSync(directory, { recursive: true }), one.remove)
  await one.start()
  return one
}

/** Publishes a message and waits for the first attempt of its only delivery. */
const attempted = async (type: string, bytes = 0): Promise<Attempt> => {
  const { json: message } = await service.call("POST", "/v1/messages", {
    type,
    data: { text: "x".repeat(bytes) }
  })
  // Asked ever more rarely: what takes long is what waits for a deadline.
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 250)) {
    const { json } = await service.call("GET", `/v1/messages/${message.id}`)
    const [delivery] = json.deliveries
    if (delivery.attempts > 0) {
      const { json: attempts } = await service.call(
        "GET",
        `/v1/deliveries/${delivery.id}/attempts?include=body`
      )
      return (attempts.data ?? attempts)[0]
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

let types = 0
const webhook = async (url: string, fields: object = {}) => {
  const type = `hostile.n${++types}`
  const { json, status } = await service.call("POST", "/v1/webhooks", {
    url,
    eventTypes: [type],
    timeoutMs,
    retry,
    ...fields
  })
  assert.strictEqual(status, 201, JSON.stringify(json))
  return { id: json.id as string, type }
}

const meet = async (behaviour: Behaviour, scheme: "http" | "https"): Promise<Result> => {
  const { act, bytes, listening = {}, second } = behaviour
  const server = await open(act, {
    ...listening,
    secure: scheme === "https" ? (listening.secure ?? {}) : false
  })
  try {
    const url = new URL(server.url)
    url.hostname = behaviour.host ?? url.hostname
    const { type } = await webhook(url.href, { timeoutMs: behaviour.timeoutMs ?? timeoutMs })
    let attempts = second === undefined ? 1 : 2
    let first = await attempted(type, bytes)
    // A busy machine is late now and then; what is late because of us is so each time.
    const limit = (behaviour.timeoutMs ?? timeoutMs) + toleranceMs
    const isLeft = behaviour.leaves !== "exhausted"
    for (let left = 3; left > 0 && isLeft && first.durationMs > limit; left--) {
      first = await attempted(type, bytes)
      attempts++
    }
    return {
      first,
      second: second === undefined ? undefined : await attempted(type),
      requests: server.requests,
      bytesRead: server.bytesRead(),
      connections: server.connections(),
      attempts
    }
  } finally {
    server.close()
  }
}

const cases = behaviours.flatMap((behaviour) =>
  (["http", "https"] as const)
    .filter((scheme) => (behaviour.over ?? scheme) === scheme)
    .map((scheme) => ({ behaviour, scheme, name: `${behaviour.id} over ${scheme}: ` }))
)

const results = new Map<string, Result | Error>()
const keyOf = (index: number) => `case ${index}`

beforeAll(async () => {
  service = await started()
  const waiting = cases.map((one, index) => ({ ...one, index }))
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        const result = await meet(one.behaviour, one.scheme).catch((error: Error) => error)
        results.set(keyOf(one.index), result)
      }
    })
  )
}, 300_000)

describe("a receiver that", () => {
  for (const [index, { behaviour, name }] of cases.entries()) {
    const at = behaviour.host === undefined ? "" : ` at ${behaviour.host}`
    it(`${name}${behaviour.does}${at}, gives ${behaviour.class}`, () => {
      const result = results.get(keyOf(index))
      if (result === undefined || result instanceof Error) throw result ?? new Error("not met")
      const { first, requests } = result
      const said = JSON.stringify({ ...first, responseBody: first.responseBody?.slice(0, 80) })

      assert.strictEqual(first.class, behaviour.class, said)
      if (behaviour.statusCode !== undefined) {
        assert.strictEqual(first.statusCode, behaviour.statusCode, said)
      }
      if (behaviour.error !== undefined) assert.match(first.error ?? "", behaviour.error, said)
      else assert.isNull(first.error, said)
      if (behaviour.advice !== undefined) assert.match(first.advice ?? "", behaviour.advice, said)
      if (behaviour.getsNothing) assert.strictEqual(result.bytesRead, 0, said)
      if (behaviour.truncated !== undefined) {
        assert.strictEqual(first.responseTruncated, behaviour.truncated, said)
      }
      const { body } = behaviour
      if (typeof body === "string") assert.strictEqual(first.responseBody, body, said)
      else if (body !== undefined) assert.match(first.responseBody ?? "", body, said)
      if (behaviour.bodyEncoding !== undefined) {
        assert.strictEqual(first.responseBodyEncoding, behaviour.bodyEncoding, said)
      }
      const headers = Object.entries(first.responseHeaders ?? {})
      assert.isAtMost(headers.length, 50)
      assert.isAtMost(headers.join("").length, 8_192 + 50)

      const due = { delivered: "delivered", again: null, exhausted: "exhausted" }[behaviour.leaves]
      assert.strictEqual(first.settled, due, said)
      assert.strictEqual(first.nextAttemptAt !== null, behaviour.leaves === "again", said)

      const limit = behaviour.timeoutMs ?? timeoutMs
      assert.isAtMost(first.durationMs, limit + toleranceMs, said)
      const ends = behaviour.endsAtMs === "timeout" ? limit : behaviour.endsAtMs
      if (ends !== undefined) assert.isAtLeast(first.durationMs, ends - 1, said)

      // One request for one attempt, whatever happened to it; none where TLS came to nothing.
      assert.isAtMost(requests.length, result.attempts, said)
      for (const request of requests) assert.notMatch(request.head, /cookie|content-encoding/i)
      if (behaviour.second !== undefined) {
        assert.strictEqual(result.second?.class, behaviour.second.class, said)
        assert.strictEqual(result.connections, behaviour.second.connections, said)
        assert.lengthOf(requests, 2)
      }
    })
  }
})

describe("a receiver", () => {
  it("that nobody is, refuses (T-39)", async () => {
    const server = await open(() => {})
    server.close()
    const { type } = await webhook(server.url)
    const first = await attempted(type)
    assert.strictEqual(first.class, "refused")
    assert.isNull(first.settled)
  })

  it("that answers 410 is disabled (T-45)", async () => {
    const server = await open(({ write }) =>
      write("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
    )
    const { id, type } = await webhook(server.url)
    await attempted(type)
    const { json } = await service.call("GET", `/v1/webhooks/${id}`)
    assert.deepInclude(json, { status: "disabled", disabledReason: "gone" })
    server.close()
  })

  it("that names a time is left alone until then, in whatever form (T-46)", async () => {
    const now = new Date()
    const meetForm = async (status: number, cls: string, form: string, seconds: number) => {
      const server = await open(({ write }) =>
        write(`HTTP/1.1 ${status} Busy\r\nretry-after: ${form}\r\ncontent-length: 0\r\n\r\n`)
      )
      const { type } = await webhook(server.url)
      const first = await attempted(type)
      server.close()
      assert.strictEqual(first.class, cls, form)
      const waits = Date.parse(first.nextAttemptAt ?? "") - Date.parse(first.startedAt)
      // Its own schedule says an hour.
      assert.closeTo(waits / 1_000, Math.max(seconds, 3_600), 15, `${status} ${form}`)
    }
    await Promise.all(
      retryAfters(now).flatMap(([form, seconds]) => [
        meetForm(429, "status_429", form, seconds),
        meetForm(503, "status_5xx", form, seconds)
      ])
    )
  })

  it("that takes one connection at a time gets all, one after another (T-55)", async () => {
    let open_ = 0
    const server = await open(({ later, write }) => {
      open_++
      later(50 * open_, () => {
        open_--
        write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
      })
    })
    const { type } = await webhook(server.url)
    const attempts = await Promise.all(Array.from({ length: 20 }, () => attempted(type)))
    assert.isTrue(attempts.every((attempt) => attempt.settled === "delivered"))
    assert.isAtMost(server.openMost(), 10)
    server.close()
  })
})

describe("a farm of 300 webhooks at one address (T-56)", () => {
  it("gets no more at once than the bound, and nobody beside it waits", async () => {
    const tarpit = await open(() => {})
    const beside = await open(
      ({ write }) => write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
      { host: "127.0.0.2" }
    )
    const type = "tar.pit"
    for (let i = 0; i < 300; i += 25) {
      await Promise.all(
        Array.from({ length: 25 }, (_, j) =>
          service.call("POST", "/v1/webhooks", {
            url: `http://h${i + j}.localhost:${tarpit.port}/`,
            eventTypes: [type],
            timeoutMs: 1_500,
            retry
          })
        )
      )
    }
    const good = await webhook(beside.url)
    await service.call("POST", "/v1/messages", { type, data: 1 })
    while (tarpit.requests.length < crowdMax)
      await new Promise((resolve) => setTimeout(resolve, 10))
    const first = await attempted(good.type)
    assert.strictEqual(first.settled, "delivered")
    // The second round begins when the first has timed out.
    while (tarpit.requests.length < 2 * crowdMax)
      await new Promise((resolve) => setTimeout(resolve, 20))
    assert.isAtMost(tarpit.openMost(), crowdMax)
    tarpit.close()
    beside.close()
  })
})
