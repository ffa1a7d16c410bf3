/**
 * Decides what follows from an outcome.
 *
 * 2xx is delivered, whatever happened to the body after it. 410 means that nobody lives there any
 * more: the delivery is exhausted and the webhook disabled. What we refused to send cannot get better
 * by trying again. Everything else is tried again until the retry policy's attempts are used up,
 * but for client errors where the webhook calls them permanent.
 */
import type { Outcome } from "../domain/Attempt.ts"
import type { ClientErrors } from "../domain/Webhook.ts"
import { retryAt } from "./Backoff.ts"
import { retryAfterAt } from "./RetryAfter.ts"

/** What was decided about a delivery after an attempt. */
export type Verdict =
  | { readonly _tag: "Delivered" }
  /** Another attempt at `at`, epoch milliseconds. */
  | { readonly _tag: "Again"; readonly at: number }
  | { readonly _tag: "Exhausted" }
  /** Exhausted, and so is the webhook: its receiver asked for nothing more, ever. */
  | { readonly _tag: "Gone" }

/** Decides about one attempt. */
export const decide = (input: {
  readonly outcome: Outcome
  /** Epoch milliseconds. */
  readonly now: number
  /** What the retry policy waits after this attempt, or null when its attempts are used up. */
  readonly delayMs: number | null
  readonly clientErrors: ClientErrors
}): Verdict => {
  const { clientErrors, delayMs, now, outcome } = input
  if (succeeded(outcome)) return delivered
  if (outcome._tag === "Responded" && outcome.statusCode === 410) return gone
  if (delayMs === null || !isRetryable(outcome, clientErrors)) return exhausted
  const asked = outcome._tag === "Responded" ? retryAfterAt(outcome.headers, now) : null
  return { _tag: "Again", at: retryAt({ now, delayMs, retryAfterAt: asked }) }
}

/** Tells whether the receiver took the message. */
export const succeeded = (outcome: Outcome): boolean =>
  outcome._tag === "Responded" && outcome.statusCode >= 200 && outcome.statusCode < 300

/** Tells whether trying again can help, so that the retry policy has a say. */
export const isRetryable = (outcome: Outcome, clientErrors: ClientErrors): boolean => {
  if (outcome._tag !== "Responded") return outcome._tag !== "Refused"
  const { statusCode } = outcome
  if (succeeded(outcome) || statusCode === 410) return false
  return clientErrors === "retry" || !isClientError(statusCode)
}

/** Tells whether a status says that the request is wrong, not that the receiver is busy or late. */
const isClientError = (status: number): boolean =>
  status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429

/**
 * Reads until when (epoch milliseconds) a receiver that has too much to do asks for no request at
 * all: `Retry-After` of a 429 or 503 speaks for the whole webhook. Null when it does not ask.
 */
export const throttledUntil = (outcome: Outcome, now: number): number | null =>
  outcome._tag === "Responded" && (outcome.statusCode === 429 || outcome.statusCode === 503)
    ? retryAfterAt(outcome.headers, now)
    : null

const delivered: Verdict = { _tag: "Delivered" }
const exhausted: Verdict = { _tag: "Exhausted" }
const gone: Verdict = { _tag: "Gone" }
