/**
 * Verifies a request that Posthaste, or any sender of Standard Webhooks, signed: for receivers.
 *
 * Needs nothing but Node's crypto (Node 20 or later), and the body exactly as it came, before any
 * parsing. Comparing takes the same time whatever is given, several secrets may be valid while one
 * is rotated, and a signed timestamp more than 300 seconds away is refused. A wrong request is an
 * answer; a wrong secret or setting of the receiver throws a TypeError.
 *
 * **Example**
 *
 * ```ts
 * import { createServer } from "node:http"
 * import { verify } from "posthaste/verify"
 *
 * createServer(async (request, response) => {
 *   const body = Buffer.concat(await request.toArray())
 *   const result = verify({ secret: "whsec_…", headers: request.headers, body })
 *   if (!result.ok) return response.writeHead(401).end()
 *   // The id is the same when a delivery is repeated: handle each id once.
 *   handle(result.id, JSON.parse(body.toString()))
 *   response.writeHead(204).end()
 * })
 * ```
 *
 * Source: Standard Webhooks 1.0.0.
 */
import { createHmac, createPublicKey, timingSafeEqual, verify as verifyWith } from "node:crypto"

/** The headers of a request: plain, with any case, or a Fetch `Headers`. */
export type IncomingHeaders =
  | { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  | { readonly get: (name: string) => string | null }

/** What a check came to. `reason` is a sentence for the receiver's log, not for the sender. */
export type Verification =
  | { readonly ok: true; readonly id: string; readonly timestampSeconds: number }
  | { readonly ok: false; readonly reason: string }

/** What every check needs. */
export interface CheckOptions {
  readonly headers: IncomingHeaders
  /** The raw body. */
  readonly body: Uint8Array | string
  /** Seconds since the epoch; the present by the machine's clock when absent. */
  readonly nowSeconds?: number
  /** How far the timestamp may be away, in seconds. 300 by default. */
  readonly toleranceSeconds?: number
}

/** What a check of Standard Webhooks needs. */
export interface VerifyOptions extends CheckOptions {
  /**
   * One secret, or several of which any may have signed: `whsec_…`, or the public key `whpk_…` of a
   * webhook that signs with a private one. A secret without `whsec_` is read as base64.
   */
  readonly secret: string | ReadonlyArray<string>
}

/**
 * Checks the signature and age of a request with the headers `webhook-id`, `webhook-timestamp` and
 * `webhook-signature`.
 *
 * **Details**
 *
 * A signature is `v1` (HMAC-SHA256) or `v1a` (Ed25519), and one that matches is enough: of other
 * versions nothing is expected. Headers that come twice are refused, and so is an id with a dot,
 * which would leave open where the id ends in what was signed.
 *
 * **Example**
 *
 * ```ts
 * const result = verify({ secret: [current, former], headers: request.headers, body: rawBody })
 * if (!result.ok) return respond(401)
 * ```
 */
export const verify = (options: VerifyOptions): Verification => {
  const keys = listOf(options.secret).map(standardKey)
  const id = header(options.headers, "webhook-id")
  const timestamp = header(options.headers, "webhook-timestamp")
  const signatures = header(options.headers, "webhook-signature")
  if (id === undefined || timestamp === undefined || signatures === undefined) {
    return refuse("webhook-id, webhook-timestamp or webhook-signature is missing or repeated")
  }
  if (id.includes(".")) return refuse("webhook-id holds a dot")
  // No signature ends in a comma, but a header that came twice is often joined by one.
  if (signatures.includes(", ")) return refuse("webhook-signature is repeated")
  const given = signatures.split(" ")
  if (given.length > signaturesMax) return refuse("webhook-signature holds too many signatures")
  const age = ageOf(timestamp, options)
  if (!age.ok) return age
  const head = `${id}.${timestamp}.`
  let matched = false
  // Every pair is compared, so that the time taken says nothing about which one matched.
  for (const key of keys) {
    const isMatch = key(head, options.body)
    for (const signature of given) if (isMatch(signature)) matched = true
  }
  return matched
    ? { ok: true, id, timestampSeconds: age.timestampSeconds }
    : refuse("no signature matches")
}

/** The hex signatures that have a name. */
export type HexPreset = "x-signature" | "hex" | "github" | "stripe"

/** A hex signature: exactly what the webhook's `signature` says. */
export type HexSignature =
  | HexPreset
  | {
      readonly scheme?: "hex"
      /** Carries the signature. */
      readonly header: string
      /** `plain`: the prefix and the hex; `t,v1`: `t=<seconds>,v1=<hex>`. `plain` by default. */
      readonly style?: "plain" | "t,v1"
      /** Stands before the hex, such as `sha256=`. Empty by default. */
      readonly prefix?: string
      /** What is signed. `body` by default, and `timestamp.body` in the style `t,v1`. */
      readonly signs?: "body" | "timestamp.body" | "timestamp,body"
      /** Carries the seconds; `webhook-timestamp` does when absent. */
      readonly timestampHeader?: string
      /** Carries the type of the message; nothing is verified about it. */
      readonly typeHeader?: string
    }

/** What a check of a hex signature came to; the timestamp is null where none is signed. */
export type HexVerification =
  | { readonly ok: true; readonly timestampSeconds: number | null }
  | { readonly ok: false; readonly reason: string }

/** What a check of a hex signature needs. */
export interface VerifyHexOptions extends CheckOptions {
  readonly signature: HexSignature
  /**
   * One secret, or several of which any may have signed. The key is what follows `whsec_` decoded,
   * where that is the base64 of 24 to 64 bytes, and otherwise the text itself. Bytes are the key.
   */
  readonly secret: string | Uint8Array | ReadonlyArray<string | Uint8Array>
}

/**
 * Checks a signature in hex, and its age where the signature covers the timestamp.
 *
 * **Gotchas**
 *
 * Of `x-signature`, `github` and every other signature over the body alone, nothing but the body is
 * proven: not the id, the type or the time in the headers, so an old request can be sent again by
 * who saw it. Prefer `verify`, or a signature over the timestamp.
 *
 * **Example**
 *
 * ```ts
 * verifyHex({ signature: "github", secret, headers: request.headers, body: rawBody })
 *
 * verifyHex({
 *   signature: { header: "X-GS-Signature", timestampHeader: "X-GS-Timestamp", signs: "timestamp.body" },
 *   secret,
 *   headers: request.headers,
 *   body: rawBody
 * })
 * ```
 */
export const verifyHex = (options: VerifyHexOptions): HexVerification => {
  const keys = listOf(options.secret).map(hexKey)
  const form = formOf(options.signature)
  const value = header(options.headers, form.header)
  if (value === undefined) return refuse(`${form.header} is missing or repeated`)
  const read = form.style === "plain" ? plain(value, form, options.headers) : pairs(value)
  if (read === undefined) return refuse(`${form.header} is not in the form that is expected`)
  if (read.given.length > signaturesMax) return refuse(`${form.header} holds too many signatures`)
  let timestampSeconds: number | null = null
  let head = ""
  if (form.joint !== "") {
    const age = ageOf(read.timestamp ?? "", options)
    if (!age.ok) return age
    timestampSeconds = age.timestampSeconds
    head = `${read.timestamp}${form.joint}`
  }
  let matched = false
  for (const key of keys) {
    const expected = createHmac("sha256", key).update(head).update(options.body).digest("hex")
    for (const signature of read.given) if (same(signature, expected)) matched = true
  }
  return matched ? { ok: true, timestampSeconds } : refuse("no signature matches")
}

/** The most signatures of one request that are compared: each costs time before it is believed. */
const signaturesMax = 32

const refuse = (reason: string) => ({ ok: false, reason }) as const

const same = (given: string, expected: string): boolean => {
  const bytes = Buffer.from(given)
  return bytes.length === expected.length && timingSafeEqual(bytes, Buffer.from(expected))
}

const ageOf = (
  timestamp: string,
  options: CheckOptions
):
  | { readonly ok: true; readonly timestampSeconds: number }
  | { readonly ok: false; readonly reason: string } => {
  if (!/^\d{1,12}$/.test(timestamp)) return refuse("the timestamp is not a number of seconds")
  const timestampSeconds = Number(timestamp)
  const nowSeconds = Math.floor(options.nowSeconds ?? Date.now() / 1000)
  const tolerance = options.toleranceSeconds ?? 300
  return Math.abs(nowSeconds - timestampSeconds) <= tolerance
    ? { ok: true, timestampSeconds }
    : refuse(`the timestamp is more than ${tolerance} seconds away`)
}

/** Finds a header that is there once and not empty. */
const header = (headers: IncomingHeaders, name: string): string | undefined => {
  if (isFetchHeaders(headers)) return headers.get(name) || undefined
  const lower = name.toLowerCase()
  const found = Object.entries(headers)
    .filter(([key, value]) => key.toLowerCase() === lower && value !== undefined)
    .flatMap(([, value]) => value)
  return found.length === 1 ? found[0] || undefined : undefined
}

const isFetchHeaders = (
  headers: IncomingHeaders
): headers is { readonly get: (name: string) => string | null } =>
  typeof headers["get"] === "function"

const listOf = <A extends string | Uint8Array>(given: A | ReadonlyArray<A>): ReadonlyArray<A> => {
  const list = isList(given) ? given : [given]
  if (list.length === 0) throw new TypeError("there is no secret to verify with")
  return list
}

const isList = <A>(given: A | ReadonlyArray<A>): given is ReadonlyArray<A> => Array.isArray(given)

/** Takes what is signed, then each signature that was given. */
type StandardKey = (head: string, body: Uint8Array | string) => (signature: string) => boolean

const standardKey = (secret: string): StandardKey => {
  if (typeof secret !== "string") throw new TypeError("a secret is not a text")
  if (secret.startsWith("whsk_")) {
    throw new TypeError("whsk_ is the sender's private key: verify with the public one, whpk_")
  }
  if (secret.startsWith("whpk_")) return publicKey(secret.slice("whpk_".length))
  const key = bytesOf(secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret)
  if (key === undefined || key.length === 0) throw new TypeError("a secret is not base64, or empty")
  return (head, body) => {
    const digest = createHmac("sha256", key).update(head).update(body).digest("base64")
    return (signature) => same(signature, `v1,${digest}`)
  }
}

/** The DER of an Ed25519 public key is its 32 bytes behind these (RFC 8410 section 4). */
const publicHead = Buffer.from("302a300506032b6570032100", "hex")

const publicKey = (text: string): StandardKey => {
  const bytes = bytesOf(text)
  if (bytes?.length !== 32) throw new TypeError("a public key is not the base64 of 32 bytes")
  const der = Buffer.concat([publicHead, bytes])
  const key = createPublicKey({ key: der, format: "der", type: "spki" })
  return (head, body) => {
    const signed = Buffer.concat([Buffer.from(head), Buffer.from(body)])
    return (signature) => {
      if (!signature.startsWith("v1a,")) return false
      const given = Buffer.from(signature.slice("v1a,".length), "base64")
      // Base64 can be written in several ways, of which one is what was sent.
      return `v1a,${given.toString("base64")}` === signature && verifyWith(null, signed, key, given)
    }
  }
}

/** Buffer skips what is no base64 instead of refusing it, so the form is checked first. */
const bytesOf = (text: string): Buffer | undefined =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text)
    ? Buffer.from(text, "base64")
    : undefined

