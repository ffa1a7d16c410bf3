/**
 * Bounds what a server takes in at once, where a request costs no more than its headers: before a body
 * is read, a key is looked up or a fiber is made.
 *
 * ```
 * connection ──► in progress ──► answered
 *        │           └ too many over all connections: 503 with Retry-After, at once; the rest of
 *        │             the request is thrown away, and the connection read on when it is its turn
 *        └ 32 of this one: no more is read from it, and what was read with them waits its turn
 * ```
 *
 * A crowd that comes once is taken in whole, up to the bounds. While more comes than can be done, what
 * was taken in would only wait, for itself and before everybody: then an eighth of the bounds is enough,
 * and turns of the event loop stay short, on which also refusals wait.
 *
 * Leaves to others: what a request may do (the API), and connections that are too slow (Node).
 */
import { randomUUID } from "node:crypto"
import { IncomingMessage, Server, type ServerOptions, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { discard } from "./Unread.ts"

/** The bounds of an intake. */
export interface IntakeOptions {
  /** Connections at once; those beyond are closed unread. 4,096 by default. */
  readonly connectionsMax?: number | undefined
  /** Requests in progress at once. 1,024 by default; an eighth of it until a second after a refusal. */
  readonly requestsMax?: number | undefined
  /**
   * Bytes of their bodies, as announced, except that one larger request goes alone. 32 MiB by default; an
   * eighth of it until a second after a refusal.
   */
  readonly bytesMax?: number | undefined
  /** What a body without an announced length counts as, and a longer one: 256 KiB by default. */
  readonly bodyBytesMax?: number | undefined
  /** Called for every request that is refused. */
  readonly onRefused?: () => void
  /** Milliseconds of a clock that nobody puts forward. */
  readonly now: () => number
  /** Runs a task in the next turn of the event loop. */
  readonly nextTurn: (task: () => void) => void
}

/** A server of Node that hands on no more requests than its bounds allow. */
export class Intake extends Server {
  readonly #requestsMax: number
  readonly #bytesMax: number
  readonly #bodyBytesMax: number
  readonly #onRefused: () => void
  readonly #now: () => number
  readonly #nextTurn: (task: () => void) => void
  readonly #lines = new WeakMap<Socket, Line>()
  // Refused, and not read on yet.
  readonly #resting: Array<Line> = []
  #requests = 0
  #bytes = 0
  #refusedAt = -Infinity

  constructor(server: ServerOptions, options: IntakeOptions) {
    super(server)
    this.maxConnections = options.connectionsMax ?? 4_096
    this.#requestsMax = options.requestsMax ?? 1_024
    this.#bytesMax = options.bytesMax ?? 32 * 1_048_576
    this.#bodyBytesMax = options.bodyBytesMax ?? 262_144
    this.#onRefused = options.onRefused ?? (() => undefined)
    this.#now = options.now
    this.#nextTurn = options.nextTurn
  }

  /** Hands an event on to whoever listens; a request only when there is room for it. */
  override emit(event: string, ...args: ReadonlyArray<unknown>): boolean {
    if (event !== "request" && event !== "checkContinue") return super.emit(event, ...args)
    const [request, response] = args
    return request instanceof IncomingMessage && response instanceof ServerResponse
      ? this.#queue(event, request, response)
      : super.emit(event, ...args)
  }

  #queue(event: string, request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const line = this.#lines.get(socket) ?? this.#open(socket)
    if (line.answers.size >= requestsPerConnectionMax) {
      line.held.push(() => this.#take(event, line, request, response))
      return true
    }
    this.#take(event, line, request, response)
    if (line.answers.size >= requestsPerConnectionMax) socket.pause()
    return true
  }

  #take(event: string, line: Line, request: IncomingMessage, response: ServerResponse): void {
    line.answers.add(response)
    const bytes = this.#bytesOf(request)
    if (this.#isFull(bytes) && !isHealth(request)) {
      this.#refusedAt = this.#now()
      response.once("close", () => this.#close(line, response))
      this.#onRefused()
      refuse(response)
      if (bytes > 0) discard(request)
      this.#rest(line)
      return
    }
    this.#requests++
    this.#bytes += bytes
    response.once("close", () => {
      this.#requests--
      this.#bytes -= bytes
      this.#close(line, response)
    })
    super.emit(event, request, response)
  }

  /** Says whether there is no room for a request with so many bytes. */
  #isFull(added: number): boolean {
    const bytes = added > 0 && this.#bytes > 0 ? this.#bytes + added : 0
    const isWithin = (share: number) =>
      this.#requests < this.#requestsMax * share && bytes <= this.#bytesMax * share
    if (isWithin(strainedShare)) return false
    return !isWithin(1) || this.#now() < this.#refusedAt + strainedMs
  }

  /** Ends a request, and takes the next one that waits behind it. */
  #close(line: Line, response: ServerResponse): void {
    line.answers.delete(response)
    const next = line.held.shift()
    if (next !== undefined) next()
    else if (line.answers.size === requestsPerConnectionMax - 1) line.socket.resume()
  }

  #rest(line: Line): void {
    if (line.rests) return
    line.rests = true
    line.socket.pause()
    if (this.#resting.push(line) === 1) this.#nextTurn(this.#rouse)
  }

  readonly #rouse = (): void => {
    for (const line of this.#resting.splice(0, rousedMax)) {
      line.rests = false
      line.socket.resume()
    }
    if (this.#resting.length > 0) this.#nextTurn(this.#rouse)
  }

  #open(socket: Socket): Line {
    const line: Line = { socket, answers: new Set(), held: [], rests: false }
    this.#lines.set(socket, line)
    // Node goes on reading whenever a body is wanted or was thrown away.
    socket.on("resume", () => {
      if (line.rests || line.answers.size >= requestsPerConnectionMax) socket.pause()
    })
    socket.once("close", () => {
      line.held.length = 0
      // Node tells only of the answer that was under way.
      for (const response of line.answers) response.emit("close")
    })
    return line
  }

  #bytesOf({ headers }: IncomingMessage): number {
    const length = headers["content-length"]
    if (length !== undefined) return Math.min(Number(length), this.#bodyBytesMax)
    return headers["transfer-encoding"] === undefined ? 0 : this.#bodyBytesMax
  }
}

