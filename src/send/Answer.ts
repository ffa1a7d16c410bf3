/**
 * What may be kept of an answer: nothing of the request that only the receiver is to know, and no query
 * of a redirect.
 *
 * A receiver that echoes requests would otherwise bring signatures, credentials and the values of a
 * webhook's headers into the log, where they are read by more people, and unsealed. Eight asterisks
 * stand in their place, whether a value is echoed as it is, escaped, or in base64 or hex. Values of
 * less than six characters are not looked for, since they are found in any text.
 */
import type { Outcome, Responded } from "../domain/Attempt.ts"
import { mask } from "../domain/Mask.ts"
import { resolve, type Signature } from "../domain/Signature.ts"
import type { HttpRequest } from "./HttpSender.ts"

/** Leaves out of an outcome what must not be written down of it. */
export const discreet = (outcome: Outcome, request: HttpRequest, signature: Signature): Outcome => {
  if (outcome._tag !== "Responded") return outcome
  const isRedirect = outcome.headers["location"] !== undefined
  const answer = isRedirect ? withoutQuery(outcome) : outcome
  // What was cut may end with the beginning of what is longer.
  let lengthMax = answer.truncated ? Infinity : answer.body.length
  for (const name in answer.headers) {
    lengthMax = Math.max(lengthMax, answer.headers[name]!.length)
  }
  const needles = needlesOf(request, signature, lengthMax)
  return needles.length === 0 ? answer : without(answer, needles)
}

