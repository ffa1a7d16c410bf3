/**
 * The forward proxy that receivers are reached through, and whom its failures are charged to.
 *
 * A tunnel that does not open may be the fault of the proxy or of the receiver behind it, and the
 * proxy's word does not tell which: many answer 503 for both. So a failure is the proxy's, unless the
 * same receiver failed before and another one's tunnel was opened since then. A receiver that works is
 * charged with nothing during an outage of the proxy, and one that is dead cannot hide behind it.
 */
import * as Result from "effect/Result"
import type { NotSent, Outcome } from "../../domain/Attempt.ts"
import { keep } from "./Recency.ts"

/** Where the proxy is and what it wants to know. */
export interface ProxyAddress {
  /** A name, or an address without brackets. */
  readonly host: string
  readonly port: number
  /** Whether the proxy itself is spoken to over TLS. */
  readonly secure: boolean
  /** The value of `proxy-authorization`, or null. */
  readonly authorization: string | null
}

/** Reads the URL of a proxy. What is wrong is told without the URL, which may hold a password. */
export const parse = (text: string): Result.Result<ProxyAddress, string> => {
  const url = URL.parse(text)
  if (
    url === null ||
    (url.protocol !== "http:" && url.protocol !== "https:") ||
    url.pathname !== "/" ||
    url.search !== "" ||
    url.hash !== ""
  ) {
    return Result.fail("expected a URL such as http://user:password@proxy.example:3128")
  }
  const secure = url.protocol === "https:"
  const credentials = Result.try(() =>
    [url.username, url.password].map(decodeURIComponent).join(":")
  )
  if (Result.isFailure(credentials)) {
    return Result.fail("expected a user and a password whose special characters are encoded as %XX")
  }
  return Result.succeed({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (secure ? 443 : 80),
    secure,
    authorization:
      credentials.success === ":"
        ? null
        : `Basic ${Buffer.from(credentials.success).toString("base64")}`
  })
}

/** How the way out is: without a proxy, or with one that did what it was last asked for or did not. */
export type Egress = "direct" | "proxy" | "proxy_failing"

/** Receivers whose failures are remembered. The one that was longest silent makes room. */
const failuresMax = 1_000

/** A proxy and how it did lately. */
export class Proxy {
  readonly address: ProxyAddress
  readonly #now: () => number
  readonly #onFailing: () => void
  #failure: string | null = null
  /** When the tunnel of a receiver did not open, and it has not opened since. */
  readonly #failedAt = new Map<string, number>()
  /** The last two tunnels that opened, of different receivers. */
  #opened = { receiver: "", at: -Infinity }
  #openedBefore = { receiver: "", at: -Infinity }

  /** Reads times from `now`, in any unit, and calls `onFailing` whenever the proxy begins to fail. */
  constructor(address: ProxyAddress, now: () => number, onFailing: () => void) {
    this.address = address
    this.#now = now
    this.#onFailing = onFailing
  }

  /** How it failed, or null where the last tunnel that was asked for was opened. */
  get failure(): string | null {
    return this.#failure
  }

  /** Notes that the tunnel to a receiver was opened. */
  opened(receiver: string): void {
    this.#failedAt.delete(receiver)
    if (this.#opened.receiver !== receiver) this.#openedBefore = this.#opened
    this.#opened = { receiver, at: this.#now() }
    this.#failure = null
  }

  /** Notes that the proxy could not be reached or broke off: nothing that a receiver could cause. */
  broke(detail: string): NotSent {
    const began = this.#failure === null
    this.#failure = detail
    if (began) this.#onFailing()
    return { _tag: "NotSent", cause: "proxy", detail: `The egress proxy failed (${detail}).` }
  }

  /** Notes that the tunnel to a receiver was not opened, which is `charged` if it is its own fault. */
  refused(receiver: string, detail: string, charged: Outcome): Outcome {
    const at = this.#now()
    const before = this.#failedAt.get(receiver)
    keep(this.#failedAt, failuresMax, receiver, at)
    const other = this.#opened.receiver === receiver ? this.#openedBefore : this.#opened
    return before !== undefined && other.at > before ? charged : this.broke(detail)
  }
}
