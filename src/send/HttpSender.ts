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
import { formatIp } from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Refused, TimedOut, Unreachable } from "../domain/Attempt.ts"
import { log } from "../telemetry/Log.ts"
import { AddressGuard } from "./AddressGuard.ts"
import { Connections, inCrowd, originOf, targetOf } from "./wire/Connections.ts"
import * as Deadlines from "./wire/Deadlines.ts"
import {
  Exchange,
  type ExchangeContext,
  sent,
  timedOut,
  type WireRequest,
  type WireResult
} from "./wire/Exchange.ts"
import * as Probe from "./wire/Probe.ts"
import { type Egress, parse, Proxy } from "./wire/Proxy.ts"
import type { RaceTime } from "./wire/Race.ts"

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
