/**
 * The extra headers that a webhook's requests carry, proven when they are written down.
 *
 * A header that passes never makes the sender fail: names are RFC 9110 tokens, values are printable
 * ASCII and tab. Names that frame the request, that we or proxies set, or that open cloud metadata
 * services are reserved. Source: RFC 9110 sections 5.1, 5.5 and 5.6.2.
 */
import * as Schema from "effect/Schema"

/** How many headers a webhook may have, and how long, in bytes of name and value together. */
export const headerLimits = { count: 20, bytesEach: 4_096, bytesInAll: 8_192 } as const

/** One header that cannot be sent, and why. */
export interface HeaderProblem {
  readonly name: string
  readonly message: string
}

/** Lists what is wrong with a set of headers; nothing when all can be sent. */
export const problems = (
  headers: Readonly<Record<string, string>>
): ReadonlyArray<HeaderProblem> => {
  const found: Array<HeaderProblem> = []
  const seen = new Set<string>()
  let bytesInAll = 0
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    bytesInAll += name.length + value.length
    const message = seen.has(lower) ? "Given twice, in another case" : problemOf(lower, value)
    seen.add(lower)
    if (message !== undefined) found.push({ name, message })
    if (found.length === headerLimits.count) break
  }
  if (seen.size > headerLimits.count) {
    found.push({ name: "", message: `Expected at most ${headerLimits.count} headers` })
  }
  if (bytesInAll > headerLimits.bytesInAll) {
    found.push({ name: "", message: `Expected at most ${headerLimits.bytesInAll} bytes in all` })
  }
  return found
}

/** Tells whether a header of this name is set by Posthaste or by nobody. */
export const isReserved = (name: string): boolean => {
  const lower = name.toLowerCase()
  return reserved.has(lower) || reservedPrefixes.some((prefix) => lower.startsWith(prefix))
}

/** The name of one header that people may set. */
export const HeaderName = Schema.String.check(
  Schema.makeFilter((name: string) => problems({ [name]: "" })[0]?.message),
  Schema.isMaxLength(128)
)

/** Extra headers by name, each checked as `problems` does. */
export const RequestHeaders = Schema.Record(Schema.String, Schema.String).check(
  Schema.makeFilter((headers: Readonly<Record<string, string>>) =>
    problems(headers).map(({ name, message }) => ({
      path: name === "" ? [] : [name],
      issue: message
    }))
  )
)
export type RequestHeaders = typeof RequestHeaders.Type

const problemOf = (lower: string, value: string): string | undefined => {
  // `__proto__` is a token, but no key of a plain object.
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(lower) || lower === "__proto__") {
    return "Expected a header name of letters, digits and -"
  }
  if (isReserved(lower)) return "This header is reserved"
  if (!/^[\t\x20-\x7e]*$/.test(value)) return "Expected a value of printable ASCII characters"
  if (value !== value.trim()) return "Expected a value without spaces at its ends"
  if (lower.length + value.length > headerLimits.bytesEach) {
    return `Expected at most ${headerLimits.bytesEach} bytes`
  }
  return undefined
}

const reserved: ReadonlySet<string> = new Set([
  "accept-encoding",
  "b3",
  "baggage",
  "connection",
  "cookie",
  "date",
  "expect",
  "forwarded",
  "host",
  "http2-settings",
  "keep-alive",
  "metadata",
  "metadata-flavor",
  "te",
  "traceparent",
  "tracestate",
  "trailer",
  "trailers",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "via",
  "x-real-ip"
])

const reservedPrefixes: ReadonlyArray<string> = [
  "content-",
  "posthaste-",
  "proxy-",
  "sec-",
  "svix-",
  "webhook-",
  "x-amz-",
  "x-aws-",
  "x-azure-",
  "x-b3-",
  "x-forwarded-",
  "x-goog-",
  "x-google-"
]
