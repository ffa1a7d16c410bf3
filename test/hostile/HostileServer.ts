/**
 * Receivers that misbehave below HTTP: each is a TCP or TLS server of its own, and a function says
 * byte by byte what it does with a request.
 */
import { once } from "node:events"
import * as net from "node:net"
import * as tls from "node:tls"
import { certificates } from "./Certificates.ts"

/** A request as it came, and the connection it came on. */
export interface Exchange {
  readonly socket: net.Socket
  /** The TCP socket that carries it: the same one, or the one below TLS. */
  readonly below: net.Socket
  /** Resets the connection. */
  readonly reset: () => void
  /** Request line and headers. */
  readonly head: string
  readonly body: Buffer
  /** 1 for the server's first request. */
  readonly number: number
  readonly write: (text: string | Buffer) => void
  /** Repeats an action until the connection closes. */
  readonly every: (ms: number, action: () => void) => void
  /** Does something later, unless the connection is closed then. */
  readonly later: (ms: number, action: () => void) => void
}

/** What a server does with each request. */
export type Act = (exchange: Exchange) => void

/** A running hostile server. */
export interface HostileServer {
  readonly url: string
  readonly port: number
  readonly requests: ReadonlyArray<{ readonly head: string; readonly body: Buffer }>
  /** Bytes that were read so far, within TLS where there is TLS. */
  readonly bytesRead: () => number
  /** Connections accepted so far. */
  readonly connections: () => number
  /** The most requests that were open at once. */
  readonly openMost: () => number
  readonly close: () => void
}

/** How a server listens. */
export interface Listening {
  /** TLS with these options, and a trusted certificate where they name none. */
  readonly secure?: tls.TlsOptions | false
  /** Takes the place of reading requests: gets each connection as it is accepted, before TLS. */
  readonly raw?: (socket: net.Socket) => void
  /** Called with the head alone, before the body is read, instead of with the whole request. */
  readonly early?: boolean
  readonly host?: string
}

/** Starts a server on a free port. */
export const open = async (act: Act, listening: Listening = {}): Promise<HostileServer> => {
  const { early = false, host = "127.0.0.1", raw, secure = false } = listening
  const requests: Array<{ head: string; body: Buffer }> = []
  const sockets = new Set<net.Socket>()
  let bytesRead = 0
  let connections = 0
  let openNow = 0
  let openMost = 0

  const serve = (socket: net.Socket, below = socket) => {
    let pending = Buffer.alloc(0)
    let mine = 0
    socket.on("error", () => {})
    socket.on("close", () => {
      openNow -= mine
    })
    socket.on("data", (chunk) => {
      bytesRead += chunk.length
      pending = Buffer.concat([pending, chunk])
      while (true) {
        const at = pending.indexOf("\r\n\r\n")
        if (at < 0) return
        const head = pending.toString("latin1", 0, at)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (!early && pending.length < at + 4 + length) return
        const body = pending.subarray(at + 4, at + 4 + length)
        pending = early ? Buffer.alloc(0) : pending.subarray(at + 4 + length)
        requests.push({ head, body })
        // The first byte of an answer ends a request for this count, or the end of its connection.
        mine++
        openMost = Math.max(openMost, ++openNow)
        let isAnswered = false
        const answered = () => {
          if (isAnswered) return
          isAnswered = true
          mine--
          openNow--
        }
        act({
          socket,
          below,
          reset: () => void below.resetAndDestroy(),
          head,
          body,
          number: requests.length,
          write: (text) => {
            answered()
            socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text)
          },
          every: (ms, action) => {
            const timer = setInterval(action, ms)
            socket.once("close", () => clearInterval(timer))
          },
          later: (ms, action) => {
            const timer = setTimeout(action, ms)
            socket.once("close", () => clearTimeout(timer))
          }
        })
      }
    })
  }

  // TLS ends in a server behind this one, so that what goes on below TLS can be tampered with.
  const below = new Map<number, net.Socket>()
  const inner =
    secure === false
      ? undefined
      : tls.createServer({ ...certificates.trusted, ...secure }, (socket) =>
          serve(socket, below.get(socket.remotePort ?? 0))
        )
  inner?.on("tlsClientError", () => {})
  const front = (socket: net.Socket) => {
    const address = inner?.address()
    if (address === undefined || address === null || typeof address === "string") return
    const through = net.connect({ port: address.port, host: "127.0.0.1", noDelay: true }, () => {
      const { localPort = 0 } = through
      below.set(localPort, socket)
      through.once("close", () => below.delete(localPort))
      socket.pipe(through).pipe(socket)
    })
    sockets.add(through)
    through.on("error", () => {}).on("close", () => sockets.delete(through))
    socket.on("close", () => through.destroy())
  }
  const server = net.createServer(
    { noDelay: true },
    raw ?? (inner === undefined ? (socket) => serve(socket) : front)
  )
  server.on("connection", (socket: net.Socket) => {
    connections++
    sockets.add(socket)
    socket.on("error", () => {}).on("close", () => sockets.delete(socket))
  })
  if (inner !== undefined) {
    inner.listen(0, "127.0.0.1")
    await once(inner, "listening")
  }
  server.listen(0, host)
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  return {
    url: `${secure === false ? "http" : "https"}://${host}:${port}/`,
    port,
    requests,
    bytesRead: () => bytesRead,
    connections: () => connections,
    openMost: () => openMost,
    close: () => {
      server.close()
      inner?.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}
