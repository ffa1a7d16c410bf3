/** What a server takes in at once, over real sockets, with answers that come when the test says so. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { IncomingMessage, type ServerResponse } from "node:http"
import * as net from "node:net"
import { afterEach } from "vitest"
import { Intake, type IntakeOptions } from "../../src/http/Intake.ts"
import { until } from "../support/Inbox.ts"

const cleanups: Array<() => void> = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

interface Taken {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** What was read of its body so far. */
  readonly body: () => string
}

/** Listens with bounds; what is handed on is kept until the test answers it. */
const listen = async (options: Partial<IntakeOptions> = {}) => {
  const taken: Array<Taken> = []
  let refused = 0
  let now = 0
  let pieces = 0
  class Counted extends IncomingMessage {
    override push(chunk: unknown, encoding?: BufferEncoding): boolean {
      if (chunk !== null) pieces++
      return super.push(chunk, encoding)
    }
  }
  const server = new Intake(
    { IncomingMessage: Counted },
    { onRefused: () => refused++, now: () => now, nextTurn: setImmediate, ...options }
  )
  server.on("request", (request, response) => {
    const bodies: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => bodies.push(chunk))
    taken.push({ request, response, body: () => Buffer.concat(bodies).toString("latin1") })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const connect = async () => {
    let received = ""
    const socket = net.connect(port, "127.0.0.1")
    cleanups.push(() => socket.destroy())
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => (received += chunk))
    socket.on("error", () => undefined)
    await once(socket, "connect")
    return {
      socket,
      statuses: () => [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      received: () => received
    }
  }
  const pass = (ms: number) => void (now += ms)
  return { connect, pass, server, taken, pieces: () => pieces, refused: () => refused }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`

describe("Intake", () => {
  it("takes 32 requests of a connection at once, and the others in their order as answers go out", async () => {
    const { connect, taken } = await listen()
    const { socket, statuses } = await connect()
    const count = 2_000
    for (let i = 0; i < count; i++) socket.write(post(`/${i}`, "x".repeat(1_000)))
    await until(() => taken.length === 32)
    const other = await connect()
    other.socket.write(get("/other"))
    await until(() => taken.length > 32)
    assert.strictEqual(taken.pop()?.request.url, "/other")
    assert.isBelow(taken[0]!.request.socket.bytesRead, 131_072)
    for (let next = 0; next < count; next++) {
      await until(() => taken.length > next)
      assert.isAtMost(taken.length - next, 32)
      const { request, response } = taken[next]!
      assert.strictEqual(request.url, `/${next}`)
      response.end("ok")
    }
    await until(() => statuses().length === count)
    assert.isTrue(statuses().every((status) => status === "200"))
  })

  it("refuses what is beyond its requests, unread, with a problem that says when to come back", async () => {
    const { connect, pass, refused, taken } = await listen({ requestsMax: 2 })
    const busy = await connect()
    busy.socket.write(get("/1") + get("/2"))
    await until(() => taken.length === 2)
    const other = await connect()
    other.socket.write(post("/3", "x".repeat(100_000)))
    await until(() => other.received().endsWith("}"))
    assert.strictEqual(refused(), 1)
    assert.lengthOf(taken, 2)
    const [head, body] = other.received().split("\r\n\r\n")
    assert.match(head!, /^HTTP\/1\.1 503 /)
    assert.match(head!, /^retry-after: 1$/m)
    assert.match(head!, /^content-type: application\/problem\+json$/m)
    const { requestId, ...problem } = JSON.parse(body!)
    assert.deepStrictEqual(problem, {
      type: "urn:posthaste:problem:overloaded",
      title: "Too much is asked at once; try again",
      status: 503,
      code: "overloaded",
      retryAfterSeconds: 1
    })
    assert.include(head!.split("\r\n"), `x-request-id: ${requestId}`)
    // The connection goes on, and there is room again.
    pass(1_000)
    taken[0]!.response.end()
    await until(() => busy.statuses().length === 1)
    other.socket.write(get("/4"))
    await until(() => taken.length === 3)
    assert.strictEqual(taken[2]!.request.url, "/4")
  })

  it("counts the bytes that bodies announce, or may have, and lets one larger request go alone", async () => {
    const { connect, refused, taken } = await listen({ bytesMax: 1_000, bodyBytesMax: 5_000 })
    const line = await connect()
    line.socket.write(post("/large", "x".repeat(2_000)))
    await until(() => taken.length === 1)
    const other = await connect()
    other.socket.write(post("/small", "x"))
    await until(() => refused() === 1)
    // What has no body is let in.
    other.socket.write(get("/bare"))
    await until(() => taken.length === 2)
    for (const { response } of taken) response.end()
    await until(() => line.statuses().length === 1 && other.statuses().length === 2)
    other.socket.write(post("/small", "x".repeat(900)))
    await until(() => taken.length === 3)
    line.socket.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    await until(() => refused() === 2)
  })

  it("reads on of one that was refused in a later turn", async () => {
    const turns: Array<() => void> = []
    const { connect, taken } = await listen({
      requestsMax: 1,
      nextTurn: (task) => turns.push(task)
    })
    const first = await connect()
    first.socket.write(get("/first"))
    await until(() => taken.length === 1)
    const refused = await connect()
    refused.socket.write(get("/refused"))
    await until(() => refused.statuses().length === 1)
    refused.socket.write(get("/again"))
    const other = await connect()
    other.socket.write(get("/other"))
    await until(() => other.statuses().length === 1)
    assert.deepStrictEqual(refused.statuses(), ["503"])
    turns.splice(0).forEach((task) => task())
    await until(() => refused.statuses().length === 2)
    assert.deepStrictEqual(refused.statuses(), ["503", "503"])
    assert.strictEqual(turns.length, 1)
  })

  it("takes no more than an eighth until a second after it refused", async () => {
    const { connect, pass, refused, taken } = await listen({ requestsMax: 16 })
    const { socket, statuses } = await connect()
    const ask = () => socket.write(get("/"))
    for (let i = 0; i < 17; i++) ask()
    await until(() => refused() === 1)
    assert.lengthOf(taken, 16)
    for (const { response } of taken.splice(0)) response.end()
    await until(() => statuses().length === 17)
    for (let i = 0; i < 3; i++) ask()
    await until(() => refused() === 2)
    assert.lengthOf(taken, 2)
    pass(999)
    ask()
    await until(() => refused() === 3)
    pass(1_000)
    ask()
    await until(() => taken.length === 3)
  })

  it("takes no more than an eighth of the bytes until a second after it refused", async () => {
    const { connect, pass, refused, taken } = await listen({ bytesMax: 8_000 })
    const { socket, statuses } = await connect()
    const send = () => socket.write(post("/", "x".repeat(1_000)))
    for (let i = 0; i < 9; i++) send()
    await until(() => refused() === 1)
    assert.lengthOf(taken, 8)
    for (const { response } of taken.splice(0)) response.end()
    await until(() => statuses().length === 9)
    send()
    send()
    await until(() => refused() === 2)
    assert.lengthOf(taken, 1)
    pass(1_000)
    send()
    await until(() => taken.length === 2)
  })

  it("reads what follows a body that it threw away, whole", async () => {
    const { connect, pass, refused, taken } = await listen({ requestsMax: 1 })
    const busy = await connect()
    busy.socket.write(get("/busy"))
    await until(() => taken.length === 1)
    const other = await connect()
    const large = "x".repeat(300_000)
    other.socket.write(post("/refused", large))
    other.socket.write(
      `POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n` +
        `${(300_000).toString(16)}\r\n${large}\r\n0\r\n\r\n`
    )
    await until(() => refused() === 2)
    pass(1_000)
    taken[0]!.response.end()
    await until(() => busy.statuses().length === 1)
    other.socket.write(post("/taken", "y".repeat(200_000)))
    await until(() => taken.length === 2 && taken[1]!.request.complete)
    assert.strictEqual(taken[1]!.request.url, "/taken")
    assert.strictEqual(taken[1]!.body(), "y".repeat(200_000))
  })

  it("reads the bodies of others whole after a connection was lost within one that it threw away", async () => {
    const { connect, pass, refused, taken } = await listen({ requestsMax: 1 })
    const busy = await connect()
    busy.socket.write(get("/busy"))
    await until(() => taken.length === 1)
    const count = 20
    for (let i = 0; i < count; i++) {
      const lost = await connect()
      lost.socket.write(post("/lost", "x".repeat(100_000)).slice(0, 50_000))
      await until(() => refused() === i + 1)
      lost.socket.destroy()
    }
    taken[0]!.response.end()
    await until(() => busy.statuses().length === 1)
    for (let i = 1; i <= count; i++) {
      pass(1_000)
      const next = await connect()
      next.socket.write(post("/next", "z".repeat(100_000)))
      await until(() => taken.length === i + 1 && taken[i]!.request.complete)
      assert.strictEqual(taken[i]!.body().length, 100_000)
      taken[i]!.response.end()
      await until(() => next.statuses().length === 1)
    }
  })

  it("makes no copy of a body that it throws away", async () => {
    const { connect, pieces, refused, taken } = await listen({ requestsMax: 1 })
    const busy = await connect()
    busy.socket.write(post("/busy", "x"))
    await until(() => taken.length === 1 && taken[0]!.request.complete)
    assert.strictEqual(pieces(), 1)
    const other = await connect()
    for (let i = 1; i <= 3; i++) {
      other.socket.write(post("/refused", "x".repeat(1_000_000)))
      await until(() => refused() === i)
    }
    assert.strictEqual(pieces(), 1)
  })

  it("answers whoever asks after health although it is full", async () => {
    const { connect, taken } = await listen({ requestsMax: 1 })
    const { socket } = await connect()
    socket.write(get("/1"))
    await until(() => taken.length === 1)
    const other = await connect()
    other.socket.write(get("/health/live"))
    await until(() => taken.length === 2)
  })

  it("makes room for what a lost connection had in progress, and drops what waited on it", async () => {
    const { connect, refused, taken } = await listen({ requestsMax: 40 })
    const lost = await connect()
    for (let i = 0; i < 40; i++) lost.socket.write(get(`/${i}`))
    await until(() => taken.length === 32)
    let closed = 0
    for (const { response } of taken) response.once("close", () => closed++)
    lost.socket.destroy()
    // Nobody looks at a connection that is not read from, until something is written to it.
    for (const { response } of taken.slice(0, 2)) response.end()
    await until(() => closed === 32)
    const before = taken.length
    const other = await connect()
    for (let i = 0; i < 32; i++) other.socket.write(get(`/other/${i}`))
    const another = await connect()
    for (let i = 0; i < 8; i++) another.socket.write(get(`/other/${i}`))
    await until(() => taken.length === before + 40)
    assert.strictEqual(refused(), 0)
    assert.isTrue(taken.slice(before).every(({ request }) => request.url!.startsWith("/other/")))
  })

  it("closes connections beyond its bound", async () => {
    const { connect, server, taken } = await listen({ connectionsMax: 2 })
    const first = await connect()
    await connect()
    await until(
      async () =>
        (await new Promise<number>((resolve) => server.getConnections((_, n) => resolve(n)))) === 2
    )
    const third = await connect()
    await once(third.socket, "close")
    first.socket.write(get("/"))
    await until(() => taken.length === 1)
  })
})
