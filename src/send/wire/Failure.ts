/**
 * Names what an error of a socket, of TLS or of the HTTP parser means as an outcome.
 *
 * The details name the host of the URL and a code, never an address: what a name resolves to, and who
 * answers there, would tell a tenant how our networks look.
 */
import type { Outcome, Refused, Unreachable } from "../../domain/Attempt.ts"
import { NotDialled, PeerNotApproved, type Stage } from "./Dial.ts"

/** Names the outcome of an error that came before any status line. */
export const failureOf = (error: Error, stage: Stage, url: URL): Outcome => {
  if (error instanceof NotDialled) return error.outcome
  const code = codeOf(error)
  const reason = reasonOf(error)
  if (error instanceof PeerNotApproved) {
    return refused("peer", `${url.host} was connected at an address that was not approved.`)
  }
  if (unusableRequests.has(code))
    return refused("unusable_request", `${error.message} (${reason}).`)
  if (stage === "connect") {
    return timeouts.test(codesOf(error))
      ? { _tag: "TimedOut", phase: "connect" }
      : unreachable("refused", `No connection to ${url.host} (${reason}).`)
  }
  if (stage === "tls" || tlsErrors.test(code)) {
    return unreachable("tls", `No TLS connection with ${url.host} (${reason}).`)
  }
  return protocolErrors.test(code) || strayAnswers.has(error.message)
    ? unreachable("protocol", `${url.host} did not answer in HTTP/1.1 (${reason}).`)
    : unreachable("reset", `${url.host} closed the connection without an answer (${reason}).`)
}

/** The code of an error, or what the parser or OpenSSL says where there is none. */
export const reasonOf = (error: Error): string => {
  const code = codeOf(error)
  if (code === namelessError) return error.message
  return code === parserError ? (/\((.+)\)$/.exec(error.message)?.[1] ?? code) : code
}

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : error.name

const parserError = "HTTPParserError"

/** What Node calls a refusal of a certificate that it has no code for. */
const namelessError = "UNSPECIFIED"

/** Forms the outcome of an answer that could not be had. */
export const unreachable = (cause: Unreachable["cause"], detail: string): Unreachable => ({
  _tag: "Unreachable",
  cause,
  detail
})

const refused = (rule: string, detail: string): Refused => ({ _tag: "Refused", rule, detail })

/** All codes of an error: one that tried several addresses holds an error for each. */
const codesOf = (error: Error): string =>
  [error, ...(error instanceof AggregateError ? error.errors : [])].map(codeOf).join()

const timeouts = /\bETIMEDOUT\b/

const tlsErrors = /^(?:ERR_SSL_|ERR_TLS_|EPROTO$)/

/** The parser's errors, undici's own checks, and an assertion of it. */
const protocolErrors =
  /^(?:HPE_|HTTPParserError$|ERR_ASSERTION$|UND_ERR_HEADERS_OVERFLOW$|UND_ERR_RES_CONTENT_LENGTH)/

/** What undici says of an answer that nobody asked for: it has no code of its own. */
const strayAnswers = new Set(["bad response", "bad upgrade"])

const unusableRequests = new Set([
  "UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED",
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"
])
