/**
 * Opens one socket to a receiver: TCP to an approved address, or a tunnel to it through a proxy, then
 * TLS where the URL asks for it.
 *
 * Promises: nobody is asked for an address again, so what was judged is what is connected to; the
 * peer is compared with the approved addresses before the first byte is written; TLS is 1.2 or
 * later and its certificate is checked against the name in the URL, whatever the environment says;
 * no TLS session is resumed under another client certificate or other roots. Where there are several
 * addresses, a dead one is passed over within 300 ms.
 *
 * Leaves to others: judging addresses (`AddressGuard`), deadlines and reuse (`HttpSender`).
 */
import * as Equal from "effect/Equal"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Outcome, TimedOut } from "../../domain/Attempt.ts"
import type { Proxy } from "./Proxy.ts"
import { Race, type RaceTime, type Way } from "./Race.ts"
import type { TlsIdentity, TlsSessions } from "./TlsSessions.ts"
import * as Tunnel from "./Tunnel.ts"

/** Where a socket leads to. */
export interface Target {
  /** The host of the URL: a name, or an address without brackets. */
  readonly host: string
  readonly port: number
  readonly secure: boolean
  readonly identity?: TlsIdentity | undefined
  /** The addresses that may be connected to, in order of preference. */
  readonly addresses: ReadonlyArray<NetAddress.IpAddress>
  /** Through whom, or null. The proxy's own address is not judged: whoever runs us chose it. */
  readonly proxy: Proxy | null
  /** Says of an address, before anything is written to it, why nothing may be, or null. */
  readonly closed: (address: NetAddress.IpAddress) => Outcome | null
}

/**
 * How far a socket has come: connecting to a proxy, waiting for its tunnel, connecting, shaking hands,
 * or ready for a request.
 */
export type Stage = "proxy" | "tunnel" | "connect" | "tls" | "open"

/** The socket's peer was none of the approved addresses; the socket was destroyed unused. */
export class PeerNotApproved extends Error {}

/** The socket was not opened, for a reason that is known better here than from a code. */
export class NotDialled extends Error {
  readonly outcome: Outcome

  /** Takes what this means for the request. */
  constructor(outcome: Outcome) {
    super(outcome._tag)
    this.outcome = outcome
  }
}

const connecting = { noDelay: true, keepAlive: true } as const

/** How long one address of a proxy is tried before its next: a lost SYN is sent again after a second. */
const proxyAddressTimeoutMs = 1_000

const timedOut: TimedOut = { _tag: "TimedOut", phase: "connect" }

/** Takes the socket, or the error that stood in its way. */
type Opened = (...result: [null, Net.Socket] | [Error, null]) => void

/** A socket that leads to an approved address. */
interface Reached {
  readonly socket: Net.Socket
  readonly address: NetAddress.IpAddress
}

/** Opens a socket once. */
export class Dial {
  stage: Stage = "connect"
  /** The first error of an open TLS connection, if it had one. */
  brokenBy: Error | undefined
  readonly #target: Target
  readonly #sessions: TlsSessions
  readonly #time: RaceTime
  #race: Race<Reached> | undefined
  #socket: Net.Socket | undefined

  constructor(target: Target, sessions: TlsSessions, time: RaceTime) {
    this.#target = target
    this.#sessions = sessions
    this.#time = time
  }

  /** Starts; `done` is called once with a socket or an error, and never after `cancel`. */
  open(done: Opened): void {
    const { proxy } = this.#target
    if (proxy === null) this.#connect(done)
    else this.#throughProxy(proxy, done)
  }

  /** What it means that time runs out now, before a request could be written. */
  late(): Outcome {
    const { proxy } = this.#target
    if (proxy !== null && this.stage === "proxy") return proxy.broke("no connection in time")
    if (proxy !== null && this.stage === "tunnel") {
      return proxy.refused(this.#receiver, "no tunnel in time", timedOut)
    }
    return timedOut
  }

  /** Closes every socket wherever it stands. */
  cancel(): void {
    this.#race?.cancel()
    this.#socket?.destroy()
  }

  get #receiver(): string {
    return `${this.#target.host}:${this.#target.port}`
  }

