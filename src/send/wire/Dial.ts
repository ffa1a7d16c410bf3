/**
 * Opens one socket to a receiver: TCP to an approved address, then TLS where the URL asks for it.
 *
 * Promises: nobody is asked for an address again, so what was judged is what is connected to; the
 * peer is compared with the approved addresses before the first byte is written; TLS is 1.2 or
 * later and its certificate is checked against the name in the URL, whatever the environment says.
 *
 * Leaves to others: judging addresses (`AddressGuard`), deadlines and reuse (`HttpSender`).
 */
import * as Equal from "effect/Equal"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Tls from "node:tls"

/** Where a socket leads to. */
export interface Target {
  /** The host of the URL: a name, or an address without brackets. */
  readonly host: string
  readonly port: number
  readonly secure: boolean
  /** The addresses that may be connected to, in order of preference. */
  readonly addresses: ReadonlyArray<NetAddress.IpAddress>
}

/** How far a socket has come: connecting, shaking hands, or ready for a request. */
export type Stage = "connect" | "tls" | "open"

/** The socket's peer was none of the approved addresses; the socket was destroyed unused. */
export class PeerNotApproved extends Error {}

/** What the TLS handshakes of one sender share: trusted roots and sessions to resume. */
export class TlsSessions {
  readonly context: Tls.SecureContext
  readonly #sessions = new Map<string, Buffer>()

  /** Trusts the default roots and, where given, more certificates in PEM. */
  constructor(certificates: ReadonlyArray<string>) {
    this.context = Tls.createSecureContext({
      minVersion: "TLSv1.2",
      ...(certificates.length === 0
        ? {}
        : { ca: [...Tls.getCACertificates("default"), ...certificates] })
    })
  }

  /** Returns the session to resume with a host and port, if there is one. */
  get(key: string): Buffer | undefined {
    return this.#sessions.get(key)
  }

  /** Keeps a session; the one that was kept longest makes room. */
  set(key: string, session: Buffer): void {
    this.#sessions.delete(key)
    if (this.#sessions.size >= sessionsMax) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest)
        break
      }
    }
    this.#sessions.set(key, session)
  }
}

const sessionsMax = 1_000

/**
 * How long one of several addresses is tried before the next. Shorter than a second, one lost SYN
 * would count as a dead address.
 */
const addressTimeoutMs = 1_000

/** Takes the socket, or the error that stood in its way. */
type Opened = (...result: [null, Net.Socket] | [Error, null]) => void

/** Opens a socket once. */
export class Dial {
  stage: Stage = "connect"
  readonly #target: Target
  readonly #sessions: TlsSessions
  #socket: Net.Socket | undefined

  constructor(target: Target, sessions: TlsSessions) {
    this.#target = target
    this.#sessions = sessions
  }

  /** Starts; `done` is called once with a socket or an error, and never after `cancel`. */
  open(done: Opened): void {
    const { host, port, secure } = this.#target
    const socket = Net.connect({
      host,
      port,
      lookup: this.#lookup,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: addressTimeoutMs,
      noDelay: true,
      keepAlive: true
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
      if (secure) return this.#secure(socket, done)
      this.stage = "open"
      done(null, socket)
    })
  }

  /** Closes the socket wherever it stands. */
  cancel(): void {
    this.#socket?.destroy()
  }

  #secure(plain: Net.Socket, done: Opened): void {
    const { host, port } = this.#target
    this.stage = "tls"
    const key = `${host}:${port}`
    const session = this.#sessions.get(key)
    const socket = Tls.connect({
      socket: plain,
      host,
      ...(Net.isIP(host) === 0 ? { servername: host } : {}),
      secureContext: this.#sessions.context,
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
