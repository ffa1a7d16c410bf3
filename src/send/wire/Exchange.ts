/**
 * One request on one connection, from its first byte to the outcome.
 *
 * ```
 *  connect ──► headers ──► body ──► done
 *     └───────────┴───────────┴──────▲     an answer, an error, the deadline or interruption
 * ```
 *
 * In `done` the fiber was resumed and nothing more is listened to. It is the handler that the HTTP
 * client reports to, so a request costs this one object and no closures.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Outcome, ResponseHeaders, TimedOut } from "../../domain/Attempt.ts"
import { reach } from "../../telemetry/Failpoint.ts"
import { type Deadlines, monotonicMs, type Timed } from "./Deadlines.ts"
import type { Stage } from "./Dial.ts"
import { failureOf, reasonOf, unreachable } from "./Failure.ts"
import type { TlsIdentity } from "./TlsSessions.ts"

/** What is sent. */
export interface WireRequest {
  readonly url: URL
  readonly method: "POST" | "PUT" | "PATCH" | "GET"
  /** `host`, `connection`, `content-length` and `accept-encoding` are added. */
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  /** Where TLS needs more than the usual. */
  readonly identity?: TlsIdentity | undefined
  /** Milliseconds for the whole, from the name's resolution to the last byte. */
  readonly timeoutMs: number
}

/** What came of it, and how long that took. */
export interface WireResult {
  readonly outcome: Outcome
  readonly durationMs: number
}

/** A connection that carries one request at a time. */
export interface Connection {
  /** Whether it carried a request before. */
  readonly reused: boolean
  readonly stage: Stage
  /** What broke it, where that is known better than from the error that it ended with. */
  readonly brokenBy: Error | undefined
  readonly dispatch: (
    request: {
      readonly path: string
      readonly method: string
      readonly headers: { readonly [name: string]: string }
      readonly body: Uint8Array | null
    },
    exchange: Exchange
  ) => void
  /** What it means that time ran out before the request could be written. */
  readonly late: () => Outcome
  /** Keeps it for the next request. */
  readonly release: () => void
  readonly close: () => void
}

/** What all exchanges of a sender share. */
export interface ExchangeContext {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly bodyBytesMax: number
  readonly bodyReadBytesMax: number
  readonly bodyWaitMs: number
  /** Sends a request on a connection that is not yet open. */
  readonly onNewConnection: (request: WireRequest, startedAt: number) => Effect.Effect<WireResult>
}

/** Headers of the receiver, as the HTTP client parsed them. */
type Headers = { readonly [name: string]: string | Array<string> | undefined }

/** Sends one request and resumes one fiber with what came of it. */
export class Exchange implements Timed {
  endsAt: number
  readonly #context: ExchangeContext
  readonly #request: WireRequest
  readonly #startedAt: number
  readonly #connection: Connection
  readonly #resume: (effect: Effect.Effect<WireResult>) => void
  #phase: "connect" | "headers" | "body" | "done" = "connect"
  #statusCode = 0
  #headers: Headers = {}
  readonly #chunks: Array<Uint8Array> = []
  #receivedBytes = 0

  constructor(
    context: ExchangeContext,
    request: WireRequest,
    startedAt: number,
    connection: Connection,
    resume: (effect: Effect.Effect<WireResult>) => void
  ) {
    this.endsAt = startedAt + request.timeoutMs
    this.#context = context
    this.#request = request
    this.#startedAt = startedAt
    this.#connection = connection
    this.#resume = resume
  }

  /** Hands the request to the connection; the effect that it returns abandons it. */
  start(): Effect.Effect<void> {
    const { url, method, headers, body } = this.#request
    this.#context.deadlines.add(this)
    reach("send.dispatching")
    this.#connection.dispatch(
      {
        path: url.pathname + url.search,
        method,
        headers: { ...headers, "accept-encoding": "identity" },
        body
      },
      this
    )
    return Effect.sync(() => {
      if (this.#phase !== "done") this.#end(false)
    })
  }

