/**
 * Opens one socket to a receiver: TCP to an approved address, or a tunnel to it through a proxy, then
 * TLS where the URL asks for it.
 *
 * Promises: nobody is asked for an address again, so what was judged is what is connected to; the
 * peer is compared with the approved addresses before the first byte is written; TLS is 1.2 or
 * later and its certificate is checked against the name in the URL, whatever the environment says;
 * no TLS session is resumed under another client certificate or other roots.
 *
 * Leaves to others: judging addresses (`AddressGuard`), deadlines and reuse (`HttpSender`).
 */
import * as Equal from "effect/Equal"
import * as NetAddress from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Outcome, TimedOut } from "../../domain/Attempt.ts"
import type { Proxy } from "./Proxy.ts"
import * as Tunnel from "./Tunnel.ts"

/** What a TLS connection needs besides the usual: a client certificate, more roots, or both. */
export interface TlsIdentity {
  /** The same for the same contents, and another for others: connections are shared by it. */
  readonly id: string
  /** PEM. */
  readonly certificate: string | undefined
  /** PEM. */
  readonly key: Redacted.Redacted | undefined
  /** PEM: trusted besides the usual roots. */
  readonly ca: string | undefined
}

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

/** What the TLS handshakes of one sender share: trusted roots and sessions to resume. */
export class TlsSessions {
  readonly #certificates: ReadonlyArray<string>
  readonly #context: Tls.SecureContext
  readonly #contexts = new Map<string, Tls.SecureContext>()
  readonly #sessions = new Map<string, Buffer>()

  /** Trusts the default roots and, where given, more certificates in PEM. */
  constructor(certificates: ReadonlyArray<string>) {
    this.#certificates = certificates
    this.#context = this.#make(undefined)
  }

  /** Returns the context of an identity. Throws where TLS cannot use its certificate or key. */
  contextOf(identity: TlsIdentity | undefined): Tls.SecureContext {
    if (identity === undefined) return this.#context
    const known = this.#contexts.get(identity.id)
    const context = known ?? this.#make(identity)
    keep(this.#contexts, contextsMax, identity.id, context)
    return context
  }

  /** Returns the session to resume with a host and port, if there is one. */
  get(key: string): Buffer | undefined {
    return this.#sessions.get(key)
  }

  /** Keeps a session. */
  set(key: string, session: Buffer): void {
    keep(this.#sessions, sessionsMax, key, session)
  }

  #make(identity: TlsIdentity | undefined): Tls.SecureContext {
    const { ca, certificate, key } = identity ?? {}
    const more = ca === undefined ? this.#certificates : [...this.#certificates, ca]
    return Tls.createSecureContext({
      minVersion: "TLSv1.2",
      ...(certificate === undefined || key === undefined
        ? {}
        : { cert: certificate, key: Redacted.value(key) }),
      ...(more.length === 0 ? {} : { ca: [...Tls.getCACertificates("default"), ...more] })
    })
  }
}

/** Keeps a value under a key; the one that was kept or asked for longest ago makes room. */
const keep = <A>(map: Map<string, A>, sizeMax: number, key: string, value: A): void => {
  map.delete(key)
  if (map.size >= sizeMax) {
    for (const oldest of map.keys()) {
      map.delete(oldest)
      break
    }
  }
  map.set(key, value)
}

const sessionsMax = 1_000
/** Each may hold the usual roots once more, half a megabyte. */
const contextsMax = 100

/**
 * How long one of several addresses is tried before the next. Shorter than a second, one lost SYN
 * would count as a dead address.
 */
const addressTimeoutMs = 1_000

const connecting = {
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: addressTimeoutMs,
  noDelay: true,
  keepAlive: true
} as const

const timedOut: TimedOut = { _tag: "TimedOut", phase: "connect" }

/** Takes the socket, or the error that stood in its way. */
type Opened = (...result: [null, Net.Socket] | [Error, null]) => void

/** Opens a socket once. */
export class Dial {
  stage: Stage = "connect"
  /** The first error of an open TLS connection, if it had one. */
  brokenBy: Error | undefined
  readonly #target: Target
  readonly #sessions: TlsSessions
  #socket: Net.Socket | undefined
  #isCancelled = false