  /** Tries the approved addresses; `onFail` takes how each of them failed. */
  #try(
    wayTo: (address: NetAddress.IpAddress) => Way<Reached>,
    onFail: (errors: ReadonlyArray<Error>) => void,
    done: Opened
  ): void {
    const ways = alternating(this.#target.addresses).map(wayTo)
    this.#race = new Race(this.#time, ways, (result) => {
      if (Result.isFailure(result)) return onFail(result.failure)
      this.#socket = result.success.socket
      this.#finish(result.success, done)
    })
    this.#race.start()
  }

  #connect(done: Opened): void {
    this.#try(
      (address) => this.#wayTo(address),
      (errors) => done(joined(errors), null),
      done
    )
  }

  #wayTo(address: NetAddress.IpAddress): Way<Reached> {
    const { host, port } = this.#target
    const family = NetAddress.isIpv4Address(address) ? 4 : 6
    const answer = { address: NetAddress.formatIp(address), family }
    return (ended) => {
      const socket = Net.connect({
        host,
        port,
        lookup: (_host, { all }, answered) =>
          all ? answered(null, [answer]) : answered(null, answer.address, family),
        ...connecting
      })
      const fail = (error: Error) => ended(Result.fail(error))
      socket.once("error", fail)
      socket.once("connect", () => {
        socket.off("error", fail)
        const peer = NetAddress.ipFromString(socket.remoteAddress ?? "")
        if (Result.isSuccess(peer) && this.#isApproved(peer.success)) {
          return ended(Result.succeed({ socket, address: peer.success }))
        }
        socket.destroy()
        ended(Result.fail(new PeerNotApproved()))
      })
      return () => void socket.destroy()
    }
  }

  /** Goes on from a socket that leads to an address. */
  #finish({ address, socket }: Reached, done: Opened): void {
    const outcome = this.#target.closed(NetAddress.toCanonical(address))
    if (outcome !== null) {
      socket.destroy()
      return done(new NotDialled(outcome), null)
    }
    if (this.#target.secure) return this.#secure(socket, done)
    this.stage = "open"
    done(null, socket)
  }

  /** Opens a tunnel to the first address that the proxy reaches. */
  #throughProxy(proxy: Proxy, done: Opened): void {
    this.stage = "proxy"
    const fail = (outcome: Outcome) => {
      this.#race?.cancel()
      done(new NotDialled(outcome), null)
    }
    this.#try(
      (address) => this.#wayThrough(proxy, address, (detail) => fail(proxy.broke(detail))),
      (errors) => {
        const detail = errors.at(-1)?.message ?? "no address"
        fail(
          proxy.refused(this.#receiver, detail, {
            _tag: "Unreachable",
            cause: "refused",
            detail: `The egress proxy reached no ${this.#receiver} (${detail}).`
          })
        )
      },
      done
    )
  }

  #wayThrough(
    proxy: Proxy,
    address: NetAddress.IpAddress,
    onBroken: (detail: string) => void
  ): Way<Reached> {
    return (ended) =>
      this.#toProxy(proxy, onBroken, (socket) => {
        this.stage = "tunnel"
        const literal = NetAddress.formatIp(address)
        const authority = `${literal.includes(":") ? `[${literal}]` : literal}:${this.#target.port}`
        Tunnel.ask(socket, proxy.address, authority, (tunnelled) => {
          if (tunnelled._tag === "Open") {
            proxy.opened(this.#receiver)
            return ended(Result.succeed({ socket, address }))
          }
          socket.destroy()
          const detail =
            tunnelled._tag === "Refused" ? `CONNECT answered ${tunnelled.status}` : tunnelled.detail
          ended(Result.fail(new Error(detail)))
        })
      })
  }

  /** Connects to the proxy; answers what closes the connection, after which nothing is reported. */
  #toProxy(
    proxy: Proxy,
    onBroken: (detail: string) => void,
    onOpen: (socket: Net.Socket) => void
  ): () => void {
    const { host, port, secure } = proxy.address
    const plain = Net.connect({
      host,
      port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: proxyAddressTimeoutMs,
      ...connecting
    })
    let socket = plain
    const fail = (error: Error) => {
      socket.destroy()
      onBroken("code" in error ? String(error.code) : error.name)
    }
    plain.once("error", fail)
    plain.once("connect", () => {
      plain.off("error", fail)
      if (!secure) return onOpen(plain)
      socket = Tls.connect({
        socket: plain,
        host,
        ...(Net.isIP(host) === 0 ? { servername: host } : {}),
        secureContext: this.#sessions.contextOf(undefined),
        rejectUnauthorized: true
      })
      socket.once("error", fail)
      socket.once("secureConnect", () => {
        socket.off("error", fail)
        onOpen(socket)
      })
    })
    return () => void socket.destroy()
  }

  #secure(plain: Net.Socket, done: Opened): void {
    const { host, identity } = this.#target
    this.stage = "tls"
    let secureContext: Tls.SecureContext
    try {
      secureContext = this.#sessions.contextOf(identity)
    } catch (error) {
      // Proven when it was written down, but perhaps by another version of OpenSSL.
      plain.destroy()
      return done(error instanceof Error ? error : new Error(String(error)), null)
    }
    // A session is resumed without another look at certificates, so it belongs to one identity.
    const key = identity === undefined ? this.#receiver : `${this.#receiver} ${identity.id}`
    const session = this.#sessions.get(key)
    const socket = Tls.connect({
      socket: plain,
      host,
      ...(Net.isIP(host) === 0 ? { servername: host } : {}),
      secureContext,
      ALPNProtocols: ["http/1.1"],
      // Said aloud because NODE_TLS_REJECT_UNAUTHORIZED=0 changes the default.
      rejectUnauthorized: true,
      ...(session === undefined ? {} : { session })
    })
    this.#socket = socket
    const fail = (error: Error) => done(error, null)
    socket.once("error", fail)
    socket.on("session", (fresh) => this.#sessions.set(key, fresh))
    socket.once("secureConnect", () => {
      socket.off("error", fail)
      // What TLS says first is the cause; the end of the connection that follows is not.
      socket.once("error", (error) => {
        this.brokenBy = error
        // Node leaves open what TLS found broken, and a request on it would wait for its deadline.
        socket.destroy()
      })
      this.stage = "open"
      done(null, socket)
    })
  }

  #isApproved(peer: NetAddress.IpAddress): boolean {
    const address = NetAddress.toCanonical(peer)
    return this.#target.addresses.some((approved) => Equal.equals(approved, address))
  }
}

/** Makes one error of those that each of several addresses ended with; its code is that of the first. */
const joined = (errors: ReadonlyArray<Error>): Error => {
  const [first = new PeerNotApproved(), ...others] = errors
  if (others.length === 0) return first
  const strange = errors.find((error) => error instanceof PeerNotApproved)
  return (
    strange ??
    Object.assign(new AggregateError(errors), "code" in first ? { code: first.code } : {})
  )
}

/** Puts addresses of both families in turns, the preferred one first (RFC 8305, section 4). */
const alternating = (
  addresses: ReadonlyArray<NetAddress.IpAddress>
): ReadonlyArray<NetAddress.IpAddress> => {
  const [first] = addresses
  if (first === undefined) return []
  const isFirst = NetAddress.isIpv4Address(first)
  const preferred = addresses.filter((one) => NetAddress.isIpv4Address(one) === isFirst)
  const others = addresses.filter((one) => NetAddress.isIpv4Address(one) !== isFirst)
  return Array.from({ length: Math.max(preferred.length, others.length) }).flatMap((_, i) => [
    ...preferred.slice(i, i + 1),
    ...others.slice(i, i + 1)
  ])
}
