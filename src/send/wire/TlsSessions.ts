/**
 * What the TLS handshakes of one sender share: trusted roots, client certificates, sessions to resume.
 *
 * Promises: TLS 1.2 or later; no key below 2,048 bits of RSA and no signature by SHA-1, whatever Node
 * was told at its start; the number of contexts and of sessions is bounded.
 */
import * as Redacted from "effect/Redacted"
import * as Tls from "node:tls"
import { keep } from "./Recency.ts"

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
      ciphers,
      ...(certificate === undefined || key === undefined
        ? {}
        : { cert: certificate, key: Redacted.value(key) }),
      ...(more.length === 0 ? {} : { ca: [...Tls.getCACertificates("default"), ...more] })
    })
  }
}

/** Said aloud because --tls-cipher-list may have lowered the level; the last one counts. */
const ciphers = `${Tls.DEFAULT_CIPHERS}:@SECLEVEL=2`

const sessionsMax = 1_000
/** Each may hold the usual roots once more, half a megabyte. */
const contextsMax = 100
