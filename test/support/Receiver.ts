/**
 * A real HTTP receiver on loopback, whose answers a test scripts: good ones, slow ones and broken
 * ones. It writes down each request with the exact bytes of its body.
 *
 * Requests are answered one after another from the script; its last answer is given for ever.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo, Socket } from "node:net"

/** A request that arrived whole. */
export interface Received {
  readonly method: string
  /** Path and query as they stood in the request line. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Uint8Array
  /** Which connection it came on: 1 for the first that was accepted. */
  readonly connection: number
}

/** Writes an answer, or does something else with the connection. */
export type Answer = (exchange: {
  readonly request: Received
  readonly response: Http.ServerResponse
  readonly socket: Socket
  /** Repeats an action until the connection closes. */
  readonly every: (intervalMs: number, action: () => void) => void
}) => void

/** A receiver that runs until its scope closes. */
export interface Receiver {
  readonly port: number
  /** `http://127.0.0.1:<port>`, or `https:` where it has a certificate. */
  readonly url: string
  /** Scripts the answers to the requests that follow. */
  readonly answers: (...script: readonly [Answer, ...ReadonlyArray<Answer>]) => void
  /** All requests that arrived so far. */
  readonly requests: ReadonlyArray<Received>
  /** Waits for the next request that nobody took. */
  readonly take: Effect.Effect<Received>
  /** How many connections were accepted so far. */
  readonly accepted: () => number
  /** Waits until no connection is open. */
  readonly closed: Effect.Effect<void>
  /** Closes the connections that are open, without an answer. */
  readonly hangUp: () => void
}

/** Answers with a status. */
export const reply =
  (
    status: number,
    options: {
      readonly headers?: Http.OutgoingHttpHeaders
      readonly body?: string | Uint8Array
      readonly delayMs?: number
    } = {}
  ): Answer =>
  ({ response }) => {
    const write = () => response.writeHead(status, options.headers).end(options.body)
    if (options.delayMs === undefined) write()
    else setTimeout(write, options.delayMs)
  }

/** Never answers. */
export const never: Answer = () => {}

/** Resets the connection instead of answering. */
export const reset: Answer = ({ socket }) => socket.resetAndDestroy()

/** Writes bytes as they are, then keeps the connection, ends it or resets it. */
export const raw =
  (bytes: string | Uint8Array, then: "keep" | "end" | "reset" = "keep"): Answer =>
  ({ response, socket }) => {
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () => {
      // The server answers the next request on this connection only after this one's response.
      if (then === "keep") response.emit("finish")
      if (then === "end") socket.end()
      // A reset that overtakes the bytes would be another answer, so they get a head start.
      if (then === "reset") setTimeout(() => socket.resetAndDestroy(), 20)
    })
  }

/** Writes a beginning, then one piece after another until the connection closes. */
export const drip =
  (beginning: string, piece: string, intervalMs: number): Answer =>
  ({ socket, every }) => {
    socket.write(Buffer.from(beginning, "latin1"))
    every(intervalMs, () => socket.write(Buffer.from(piece, "latin1")))
  }

/** Writes a beginning, then the same piece as fast as it is read, until the connection closes. */
export const flood =
  (beginning: string, piece: Uint8Array): Answer =>
  ({ socket }) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(piece)) continue
    }
    socket.write(Buffer.from(beginning, "latin1"))
    socket.on("drain", pour)
    pour()
  }

/** Starts a receiver that answers 200 until told otherwise. */
export const make = (
  options: {
    /** With `ca` it wants a client certificate from that authority. */
    readonly certificate?: { readonly key: string; readonly cert: string; readonly ca?: string }
  } = {}
): Effect.Effect<Receiver, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { certificate } = options
    const taken = yield* Queue.unbounded<Received>()
    const requests: Array<Received> = []
    const open = new Map<Socket, number>()
    let accepted = 0
    let script: ReadonlyArray<Answer> = [reply(200)]
    let onClosed: Array<() => void> = []

    const listener: Http.RequestListener = (request, response) => {
      const { socket } = request
      const chunks: Array<Buffer> = []
      request.on("error", ignore)
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const received: Received = {
          method: request.method ?? "",
          path: request.url ?? "",
          headers: request.headers,
          body: new Uint8Array(Buffer.concat(chunks)),
          connection: open.get(socket) ?? 0
        }
        const [answer = never, ...rest] = script
        if (rest.length > 0) script = rest
        requests.push(received)
        Queue.offerUnsafe(taken, received)
        answer({
          request: received,
          response,
          socket,
          every: (intervalMs, action) => {
            const timer = setInterval(action, intervalMs)
            socket.once("close", () => clearInterval(timer))
          }
        })
      })
    }
    const server =
      certificate === undefined
        ? Http.createServer(listener)
        : Https.createServer({ ...certificate, requestCert: certificate.ca !== undefined })
    if (certificate !== undefined) server.on("request", listener)
    // A receiver that closes idle connections by itself would be another script.
    server.keepAliveTimeout = 0
    server.requestTimeout = 0
    server.on(certificate === undefined ? "connection" : "secureConnection", (socket: Socket) => {
      open.set(socket, ++accepted)
      socket.on("error", ignore)
      socket.on("close", () => {
        open.delete(socket)
        if (open.size > 0) return
        for (const resume of onClosed) resume()
        onClosed = []
      })
    })
    server.on("clientError", (_error, socket) => socket.destroy())

    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
          for (const socket of open.keys()) socket.destroy()
        })
    )
    // A server that listens on TCP has an AddressInfo, not the path of a pipe.
    const { port } = server.address() as AddressInfo
    return {
      port,
      url: `${certificate === undefined ? "http" : "https"}://127.0.0.1:${port}`,
      answers: (...next) => {
        script = next
      },
      requests,
      take: Queue.take(taken),
      accepted: () => accepted,
      closed: Effect.callback<void>((resume) => {
        if (open.size === 0) resume(Effect.void)
        else onClosed.push(() => resume(Effect.void))
      }),
      hangUp: () => {
        for (const socket of open.keys()) socket.destroy()
      }
    }
  })

const ignore = (): void => {}
