/**
 * The door of the service under abuse: more than it can take, clients that are slow on purpose, and
 * bytes that are meant to be misread. Real time and real sockets.
 */
import * as net from "node:net"
import { afterAll, assert, describe, it } from "vitest"
import { openInbox, until } from "../support/Inbox.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, makeService, residentBytes, type Service } from "../support/Service.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
})

let running: Promise<Service> | undefined

/** One service stands all of it. */
const started = (): Promise<Service> => (running ??= start())

const start = async () => {
  const service = await makeService()
  cleanups.push(service.remove)
  await service.start()
  return service
}

const portOf = (baseUrl: string) => Number(new URL(baseUrl).port)

/** Writes bytes on a new connection and answers all that comes until it closes. */
const raw = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    let received = ""
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text, "latin1"))
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => (received += chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => resolve(received))
  })

const healthMs = async (baseUrl: string): Promise<number> => {
  const begun = performance.now()
  const response = await fetch(`${baseUrl}/health/live`)
  await response.arrayBuffer()
  assert.strictEqual(response.status, 200)
  return performance.now() - begun
}

describe("the door of the service", () => {
  it("answers health in time beside 1,000 connections that send a byte now and then", async () => {
    const service = await started()
    const port = portOf(service.baseUrl)
    const count = scaled(200, 1_000)
    const sockets = Array.from({ length: count }, () => {
      const socket = net.connect(port, "127.0.0.1", () =>
        socket.write("POST /v1/messages HTTP/1.1\r\n")
      )
      socket.on("error", () => undefined)
      return socket
    })
    let closed = 0
    sockets.forEach((socket) => socket.on("close", () => closed++))
    await until(() => sockets.every((socket) => !socket.connecting))
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write("x-a: b\r\n")
    }, 1_000)
    const taken: Array<number> = []
    for (let i = 0; i < 40; i++) taken.push(await healthMs(service.baseUrl))
    taken.sort((a, b) => a - b)
    console.log(
      `health beside ${count} slow connections: p50 ${taken[20]!.toFixed(1)} ms, ` +
        `p95 ${taken[37]!.toFixed(1)} ms`
    )
    assert.isBelow(taken[37]!, 100)
    // All are cut off, although each of them keeps sending.
    await until(() => closed === count)
    clearInterval(drip)
    assert.isBelow(await healthMs(service.baseUrl), 1_000)
  }, 120_000)

  it("misreads no request that says its length twice, and none after it", async () => {
    const service = await started()
    const port = portOf(service.baseUrl)
    const head = `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${adminKey}\r\ncontent-type: application/json\r\n`
    const smuggled = `POST /v1/webhooks HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${adminKey}\r\ncontent-type: application/json\r\ncontent-length: 31\r\n\r\n{"url":"http://127.0.0.1:9/x"}\n`
    for (const lengths of [
      "content-length: 5\r\ntransfer-encoding: chunked\r\n",
      "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
      "content-length: 5\r\ncontent-length: 6\r\n",
      "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
      "transfer-encoding: xchunked\r\n",
      "transfer-encoding : chunked\r\n",
      "transfer-encoding:\x0bchunked\r\n",
      "content-length: +5\r\n",
      "content-length: 0x5\r\n",
      "content-length: 5, 5\r\n",
      " content-length: 5\r\n"
    ]) {
      const answers = await raw(port, `${head}${lengths}\r\n0\r\n\r\n${smuggled}`)
      assert.match(answers, /^HTTP\/1\.1 4\d\d /, lengths)
      assert.include(answers, "application/problem+json", lengths)
      assert.strictEqual(answers.match(/^HTTP\/1\.1 /gm)?.length, 1, lengths)
    }
    const { json } = await service.call("GET", "/v1/webhooks")
    assert.deepStrictEqual(json.data, [])
  })

  it("lives on after bodies that are nested 100,000 deep or larger than the limit", async () => {
    const service = await started()
    const depth = 100_000
    for (const [body, status] of [
      [`{"type":"a.b","data":${"[".repeat(depth)}${"]".repeat(depth)}}`, 400],
      [`{"type":"a.b","data":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`, 400],
      [`{"type":"a.b","data":"${"x".repeat(2_000_000)}"}`, 413]
    ] as const) {
      const response = await fetch(`${service.baseUrl}/v1/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
        body
      })
      assert.strictEqual(response.status, status)
      await response.arrayBuffer()
    }
    const { status } = await service.call("POST", "/v1/messages", { type: "a.b", data: 1 })
    assert.strictEqual(status, 202)
  })

  it("takes what it can of far more than it can take, delivers that, and says when to come back", async () => {
    const receiver = await openInbox()
    cleanups.push(receiver.close)
    const service = await started()
    await service.call("POST", "/v1/webhooks", { url: receiver.url, concurrency: 64 })
    const data = "x".repeat(8_000)
    const accepted = new Set<string>()
    const refusals = new Map<number, number>()
    const endsAt = performance.now() + scaled(3_000, 60_000)
    let broken = 0
    let peak = 0
    // Every client asks again as soon as it is answered, however it is answered.
    const client = async () => {
      while (performance.now() < endsAt) {
        try {
          const response = await fetch(`${service.baseUrl}/v1/messages`, {
            method: "POST",
            headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
            body: JSON.stringify({ type: "load.test", data })
          })
          const text = await response.text()
          if (response.status === 202) accepted.add(JSON.parse(text).id)
          else {
            refusals.set(response.status, (refusals.get(response.status) ?? 0) + 1)
            assert.include([429, 503], response.status, text)
            assert.match(response.headers.get("retry-after") ?? "", /^\d+$/)
            assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
          }
        } catch (error) {
          if (error instanceof TypeError) broken++
          else throw error
        }
      }
    }
    const before = residentBytes(service.pid())
    const watch = setInterval(() => {
      peak = Math.max(peak, residentBytes(service.pid()))
    }, 100)
    await Promise.all(Array.from({ length: scaled(100, 400) }, client))
    await until(() => [...accepted].every((id) => receiver.ids.has(id)))
    clearInterval(watch)
    console.log(
      `overload: ${accepted.size} accepted and delivered, refused ${JSON.stringify([...refusals])}, ` +
        `${broken} connections broken, RSS ${mib(before)} before, ${mib(peak)} at most`
    )
    assert.isAbove(accepted.size, 0)
    assert.strictEqual(broken, 0)
    assert.isBelow(peak, 1_000 * 1_048_576)
    assert.isBelow(await healthMs(service.baseUrl), 1_000)
  }, 300_000)

  it("refuses what comes faster than it can be written, and says when to come back", async () => {
    const receiver = await openInbox()
    cleanups.push(receiver.close)
    const service = await started()
    await service.call("POST", "/v1/webhooks", {
      url: receiver.url,
      eventTypes: ["flood.test"],
      concurrency: 256
    })
    const before = residentBytes(service.pid())
    let peak = 0
    const watch = setInterval(() => {
      peak = Math.max(peak, residentBytes(service.pid()))
    }, 100)
    const flood = await offer({
      port: portOf(service.baseUrl),
      connections: 900,
      perSecond: 10_000,
      lastsMs: scaled(1_500, 60_000),
      body: JSON.stringify({ type: "flood.test", data: "x".repeat(100_000) })
    })
    await until(() => flood.accepted.every((id) => receiver.ids.has(id)))
    clearInterval(watch)
    const refusedMs = flood.refusedMs.toSorted((a, b) => a - b)
    const p99 = refusedMs[Math.floor(refusedMs.length * 0.99)] ?? 0
    console.log(
      `flood: ${flood.sent} sent, ${flood.accepted.length} accepted and delivered, ` +
        `${refusedMs.length} refused (p50 ${refusedMs[refusedMs.length >> 1]?.toFixed(0)} ms, ` +
        `p99 ${p99.toFixed(0)} ms), RSS ${mib(before)} before, ${mib(peak)} at most`
    )
    assert.isAbove(flood.accepted.length, 0)
    assert.isAbove(refusedMs.length, 0)
    assert.strictEqual(flood.accepted.length + refusedMs.length, flood.sent)
    assert.isBelow(peak, 1_000 * 1_048_576)
    assert.isBelow(await healthMs(service.baseUrl), 1_000)
  }, 300_000)
})

/** A load that is due at a rate, over more connections than a service can keep waiting. */
interface Offer {
  readonly port: number
  readonly connections: number
  readonly perSecond: number
  readonly lastsMs: number
  readonly body: string
}

/** Sends requests as they fall due, each on a connection that waits for no answer, and reads every answer. */
const offer = async ({ body, connections, lastsMs, perSecond, port }: Offer) => {
  const request = Buffer.from(
    `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${adminKey}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
  const accepted: Array<string> = []
  const refusedMs: Array<number> = []
  const broken: Array<string> = []
  let sent = 0
  const lines = Array.from({ length: connections }, () => {
    const sentAt: Array<number> = []
    let received = ""
    const socket = net.connect(port, "127.0.0.1")
    socket.setEncoding("latin1")
    socket.on("error", (error) => broken.push(String(error)))
    socket.on("data", (chunk: string) => {
      received += chunk
      while (true) {
        const end = received.indexOf("\r\n\r\n")
        const length = Number(/content-length: (\d+)/i.exec(received.slice(0, end))?.[1])
        if (end === -1 || received.length < end + 4 + length) return
        const head = received.slice(0, end)
        const text = received.slice(end + 4, end + 4 + length)
        received = received.slice(end + 4 + length)
        const at = sentAt.shift()
        if (head.startsWith("HTTP/1.1 202 ")) accepted.push(JSON.parse(text).id)
        else if (/^HTTP\/1\.1 (?:429|503) /.test(head) && /\r\nretry-after: \d+/i.test(head)) {
          refusedMs.push(performance.now() - (at ?? 0))
        } else broken.push(`${head}${text}`.slice(0, 300))
      }
    })
    return { socket, sentAt }
  })
  await until(() => lines.every(({ socket }) => !socket.connecting))
  const begunAt = performance.now()
  for (let due = 0; performance.now() < begunAt + lastsMs; due = await later(begunAt, perSecond)) {
    while (sent < due) {
      const open = lines.filter(({ sentAt }) => sentAt.length === 0)
      if (open.length === 0) break
      for (const { sentAt, socket } of open) {
        sentAt.push(performance.now())
        socket.write(request)
        sent++
      }
    }
  }
  await until(() => broken.length > 0 || lines.every(({ sentAt }) => sentAt.length === 0))
  assert.deepStrictEqual(broken, [])
  for (const { socket } of lines) socket.destroy()
  return { sent, accepted, refusedMs }
}

/** Lets others come in, and answers how many requests are due by then. */
const later = async (begunAt: number, perSecond: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 5))
  return ((performance.now() - begunAt) / 1_000) * perSecond
}

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