  expire(): void {
    if (this.#phase === "body") this.#respond("The body was not complete in time.", false)
    else if (this.#phase === "headers") this.#finish(timedOut.headers, false)
    else this.#finish(this.#connection.late(), false)
  }

  onRequestStart(): void {
    if (this.#phase === "connect") this.#phase = "headers"
  }

  onResponseStart(_controller: unknown, statusCode: number, headers: Headers): void {
    if (this.#phase !== "headers" || (statusCode >= 100 && statusCode < 200)) return
    if (statusCode < 200 || statusCode > 599) {
      const detail = `${this.#request.url.host} answered with the status ${statusCode}.`
      return this.#finish(unreachable("protocol", detail), false)
    }
    this.#phase = "body"
    reach("send.status")
    this.#statusCode = statusCode
    this.#headers = headers
    if (statusCode >= 300) return
    // A receiver that said yes is not waited for: what follows does not change its answer.
    const { clock, bodyWaitMs } = this.#context
    this.endsAt = Math.min(this.endsAt, monotonicMs(clock) + bodyWaitMs)
  }

  onResponseData(_controller: unknown, chunk: Uint8Array): void {
    if (this.#phase !== "body") return
    if (this.#receivedBytes < this.#context.bodyBytesMax) this.#chunks.push(chunk)
    this.#receivedBytes += chunk.length
    if (this.#receivedBytes > this.#context.bodyReadBytesMax) this.#respond(null, false)
  }

  onResponseEnd(): void {
    if (this.#phase === "body") this.#respond(null, true)
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#phase === "done") return
    if (this.#phase === "body") {
      return this.#respond(`The body broke off (${reasonOf(error)}).`, false)
    }
    // A kept connection that closed before a byte was written says nothing about the receiver.
    if (this.#phase === "connect" && this.#connection.reused) {
      this.#end(false)
      return this.#resume(this.#context.onNewConnection(this.#request, this.#startedAt))
    }
    this.#finish(
      failureOf(this.#connection.brokenBy ?? error, this.#connection.stage, this.#request.url),
      false
    )
  }

  #respond(bodyError: string | null, isComplete: boolean): void {
    const body = joined(this.#chunks, this.#context.bodyBytesMax)
    const announced = isComplete ? 0 : Number(this.#headers["content-length"] ?? 0)
    this.#finish(
      {
        _tag: "Responded",
        statusCode: this.#statusCode,
        headers: kept(this.#headers),
        body,
        truncated: this.#receivedBytes > body.length || announced > body.length,
        bodyError
      },
      isComplete
    )
  }

  #finish(outcome: Outcome, keepConnection: boolean): void {
    this.#end(keepConnection)
    reach("send.ended")
    this.#resume(Effect.succeed(sent(this.#context.clock, this.#startedAt, outcome)))
  }

  #end(keepConnection: boolean): void {
    this.#phase = "done"
    this.#context.deadlines.delete(this)
    if (keepConnection) this.#connection.release()
    else this.#connection.close()
  }
}

/** Forms what is answered for a request that began at `startedAt` and has just ended. */
export const sent = (clock: Clock.Clock, startedAt: number, outcome: Outcome): WireResult => ({
  outcome,
  durationMs: Math.round(monotonicMs(clock) - startedAt)
})

/** The outcomes of a deadline, by what was waited for. */
export const timedOut = {
  dns: { _tag: "TimedOut", phase: "dns" },
  headers: { _tag: "TimedOut", phase: "headers" }
} as const satisfies { [phase: string]: TimedOut }

const headersMax = 50
const headerBytesMax = 8_192

const kept = (headers: Headers): ResponseHeaders => {
  const some: { [name: string]: string } = {}
  let count = 0
  let bytes = 0
  for (const name in headers) {
    const given = headers[name]
    const value = typeof given === "string" ? given : (given?.join(", ") ?? "")
    bytes += name.length + value.length
    if (++count > headersMax || bytes > headerBytesMax) break
    some[name] = value
  }
  return some
}

/** Copies the beginning of a body, because its chunks hold on to the buffers they were read into. */
const joined = (chunks: ReadonlyArray<Uint8Array>, bytesMax: number): Uint8Array => {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const body = new Uint8Array(Math.min(length, bytesMax))
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk.length > body.length - at ? chunk.subarray(0, body.length - at) : chunk, at)
    at += chunk.length
  }
  return body
}