/** Keeps of a redirect where it leads to: scheme, host and path. */
const withoutQuery = (answer: Responded): Responded => {
  const location = (answer.headers["location"] ?? "")
    .replace(/[?#].*$/s, "")
    .replace(/^([^/]*\/\/)[^/]*@/, "$1")
  return { ...answer, headers: { ...answer.headers, location } }
}

/** A text that must not be kept, in one of the forms in which it may be echoed. */
interface Needle {
  readonly bytes: Buffer
  readonly form: keyof typeof forms
}

/** How long a text becomes in each form, and what it becomes. */
const forms = {
  plain: {
    length: (bytes: Buffer) => bytes.length,
    text: (bytes: Buffer) => bytes.toString("latin1").replace(/=+$/, "")
  },
  base64: {
    // Without padding, which some leave out.
    length: (bytes: Buffer) => Math.ceil((bytes.length * 4) / 3),
    text: (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "")
  },
  hex: {
    length: (bytes: Buffer) => bytes.length * 2,
    text: (bytes: Buffer) => bytes.toString("hex")
  }
} as const

/** Shorter texts are found anywhere. */
const lengthMin = 6

/** Signatures and tokens stand among other things in their headers; shorter pieces are none. */
const pieceLengthMin = 16

const noNeedles: ReadonlyArray<Needle> = []

/** Lists what a text of up to a length could have of a request's confidential headers. */
const needlesOf = (
  { headers }: HttpRequest,
  signature: Signature,
  lengthMax: number
): ReadonlyArray<Needle> => {
  let found: Array<Needle> | undefined
  for (const name in headers) {
    const value = headers[name]!
    if (value.length < lengthMin || plain.has(name.toLowerCase())) continue
    const scheme = resolve(signature)
    if (scheme.kind === "hex" && (name === scheme.timestampHeader || name === scheme.typeHeader)) {
      continue
    }
    // Most answers are shorter than any signature.
    if (scheme.kind === "standard" && lengthMax < pieceLengthMin * 2 && signed.has(name)) continue
    for (const part of partsOf(value)) {
      const bytes = Buffer.from(part)
      for (const form of ["plain", "base64", "hex"] as const) {
        if (forms[form].length(bytes) > lengthMax) break
        found ??= []
        found.push({ bytes, form })
      }
    }
  }
  return found ?? noNeedles
}

/** Headers whose values tell nobody anything. */
const plain: ReadonlySet<string> = new Set([
  "accept",
  "accept-language",
  "cache-control",
  "content-type",
  "posthaste-attempt",
  "svix-id",
  "svix-timestamp",
  "traceparent",
  "user-agent",
  "webhook-id",
  "webhook-timestamp"
])

const signed: ReadonlySet<string> = new Set(["webhook-signature", "svix-signature"])

/** Lists a value and the pieces of it that are confidential by themselves. */
const partsOf = (value: string): ReadonlySet<string> => {
  const parts = new Set([value])
  for (const piece of value.split(/[\s,;]+/)) {
    // A name may stand before it: `v1=`, `sha256=`.
    const unnamed = piece.replace(/^[\w-]+=(?=[^=])/, "")
    if (unnamed.length >= pieceLengthMin) parts.add(unnamed)
  }
  const [, scheme, credential] = /^(basic|bearer|token) +(.+)$/i.exec(value) ?? []
  if (scheme !== undefined && credential !== undefined) {
    parts.add(credential)
    if (scheme.toLowerCase() === "basic") {
      const pair = Buffer.from(credential, "base64").toString()
      parts.add(pair).add(pair.slice(pair.indexOf(":") + 1))
    }
  }
  for (const part of parts) if (part.length < lengthMin) parts.delete(part)
  return parts
}

/** Tells at little cost whether a text in lower case may have a needle. */
const isLikely = (lower: string, { bytes, form }: Needle): boolean => {
  // Groups of base64 are of three bytes, so these begin as all of them do.
  const beginning = forms[form].text(bytes.subarray(0, 15))
  // No escaping changes letters and digits.
  const [probe = ""] = /[A-Za-z0-9]{6}/.exec(beginning) ?? /[A-Za-z0-9]{3}/.exec(beginning) ?? []
  return lower.includes(probe.toLowerCase())
}

const without = (answer: Responded, needles: ReadonlyArray<Needle>): Responded => {
  const { body, headers, truncated } = answer
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1")
  let all = text
  for (const name in headers) all += ` ${headers[name]}`
  const lower = all.toLowerCase()
  const likely = needles.filter((needle) => isLikely(lower, needle))
  if (likely.length === 0 && !truncated) return answer
  const masked = hide(text, likely, truncated ? needles : [])
  const kept: Record<string, string> = {}
  let isChanged = masked !== text
  for (const name in headers) {
    kept[name] = hide(headers[name]!, likely, [])
    isChanged ||= kept[name] !== headers[name]
  }
  return isChanged
    ? { ...answer, body: new Uint8Array(Buffer.from(masked, "latin1")), headers: kept }
    : answer
}

/** Masks needles in a text of bytes, and at its end the beginning of one of those it may be cut in. */
const hide = (text: string, needles: ReadonlyArray<Needle>, cut: ReadonlyArray<Needle>): string => {
  const folded = fold(text)
  const found: Array<readonly [from: number, to: number]> = []
  for (const needle of needles) {
    const sought = foldedOf(needle)
    if (sought.length < lengthMin) continue
    for (let from = 0; (from = folded.text.indexOf(sought, from)) >= 0;) {
      let to = from + sought.length
      while (folded.text[to] === "=") to++
      found.push([from, to])
      from = to
    }
  }
  const begun = Math.max(0, ...cut.map((needle) => begunAtEnd(folded.text, foldedOf(needle))))
  if (begun > 0) found.push([folded.text.length - begun, folded.text.length])
  let hidden = ""
  let last = 0
  for (const [from, to] of found.sort(([a], [b]) => a - b)) {
    if (to <= last) continue
    if (from >= last) hidden += text.slice(folded.at[last], folded.at[from]) + mask
    last = to
  }
  return hidden + text.slice(folded.at[last])
}

interface Folded {
  readonly text: string
  /** Where each of its characters stands in what was folded, and then the length of that. */
  readonly at: ReadonlyArray<number>
}

const escapes = /\\+(?:u([0-9a-f]{4}))?|%([0-9a-f]{2})|&#x0*([0-9a-f]{2});|&#0*(\d{2,3});/gi

/**
 * Makes alike what one text becomes in JSON, URLs, HTML, and base64 of either alphabet: in lower case,
 * with marks as they are, and no backslash.
 */
const fold = (original: string): Folded => {
  let text = ""
  const at: Array<number> = []
  const add = (piece: string, from: number, step: 0 | 1) => {
    text += piece
    for (let i = 0; i < piece.length; i++) at.push(from + i * step)
  }
  let last = 0
  for (const { 0: escape, 1: utf16, 2: url, 3: hex, 4: decimal, index } of original.matchAll(
    escapes
  )) {
    add(original.slice(last, index), last, 1)
    if (utf16 !== undefined) {
      const char = String.fromCharCode(parseInt(utf16, 16))
      add(Buffer.from(char).toString("latin1"), index, 0)
    } else if (url !== undefined || hex !== undefined) {
      add(String.fromCharCode(parseInt(url ?? hex ?? "", 16)), index, 0)
    } else if (decimal !== undefined) {
      add(String.fromCharCode(Number(decimal) % 256), index, 0)
    }
    last = index + escape.length
  }
  add(original.slice(last), last, 1)
  at.push(original.length)
  return { text: text.toLowerCase().replaceAll(/[ -]/g, "+").replaceAll("_", "/"), at }
}

const foldedOf = ({ bytes, form }: Needle): string => fold(forms[form].text(bytes)).text

/** The length of the longest beginning of a needle that a text ends with, or 0. */
const begunAtEnd = (text: string, needle: string): number => {
  for (let length = Math.min(needle.length, text.length) - 1; length >= lengthMin; length--) {
    if (text.endsWith(needle.slice(0, length))) return length
  }
  return 0
}