const hexKey = (secret: string | Uint8Array): Uint8Array => {
  if (typeof secret !== "string" && !(secret instanceof Uint8Array)) {
    throw new TypeError("a secret is neither a text nor bytes")
  }
  if (secret.length === 0) throw new TypeError("a secret is empty")
  if (typeof secret !== "string") return secret
  if (/^wh[ps]k_/.test(secret)) throw new TypeError("an Ed25519 key makes no hex signatures")
  const key = secret.startsWith("whsec_") ? bytesOf(secret.slice("whsec_".length)) : undefined
  return key !== undefined && key.length >= 24 && key.length <= 64 ? key : Buffer.from(secret)
}

/** A hex signature with nothing left open. `joint` is empty where the body alone is signed. */
interface Form {
  readonly header: string
  readonly style: "plain" | "t,v1"
  readonly prefix: string
  readonly joint: "." | "," | ""
  readonly timestampHeader: string
}

const body = { style: "plain", joint: "", timestampHeader: "webhook-timestamp" } as const

const presets: { readonly [name in HexPreset]: Form } = {
  "x-signature": { ...body, header: "X-Signature-256", prefix: "sha256=" },
  hex: { ...body, header: "X-Signature-256", prefix: "sha256=" },
  github: { ...body, header: "X-Hub-Signature-256", prefix: "sha256=" },
  stripe: { ...body, header: "Stripe-Signature", style: "t,v1", prefix: "", joint: "." }
}

