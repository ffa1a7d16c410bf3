/**
 * Opens one connection as a delivery would and asks the receiver for nothing but its headers (HEAD),
 * to tell how far that comes and how long each part takes.
 *
 * Promises: the connection is opened by the same `Dial` and closed when the answer's headers are
 * there; what is sent says nothing: no body, no secret, no header of a webhook.
 */
import * as Effect from "effect/Effect"
import { type ClientRequest, request as httpRequest } from "node:http"
import { type DetailedPeerCertificate, TLSSocket } from "node:tls"
import type { Outcome } from "../../domain/Attempt.ts"
import { version } from "../../domain/Version.ts"
import { monotonicMs } from "./Deadlines.ts"
import { Dial, type Target } from "./Dial.ts"
import { timedOut } from "./Exchange.ts"
import { failureOf } from "./Failure.ts"
import type { RaceTime } from "./Race.ts"
import { TlsSessions } from "./TlsSessions.ts"

/** What is tried, and for how long. */
export interface ProbeOptions {
  readonly url: URL
  readonly target: Omit<Target, "closed">
  readonly timeoutMs: number
  /** Certificates in PEM that are trusted besides the default roots. */
  readonly certificates: ReadonlyArray<string>
  readonly time: RaceTime
}

/** How far it came. Times are milliseconds since its begin, null for what was not reached. */
export interface Probed {
  readonly connectedMs: number | null
  readonly securedMs: number | null
  readonly answeredMs: number | null
  readonly tls: ProbedTls | null
  readonly answer: ProbedAnswer | null
  /** What stood in the way, or null where there was an answer. */
  readonly failure: Outcome | null
}

/** The TLS of a connection; the receiver's own certificate is the first of the chain. */
export interface ProbedTls {
  readonly protocol: string
  readonly chain: ReadonlyArray<{
    readonly subject: string
    readonly issuer: string
    /** Epoch milliseconds. */
    readonly validFrom: number
    /** Epoch milliseconds. */
    readonly validUntil: number
  }>
}

/** What came back. */
export interface ProbedAnswer {
  readonly httpVersion: string
  readonly statusCode: number
  /** The `location` of a redirect as it was sent, or null. */
  readonly location: string | null
}

const headerBytesMax = 16_384

/** Probes a receiver once. */
export const run = (options: ProbeOptions): Effect.Effect<Probed> =>
  Effect.suspend(() => {
    const probe = new Probe(options)
    return Effect.callback<Probed>((resume) =>
      probe.start((probed) => resume(Effect.succeed(probed)))
    ).pipe(
      Effect.timeoutOrElse({
        duration: options.timeoutMs,
        orElse: () => Effect.sync(() => probe.late())
      }),
      Effect.ensuring(Effect.sync(() => probe.close()))
    )
  })

class Probe {
  readonly #options: ProbeOptions
  readonly #startedAt: number
  readonly #dial: Dial
  #request: ClientRequest | undefined
  #connectedMs: number | null = null
  #securedMs: number | null = null
  #tls: ProbedTls | null = null

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#startedAt = monotonicMs(options.time.clock)
    this.#dial = new Dial(
      {
        ...options.target,
        closed: () => {
          this.#connectedMs = this.#passedMs()
          return null
        }
      },
      // Fresh: a resumed session shows no chain of certificates.
      new TlsSessions(options.certificates),
      options.time
    )
  }

  start(done: (probed: Probed) => void): void {
    const { url } = this.#options
    this.#dial.open((error, socket) => {
      if (socket === null) return done(this.#failed(failureOf(error, this.#dial.stage, url)))
      if (socket instanceof TLSSocket) {
        this.#securedMs = this.#passedMs()
        this.#tls = {
          protocol: socket.getProtocol() ?? "",
          chain: chainOf(socket.getPeerCertificate(true))
        }
      }
      const request = httpRequest({
        createConnection: () => socket,
        host: url.hostname,
        method: "HEAD",
        path: url.pathname + url.search,
        headers: {
          host: url.host,
          "user-agent": `Posthaste/${version}`,
          "accept-encoding": "identity",
          connection: "close"
        },
        maxHeaderSize: headerBytesMax
      })
      this.#request = request
      request.once("response", ({ headers, httpVersion, statusCode }) =>
        done({
          ...this.#reached(),
          answeredMs: this.#passedMs(),
          answer: { httpVersion, statusCode: statusCode ?? 0, location: headers.location ?? null },
          failure: null
        })
      )
      request.on("error", (reason) => done(this.#failed(failureOf(reason, "open", url))))
      request.end()
    })
  }

  /** What there is when time runs out. */
  late(): Probed {
    return this.#failed(this.#dial.stage === "open" ? timedOut.headers : this.#dial.late())
  }

  close(): void {
    this.#request?.destroy()
    this.#dial.cancel()
  }

  #passedMs(): number {
    return Math.round(monotonicMs(this.#options.time.clock) - this.#startedAt)
  }

  #reached() {
    return { connectedMs: this.#connectedMs, securedMs: this.#securedMs, tls: this.#tls }
  }

  #failed(failure: Outcome): Probed {
    return { ...this.#reached(), answeredMs: null, answer: null, failure }
  }
}

const certificatesMax = 10

/** Walks from a certificate to its root, which names itself as its issuer. */
const chainOf = (first: DetailedPeerCertificate): ProbedTls["chain"] => {
  const chain: Array<ProbedTls["chain"][number]> = []
  let next: DetailedPeerCertificate | undefined = first
  while (next?.subject !== undefined && chain.length < certificatesMax) {
    chain.push({
      subject: nameOf(next.subject),
      issuer: nameOf(next.issuer),
      validFrom: Date.parse(next.valid_from),
      validUntil: Date.parse(next.valid_to)
    })
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate
  }
  return chain
}

const nameOf = (name: DetailedPeerCertificate["subject"]): string =>
  [name.CN ?? name.O ?? name.OU ?? ""].flat().join(", ").slice(0, 256)
