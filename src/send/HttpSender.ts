/**
 * Sends one HTTP request and says what came of it.
 *
 * Promises: `send` cannot fail and ends by its deadline, from the name's resolution to the last
 * byte, on the Effect clock. What fails on our side of the network, such as the egress proxy, is told
 * as `NotSent`, which no receiver is charged with. A status line that arrived decides: what happens to the body after it
 * is told in `bodyError`, not as another outcome. Redirects are not followed, bodies are neither
 * decompressed nor read beyond a bound, and the environment's proxies are ignored. A request is
 * never written twice: only where a kept connection turns out closed before a byte of the request
 * was written does it go out on a new one. Interruption closes the socket. A connection is shared
 * only by requests to one origin under one client certificate and the same roots.
 *
 * Leaves to others: what an outcome means, and how many requests run at once. A request in flight
 * holds one socket, and up to four while it is connected to a name with several addresses; sockets that
 * wait for a request are bounded here.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { formatIp, type IpAddress } from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { EventEmitter } from "node:events"
import type { NotSent, Refused, TimedOut, Unreachable } from "../domain/Attempt.ts"
import { log } from "../telemetry/Log.ts"
import { AddressGuard } from "./AddressGuard.ts"
import { Client } from "./wire/Client.ts"
import { Crowd } from "./wire/Crowd.ts"
import * as Deadlines from "./wire/Deadlines.ts"
import { Dial, type Stage } from "./wire/Dial.ts"
import {
  type Connection,
  Exchange,
  type ExchangeContext,
  sent,
  timedOut,
  type WireRequest,
  type WireResult
} from "./wire/Exchange.ts"
import { IdleConnections } from "./wire/IdleConnections.ts"
import * as Probe from "./wire/Probe.ts"
import { type Egress, parse, Proxy } from "./wire/Proxy.ts"
import type { RaceTime } from "./wire/Race.ts"
import { TlsSessions } from "./wire/TlsSessions.ts"

/** One request as it goes on the wire. */
export type HttpRequest = WireRequest

/** What came of a request, and how long that took. */
export type Sent = WireResult

/** What became of a probe: the addresses that were let pass, or what stood in the way of any. */
export interface Inspected {
  readonly addresses: ReadonlyArray<string>
  readonly resolvedMs: number
  readonly refusal: Refused | Unreachable | TimedOut | null
  /** Null where there is no address. Its times begin where the name was resolved. */
  readonly probed: Probe.Probed | null
}

/** Bounds of a sender. All have defaults. */
export interface HttpSenderOptions {
  /** Bytes of an answer's body that are kept. Default 10,240. */
  readonly bodyBytesMax?: number
  /** Bytes of an answer's body that are read before the socket is closed. Default 65,536. */
  readonly bodyReadBytesMax?: number
  /** How long the body of a 2xx answer is waited for after its headers. Default 2 seconds. */
  readonly bodyWaitMs?: number
  /** Connections that may wait for a request, of all origins. Default 512. */
  readonly idleConnectionsMax?: number
  /** Connections that may wait for a request, of each origin. Default 512: all that may be in flight. */
  readonly idleConnectionsPerOriginMax?: number
  /** How long a connection waits where the receiver does not say. Default 4 seconds. */
  readonly keepAliveMs?: number
  /** Age at which a connection is not used again, so that changes in DNS arrive. Default 5 minutes. */
  readonly connectionAgeMaxMs?: number
  /** Certificates in PEM that are trusted besides the default roots. */
  readonly certificates?: ReadonlyArray<string>
  /** Requests in flight to one address at once, of all webhooks and tenants. Default 512. */
  readonly addressInFlightMax?: number
  /**
   * URL of a forward proxy that every request goes through, `http:` or `https:`, with user and
   * password where it wants any. A malformed one is a defect. Default none.
   */
  readonly proxy?: Redacted.Redacted | null
}

/** Sends requests to receivers. */
export class HttpSender extends Context.Service<
  HttpSender,
  {
    /** Sends a request once and answers what the network did with it. */
    readonly send: (request: HttpRequest) => Effect.Effect<Sent>
    /**
     * Opens a connection to a URL as `send` does and asks for its headers, with nothing of a request
     * but its URL and its identity, to tell how far that comes.
     */
    readonly probe: (request: HttpRequest) => Effect.Effect<Inspected>
    /** Tells whether requests go through a proxy, and whether it fails. */
    readonly egress: Effect.Effect<Egress>
  }
>()("posthaste/send/HttpSender") {
  /** Sends over HTTP/1.1 on connections of its own, which close with the layer. */
  static layer(options: HttpSenderOptions = {}): Layer.Layer<HttpSender, never, AddressGuard> {
    return Layer.effect(HttpSender, make({ ...defaults, ...options }))
  }
}