const formOf = (signature: HexSignature): Form => {
  if (typeof signature === "string") {
    if (Object.hasOwn(presets, signature)) return presets[signature]
    throw new TypeError(`there is no hex signature ${signature}`)
  }
  const { header, style = "plain", prefix = "", timestampHeader = "webhook-timestamp" } = signature
  const signs = signature.signs ?? (style === "plain" ? "body" : "timestamp.body")
  const joint = signs === "body" ? "" : signs === "timestamp.body" ? "." : ","
  return { header, style, prefix, joint, timestampHeader }
}

/** What a request says of its signature. */
interface Read {
  readonly given: ReadonlyArray<string>
  readonly timestamp: string | undefined
}

const plain = (value: string, form: Form, headers: IncomingHeaders): Read | undefined =>
  value.startsWith(form.prefix)
    ? {
        given: [value.slice(form.prefix.length)],
        timestamp: header(headers, form.timestampHeader)
      }
    : undefined

/** Reads `t=<seconds>,v1=<hex>,v1=<hex>`, where other names may stand between. */
const pairs = (value: string): Read | undefined => {
  const items = value.split(",")
  // A space stands there when the header came twice.
  if (items.some((item) => !/^\w+=\S+$/.test(item))) return undefined
  const named = (name: string) =>
    items.filter((item) => item.startsWith(name)).map((item) => item.slice(name.length))
  const timestamps = named("t=")
  return timestamps.length === 1 ? { given: named("v1="), timestamp: timestamps[0] } : undefined
}
