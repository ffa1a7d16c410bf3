/**
 * The connections of one sender: those in use and those that wait.
 *
 * Promises: a connection is shared only by requests to one origin under one client certificate, is never
 * opened a second time, and counts each request in flight to the address that it is connected to.
 */
import { formatIp, type IpAddress } from "effect/net/NetAddress"
import type { EventEmitter } from "node:events"
import type { NotSent } from "../../domain/Attempt.ts"
import { Client } from "./Client.ts"
import { Crowd } from "./Crowd.ts"
import * as Deadlines from "./Deadlines.ts"
import { Dial, type Stage } from "./Dial.ts"
import type { Connection, Exchange, WireRequest } from "./Exchange.ts"
import { type IdleBounds, IdleConnections } from "./IdleConnections.ts"
import type { Proxy } from "./Proxy.ts"
import type { RaceTime } from "./Race.ts"
import { TlsSessions } from "./TlsSessions.ts"

/** Bounds of the connections of one sender. */
export interface ConnectionsOptions extends IdleBounds {
  /** How long a connection waits where the receiver does not say, in milliseconds. */
  readonly keepAliveMs: number
  /** Age in milliseconds at which a connection is not used again. */
  readonly connectionAgeMaxMs: number
  /** Certificates in PEM that are trusted besides the default roots. */
  readonly certificates: ReadonlyArray<string>
  /** Requests in flight to one address at once. */
  readonly addressInFlightMax: number
}

/** Opens connections, counts what is in flight on them, and closes them all together. */
export class Connections {
  readonly idle: IdleConnections<ClientConnection>
  readonly time: RaceTime
  readonly options: ConnectionsOptions
  readonly sessions: TlsSessions
  readonly proxy: Proxy | null
  readonly crowd: Crowd
  readonly #open = new Set<ClientConnection>()
  #isClosed = false

  constructor(time: RaceTime, options: ConnectionsOptions, proxy: Proxy | null) {
    this.time = time
    this.options = options
    this.idle = new IdleConnections(options)
    this.sessions = new TlsSessions(options.certificates)
    this.proxy = proxy
    this.crowd = new Crowd(options.addressInFlightMax)
  }

  /** Makes a connection, which opens with its first request; null where too many are in flight. */
  open(request: WireRequest, addresses: ReadonlyArray<IpAddress>): ClientConnection | null {
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
export const originOf = ({ identity, url }: WireRequest): string =>
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
    request: WireRequest,
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
export const targetOf = (url: URL) => ({
  host: url.hostname.replace(/^\[|\]$|\.$/g, ""),
  port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
  secure: url.protocol === "https:"
})

/** The longest that a receiver may ask for a connection to wait, and the size of its headers. */
const keepAliveMaxMs = 60_000
const headerBytesMax = 16_384

export const inCrowd = (url: URL): NotSent => ({
  _tag: "NotSent",
  cause: "crowd",
  detail: `Too many requests are in flight to the address of ${url.host}.`
})

/** One for all, because the client would make its own for each, with a stack that nobody reads. */
const closed = new Error("The connection was closed")

const ignore = (): void => {}
