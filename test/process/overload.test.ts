/**
 * The door of the service under abuse: more than it can take, clients that are slow on purpose, and
 * bytes that are meant to be misread. Real time and real sockets.
 */
import * as http from "node:http"
import * as net from "node:net"
import { assert, describe, it } from "vitest"
import { borrowing } from "../support/Borrowing.ts"
import { flood } from "../support/Flood.ts"
import { until } from "../support/Inbox.ts"
import { startPostgres } from "../support/Postgres.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, residentBytes, type Service } from "../support/Service.ts"

const { atEnd, prepared } = borrowing()

let running: Promise<Service> | undefined

/** One service stands all of it. */
const started = (): Promise<Service> => (running ??= start())

const start = async () => {
  const service = await prepared()
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

  it("reads no more of one connection than it answers, however much is sent on it", async () => {
    const service = await started()
    const data = "x".repeat(10_000)
    const publish = JSON.stringify({ type: "pipeline.test", data })
    const request =
      `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${adminKey}\r\n` +
      `content-type: application/json\r\ncontent-length: ${publish.length}\r\n\r\n${publish}`
    const count = scaled(3_000, 30_000)
    const before = residentBytes(service.pid())
    const memory = watchMemory(service)
    let accepted = 0
    const socket = net.connect(portOf(service.baseUrl), "127.0.0.1")
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => (accepted += chunk.split("HTTP/1.1 202 ").length - 1))
    for (let i = 0; i < count; i++) socket.write(request)
    await until(() => accepted === count || socket.closed)
    socket.destroy()
    const peak = memory.end()
    console.log(
      `pipelined: ${accepted} of ${count} accepted, RSS ${mib(before)} before, ${mib(peak)} at most`
    )
    assert.strictEqual(accepted, count)
    assert.isBelow(peak, memoryMax)
  }, 300_000)
})

describe("the service that is offered ten times what it can take", () => {
  it("refuses the rest, holds its memory, and delivers all that it accepted", async () => {
    const postgres = await startPostgres()
    atEnd(postgres.stop)
    const service = await prepared({ databaseUrl: postgres.url })
    await service.start()
    const receiver = await openTally()
    atEnd(receiver.close)
    await service.call("POST", "/v1/webhooks", { url: receiver.url, concurrency: 256 })
    const plan = {
      port: portOf(service.baseUrl),
      path: "/v1/messages",
      key: adminKey,
      body: JSON.stringify({ type: "load.test", data: "x".repeat(64_000) })
    }
    // As many as it takes where each waits for its turn.
    const measured = await flood({
      ...plan,
      connections: 64,
      pipelined: 1,
      perSecond: 100_000,
      lastsMs: scaled(1_500, 10_000)
    })
    assert.deepStrictEqual(measured.wrong, [])
    const capacity = (measured.accepted.length / measured.lastedMs) * 1_000
    const memory = watchMemory(service)
    // What is sent behind a request that is under way waits for its answer, not for the service; and of
    // more than the kernel holds for both sides it loses some.
    const crowd = { connections: 3_000, pipelined: 1 }
    const flooded = await flood({
      ...plan,
      ...crowd,
      perSecond: Math.ceil(capacity * 10),
      lastsMs: scaled(3_000, 60_000)
    })
    const healthy = await healthMs(service.baseUrl)
    // Ten times as many of this size are more than a small machine reads while it also sends them: then
    // they wait in front of the service. Half of that it reads as it comes, so this is what refusing takes.
    const half = await flood({
      ...plan,
      ...crowd,
      perSecond: Math.ceil(capacity * 5),
      // Not as long as a connection may be open before anything is asked on it.
      lastsMs: scaled(3_000, 8_000)
    })
    const metrics = await fetch(`${service.baseUrl}/metrics`).then((response) => response.text())
    const unread = Number(/^posthaste_http_request_refused_total (\d+)$/m.exec(metrics)?.[1])
    const accepted = [...measured.accepted, ...flooded.accepted, ...half.accepted]
    await until(() => accepted.every((id) => receiver.ids.has(id)))
    const peak = memory.end()
    const { late, refusedMs, sent, wrong } = flooded
    console.log(
      `10 x overload: took ${capacity.toFixed(0)}/s, was offered ` +
        `${((sent / flooded.lastedMs) * 1_000).toFixed(0)}/s of 64 KB for ` +
        `${(flooded.lastedMs / 1_000).toFixed(0)} s (${late} late); ${flooded.accepted.length} accepted ` +
        `(p50 ${at(flooded.acceptedMs, 0.5)} ms, p99 ${at(flooded.acceptedMs, 0.99)} ms) and delivered, ` +
        `${refusedMs.length} refused (p50 ${at(refusedMs, 0.5)} ms, p99 ${at(refusedMs, 0.99)} ms), ` +
        `RSS ${mib(peak)} at most`
    )
    console.log(
      `5 x overload: was offered ${((half.sent / half.lastedMs) * 1_000).toFixed(0)}/s for ` +
        `${(half.lastedMs / 1_000).toFixed(0)} s (${half.late} late); ${half.accepted.length} accepted ` +
        `(p50 ${at(half.acceptedMs, 0.5)} ms, p99 ${at(half.acceptedMs, 0.99)} ms), ` +
        `${half.refusedMs.length} refused (p50 ${at(half.refusedMs, 0.5)} ms, ` +
        `p99 ${at(half.refusedMs, 0.99)} ms)`
    )
    assert.deepStrictEqual(wrong, [])
    assert.deepStrictEqual(half.wrong, [])
    assert.isBelow(Number(at(half.refusedMs, 0.5)), 100, "milliseconds to half of the refusals")
    assert.isBelow(Number(at(half.refusedMs, 0.99)), 500, "milliseconds to nearly all refusals")
    // What is late no connection had room for: the service reads as fast as it can refuse.
    assert.isAtLeast(
      sent,
      (3 * capacity * flooded.lastedMs) / 1_000,
      "requests were really offered"
    )
    assert.strictEqual(flooded.accepted.length + refusedMs.length, sent)
    const goodput = (flooded.accepted.length / flooded.lastedMs) * 1_000
    assert.isAbove(goodput, 0.1 * capacity, "of its capacity is still taken")
    assert.isAbove(unread, 0)
    const refused = refusedMs.length + measured.refusedMs.length + half.refusedMs.length
    assert.isAtMost(unread, refused)
    assert.isBelow(peak, memoryMax)
    assert.isBelow(healthy, 1_000)
  }, 600_000)
})

/** Resident memory that no load may take a service beyond. */
const memoryMax = 768 * 1_048_576

/** Reads the memory of a service now and then; `end` answers the most. */
const watchMemory = (service: Service) => {
  let peak = 0
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(service.pid()))
  }, 50)
  return {
    end: () => {
      clearInterval(timer)
      return peak
    }
  }
}

/** Starts a receiver that keeps the ids of what it is sent, and nothing else. */
const openTally = async () => {
  const ids = new Set<string>()
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      ids.add(String(request.headers["webhook-id"]))
      response.writeHead(204).end()
    })
  })
  const url = await new Promise<string>((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(`http://127.0.0.1:${typeof address === "object" ? address?.port : address}`)
    })
  )
  return {
    ids,
    url,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** A percentile, in whole milliseconds. */
const at = (all: ReadonlyArray<number>, share: number): string => {
  const sorted = all.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0)
}

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