const defaults: Required<HttpSenderOptions> = {
  bodyBytesMax: 10_240,
  bodyReadBytesMax: 65_536,
  bodyWaitMs: 2_000,
  idleConnectionsMax: 1_024,
  idleConnectionsPerOriginMax: 512,
  keepAliveMs: 4_000,
  connectionAgeMaxMs: 300_000,
  certificates: [],
  addressInFlightMax: 512,
  proxy: null
}

const make = Effect.fnUntraced(function* (options: Required<HttpSenderOptions>) {
  const guard = yield* AddressGuard
  const clock = yield* Clock.Clock
  const proxy = options.proxy === null ? null : yield* watched(Redacted.value(options.proxy))
  const deadlines = yield* Deadlines.make
  const time: RaceTime = { clock, deadlines }
  const connections = yield* Effect.acquireRelease(
    Effect.sync(() => new Connections(time, options, proxy)),
    (connections) => Effect.sync(() => connections.close())
  )

  const onNewConnection = (request: HttpRequest, startedAt: number): Effect.Effect<Sent> =>
    guard.lookup(request.url).pipe(
      Effect.timeoutOrElse({
        duration: Math.max(0, startedAt + request.timeoutMs - Deadlines.monotonicMs(clock)),
        orElse: () => Effect.fail(timedOut.dns)
      }),
      Effect.matchEffect({
        onFailure: (outcome) => Effect.sync(() => sent(clock, startedAt, outcome)),
        onSuccess: (addresses) =>
          Effect.callback<Sent>((resume) => {
            const connection = connections.open(request, addresses)
            if (connection === null) return resume(crowded(request, startedAt))
            return new Exchange(context, request, startedAt, connection, resume).start()
          })
      })
    )
  const crowded = (request: HttpRequest, startedAt: number) =>
    Effect.sync(() => sent(clock, startedAt, inCrowd(request.url)))
  const context: ExchangeContext = { ...options, clock, deadlines, onNewConnection }

  const probe = Effect.fnUntraced(function* (request: HttpRequest) {
    const { identity, timeoutMs, url } = request
    const startedAt = Deadlines.monotonicMs(clock)
    const looked = yield* Effect.result(
      Effect.timeoutOrElse(guard.lookup(url), {
        duration: timeoutMs,
        orElse: () => Effect.fail(timedOut.dns)
      })
    )
    const resolvedMs = Math.round(Deadlines.monotonicMs(clock) - startedAt)
    if (Result.isFailure(looked)) {
      return { addresses: [], resolvedMs, refusal: looked.failure, probed: null }
    }
    const addresses = looked.success
    const probed = yield* Probe.run({
      url,
      target: { ...targetOf(url), identity, addresses, proxy },
      timeoutMs: Math.max(1, timeoutMs - resolvedMs),
      certificates: options.certificates,
      time
    })
    return { addresses: addresses.map(formatIp), resolvedMs, refusal: null, probed }
  })

  return HttpSender.of({
    probe,
    send: (request) =>
      Effect.callback<Sent>((resume) => {
        const startedAt = Deadlines.monotonicMs(clock)
        const kept = connections.idle.take(originOf(request))
        if (kept === undefined) return resume(onNewConnection(request, startedAt))
        if (!kept.use()) {
          connections.idle.put(kept)
          return resume(crowded(request, startedAt))
        }
        return new Exchange(context, request, startedAt, kept, resume).start()
      }),
    egress: Effect.sync(() =>
      proxy === null ? "direct" : proxy.failure === null ? "proxy" : "proxy_failing"
    )
  })
})

/** A proxy whose failing is told in the log when it begins, at most once a minute, and when it ends. */
const watched = Effect.fnUntraced(function* (url: string) {
  const clock = yield* Clock.Clock
  const address = parse(url)
  if (Result.isFailure(address)) return yield* Effect.die(new Error(address.failure))
  const failing = Latch.makeUnsafe(false)
  const now = () => Deadlines.monotonicMs(clock)
  const proxy = new Proxy(address.success, now, () => failing.openUnsafe())
  yield* Effect.gen(function* () {
    yield* failing.await
    yield* log("egress_failing", { reason: proxy.failure ?? "" })
    while (proxy.failure !== null) yield* Effect.sleep(warningMs)
    yield* log("egress_recovered")
    failing.closeUnsafe()
  }).pipe(Effect.forever, Effect.forkScoped)
  return proxy
})

const warningMs = 60_000

/** The connections of one sender: those in use and those that wait. */
class Connections {
  readonly idle: IdleConnections<ClientConnection>
  readonly time: RaceTime
  readonly options: Required<HttpSenderOptions>
  readonly sessions: TlsSessions
  readonly proxy: Proxy | null
  readonly crowd: Crowd
  readonly #open = new Set<ClientConnection>()
  #isClosed = false

