/**
 * Verifies a request that Posthaste, or any sender of Standard Webhooks, signed: for receivers.
 *
 * Needs nothing but Node's crypto, and the body exactly as it came, before any parsing. The check is
 * constant in time, accepts any of several signatures (secrets overlap while one is rotated) and
 * refuses timestamps more than 300 seconds away. Source: Standard Webhooks 1.0.0.
 */
import { createHmac, timingSafeEqual } from "node:crypto"

/** The headers of a request: plain, with any case, or a Fetch `Headers`. */
export type IncomingHeaders =
  | { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  | { readonly get: (name: string) => string | null }

/** What a check came to. `reason` is a sentence for the receiver's log, not for the sender. */
export type Verification =
  | { readonly ok: true; readonly id: string; readonly timestampSeconds: number }
  | { readonly ok: false; readonly reason: string }

/** What a check needs. */
export interface VerifyOptions {
  /** One secret, or several of which any may have signed: `whsec_…`. */
  readonly secret: string | ReadonlyArray<string>
  readonly headers: IncomingHeaders
  /** The raw body. */
  readonly body: Uint8Array | string
  /** Seconds since the epoch; the present by the machine's clock when absent. */
  readonly nowSeconds?: number
  /** How far the timestamp may be away, in seconds. 300 by default. */
  readonly toleranceSeconds?: number
}

/**
 * Checks a request's signature and age.
 *
 * **Example**
 *
 * ```ts
 * const result = verify({ secret, headers: request.headers, body: rawBody })
 * if (!result.ok) return respond(400)
 * ```
 */
export const verify = (options: VerifyOptions): Verification => {
  const id = header(options.headers, "webhook-id")
  const timestamp = header(options.headers, "webhook-timestamp")
  const signatures = header(options.headers, "webhook-signature")
  if (id === undefined || timestamp === undefined || signatures === undefined) {
    return refuse("webhook-id, webhook-timestamp or webhook-signature is missing or repeated")
  }
  if (!/^\d{1,12}$/.test(timestamp)) return refuse("webhook-timestamp is not a number of seconds")
  const timestampSeconds = Number(timestamp)
  const nowSeconds = Math.floor(options.nowSeconds ?? Date.now() / 1000)
  const tolerance = options.toleranceSeconds ?? 300
  if (Math.abs(nowSeconds - timestampSeconds) > tolerance) {
    return refuse(`webhook-timestamp is more than ${tolerance} seconds away`)
  }
  const secrets = typeof options.secret === "string" ? [options.secret] : options.secret
  if (secrets.length === 0) throw new TypeError("verify needs a secret")
  const given = signatures
    .split(" ")
    .filter((signature) => signature.startsWith("v1,"))
    .map((signature) => Buffer.from(signature.slice(3), "base64"))
  let matched = false
  for (const secret of secrets) {
    const expected = createHmac("sha256", keyOf(secret))
      .update(`${id}.${timestamp}.`)
      .update(options.body)
      .digest()
    // Every pair is compared, so that the time taken says nothing about which one matched.
    for (const signature of given) {
      if (signature.length === expected.length && timingSafeEqual(signature, expected)) {
        matched = true
      }
    }
  }
  return matched ? { ok: true, id, timestampSeconds } : refuse("no signature matches")
}

const refuse = (reason: string): Verification => ({ ok: false, reason })

const header = (headers: IncomingHeaders, name: string): string | undefined => {
  if (isFetchHeaders(headers)) return headers.get(name) ?? undefined
  const found = Object.entries(headers).filter(
    ([key, value]) => key.toLowerCase() === name && value !== undefined
  )
  const value = found.length === 1 ? found[0]![1] : undefined
  return typeof value === "string" ? value : undefined
}

const isFetchHeaders = (
  headers: IncomingHeaders
): headers is { readonly get: (name: string) => string | null } =>
  typeof headers["get"] === "function"

const keyOf = (secret: string): Uint8Array => {
  const body = secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret
  const key = Buffer.from(body, "base64")
  if (key.length === 0) throw new TypeError("the secret is empty")
  return key
}