/** Requests of one connection that are in progress, at most. */
const requestsPerConnectionMax = 32

/** Of connections that were refused, so many are read on in a turn: what was taken in goes on beside them. */
const rousedMax = 1_024

/** What is enough of the bounds until so long after a refusal, in milliseconds. */
const strainedShare = 1 / 8
const strainedMs = 1_000

/** The requests of one connection, each until its answer is out. */
interface Line {
  readonly socket: Socket
  readonly answers: Set<ServerResponse>
  /** Those that were read along with the last one that there was room for. */
  readonly held: Array<() => void>
  /** Whether it was refused and is not read on before its turn. */
  rests: boolean
}

/** Whoever watches the process is answered also when nobody else is. */
const isHealth = ({ url }: IncomingMessage): boolean => url?.startsWith("/health/") ?? false

const retryAfterSeconds = 1

const problem =
  `{"type":"urn:posthaste:problem:overloaded","title":"Too much is asked at once; try again",` +
  `"status":503,"code":"overloaded","retryAfterSeconds":${retryAfterSeconds},"requestId":"`

/** Answers the problem `Overloaded` by hand: under a flood this is what most requests cost. */
const refuse = (response: ServerResponse): void => {
  const requestId = `req_${randomUUID()}`
  const body = `${problem}${requestId}"}`
  response
    .writeHead(503, {
      "content-type": "application/problem+json",
      "content-length": body.length,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": requestId,
      "retry-after": String(retryAfterSeconds)
    })
    .end(body)
}