  constructor(target: Target, sessions: TlsSessions) {
    this.#target = target
    this.#sessions = sessions
  }

  /** Starts; `done` is called once with a socket or an error, and never after `cancel`. */
  open(done: Opened): void {
    const { proxy } = this.#target
    if (proxy === null) this.#connect(done)
    else this.#throughProxy(proxy, this.#target.addresses, done)
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

  /** Closes the socket wherever it stands. */
  cancel(): void {
    this.#isCancelled = true
    this.#socket?.destroy()
  }

  get #receiver(): string {
    return `${this.#target.host}:${this.#target.port}`
  }

  #connect(done: Opened): void {
    const { host, port } = this.#target
    const socket = Net.connect({
      host,
      port,
      lookup: this.#lookup,
      ...connecting
    })
    this.#socket = socket
    const fail = (error: Error) => done(error, null)
    socket.once("error", fail)
    socket.once("connect", () => {
      socket.off("error", fail)
      if (!this.#isApproved(socket.remoteAddress)) {
        socket.destroy()
        return done(new PeerNotApproved(), null)
      }
      this.#finish(socket, NetAddress.ipFromStringUnsafe(socket.remoteAddress ?? ""), done)
    })
  }

  /** Goes on from a socket that leads to an address. */
  #finish(socket: Net.Socket, address: NetAddress.IpAddress, done: Opened): void {
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
  #throughProxy(
    proxy: Proxy,
    [address, ...others]: ReadonlyArray<NetAddress.IpAddress>,
    done: Opened
  ): void {
    const { port } = this.#target
    if (address === undefined) return done(new PeerNotApproved(), null)
    this.stage = "proxy"
    this.#toProxy(proxy, done, (socket) => {
      this.stage = "tunnel"
      const literal = NetAddress.formatIp(address)
      const authority = `${literal.includes(":") ? `[${literal}]` : literal}:${port}`
      Tunnel.ask(socket, proxy.address, authority, (tunnelled) => {
        if (this.#isCancelled) return
        if (tunnelled._tag === "Open") {
          proxy.opened(this.#receiver)
          return this.#finish(socket, address, done)
        }
        socket.destroy()
        if (others.length > 0) return this.#throughProxy(proxy, others, done)
        const detail =
          tunnelled._tag === "Refused" ? `CONNECT answered ${tunnelled.status}` : tunnelled.detail
        done(
          new NotDialled(
            proxy.refused(this.#receiver, detail, {
              _tag: "Unreachable",
              cause: "refused",
              detail: `The egress proxy reached no ${this.#receiver} (${detail}).`
            })
          ),
          null
        )
      })
    })
  }

  #toProxy(proxy: Proxy, done: Opened, onOpen: (socket: Net.Socket) => void): void {
    const { host, port, secure } = proxy.address
    const fail = (error: Error) => {
      this.#socket?.destroy()
      done(new NotDialled(proxy.broke("code" in error ? String(error.code) : error.name)), null)
    }
    const plain = Net.connect({ host, port, ...connecting })
    this.#socket = plain
    plain.once("error", fail)
    plain.once("connect", () => {
      plain.off("error", fail)
      if (!secure) return onOpen(plain)
      const socket = Tls.connect({
        socket: plain,
        host,
        ...(Net.isIP(host) === 0 ? { servername: host } : {}),
        secureContext: this.#sessions.contextOf(undefined),
        rejectUnauthorized: true
      })
      this.#socket = socket
      socket.once("error", fail)
      socket.once("secureConnect", () => {
        socket.off("error", fail)
        onOpen(socket)
      })
    })
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

  readonly #lookup: Net.LookupFunction = (_host, options, callback) => {
    const answers = this.#target.addresses.map((address) => ({
      address: NetAddress.formatIp(address),
      family: NetAddress.isIpv4Address(address) ? 4 : 6
    }))
    const [first] = answers
    if (options.all || first === undefined) callback(null, answers)
    else callback(null, first.address, first.family)
  }

  #isApproved(peer: string | undefined): boolean {
    if (peer === undefined) return false
    const parsed = NetAddress.ipFromString(peer)
    if (Result.isFailure(parsed)) return false
    const address = NetAddress.toCanonical(parsed.success)
    return this.#target.addresses.some((approved) => Equal.equals(approved, address))
  }
}