  constructor(time: RaceTime, options: Required<HttpSenderOptions>, proxy: Proxy | null) {
    this.time = time
    this.options = options
    this.idle = new IdleConnections(options)
    this.sessions = new TlsSessions(options.certificates)
    this.proxy = proxy
    this.crowd = new Crowd(options.addressInFlightMax)
  }

  /** Makes a connection, which opens with its first request; null where too many are in flight. */
  open(request: HttpRequest, addresses: ReadonlyArray<IpAddress>): ClientConnection | null {
    const address = addresses[0] === undefined ? "" : formatIp(addresses[0])
    if (!this.crowd.enter(address)) return null
    const connection = new ClientConnection(this, request, addresses, address)
    if (this.#isClosed) connection.close()
    else this.#open.add(connection)
    return connection
  }

  forget(connection: ClientConnection): void {
    this.#open.delete(connection)
  }

  /** Closes all connections; requests in flight end as reset. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#open) connection.close()
  }
}

/** Names which connections a request may go on. */
const originOf = ({ identity, url }: HttpRequest): string =>
  identity === undefined ? url.origin : `${url.origin} ${identity.id}`

/** A socket with undici's HTTP/1.1 client on it. It is never opened a second time. */
class ClientConnection implements Connection {
  readonly origin: string
  reused = false
  readonly #connections: Connections
  readonly #client: Client
  readonly #dial: Dial
  readonly #openedAt: number
  #isDialled = false
  #address: string
  #isCounted = true

  /** Takes over a request that is counted to `address` already. */
  constructor(
    connections: Connections,
    request: HttpRequest,
    addresses: ReadonlyArray<IpAddress>,
    address: string
  ) {
    const { options, proxy, sessions, time } = connections
    const { identity, url } = request
    this.origin = originOf(request)
    this.#connections = connections
    this.#openedAt = Deadlines.monotonicMs(time.clock)
    this.#address = address
    this.#dial = new Dial(
      {
        ...targetOf(url),
        identity,
        addresses,
        proxy,
        closed: (address) => this.#move(formatIp(address), url)
      },
      sessions,
      time
    )
    this.#client = new Client(url.origin, {
      connect: (_options, callback) => {
        // The client would open a lost socket again, to addresses that were judged long ago.
        if (this.#isDialled) return callback(closed, null)
        this.#isDialled = true
        this.#dial.open(callback)
      },
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: keepAliveMaxMs,
      maxHeaderSize: headerBytesMax,
      headersTimeout: 0,
      bodyTimeout: 0
    })
    this.#client.on("disconnect", () => connections.idle.drop(this))
    // An emitter without a listener for errors ends the process; undici's types know none.
    const emitter: EventEmitter = this.#client
    emitter.on("error", ignore)
  }

  get brokenBy(): Error | undefined {
    return this.#dial.brokenBy
  }

  get stage(): Stage {
    return this.#dial.stage
  }

  dispatch(request: Parameters<Connection["dispatch"]>[0], exchange: Exchange): void {
    this.#client.dispatch(request, exchange)
  }

  late(): ReturnType<Connection["late"]> {
    return this.#dial.late()
  }

  /** Counts a request in flight to the address; false where there are too many. */
  use(): boolean {
    this.#isCounted = this.#connections.crowd.enter(this.#address)
    return this.#isCounted
  }

  #leave(): void {
    if (this.#isCounted) this.#connections.crowd.leave(this.#address)
    this.#isCounted = false
  }

  /** Counts the request to the address that it turned out to be connected to. */
  #move(address: string, url: URL): NotSent | null {
    if (address === this.#address) return null
    this.#leave()
    this.#address = address
    return this.use() ? null : inCrowd(url)
  }

  release(): void {
    const { idle, options, time } = this.#connections
    this.#leave()
    this.reused = true
    const ageMs = Deadlines.monotonicMs(time.clock) - this.#openedAt
    if (ageMs > options.connectionAgeMaxMs) this.close()
    else idle.put(this)
  }

  close(): void {
    this.#leave()
    this.#connections.forget(this)
    this.#client.destroy(closed, ignore)
    this.#dial.cancel()
  }
}

/** Where a URL leads to, whatever its name resolves to. */
const targetOf = (url: URL) => ({
  host: url.hostname.replace(/^\[|\]$|\.$/g, ""),
  port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
  secure: url.protocol === "https:"
})

/** The longest that a receiver may ask for a connection to wait, and the size of its headers. */
const keepAliveMaxMs = 60_000
const headerBytesMax = 16_384

const inCrowd = (url: URL): NotSent => ({
  _tag: "NotSent",
  cause: "crowd",
  detail: `Too many requests are in flight to the address of ${url.host}.`
})

/** One for all, because the client would make its own for each, with a stack that nobody reads. */
const closed = new Error("The connection was closed")

const ignore = (): void => {}
