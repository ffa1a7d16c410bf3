/**
 * What each class of failed attempts leads to, and how a webhook changes that.
 */
import * as Schema from "effect/Schema"
import type { AttemptClass } from "./Attempt.ts"

/**
 * What follows from a failed attempt: `retry` by the retry policy, `exhaust` the delivery at once,
 * exhaust it and `disable` the webhook, or keep it and `pause` the webhook until someone resumes it.
 */
export const FailureVerdict = Schema.Literals(["retry", "exhaust", "disable", "pause"])
export type FailureVerdict = typeof FailureVerdict.Type

/** The classes of attempts that failed; what was not sent was no attempt. */
export type FailureClass = Exclude<AttemptClass, "status_2xx" | "not_sent">

const verdict = Schema.optionalKey(FailureVerdict)

/**
 * The verdicts that a webhook sets itself; a class that is not named has its default. `status_4xx`
 * speaks of the statuses without a class of their own but for 408 and 425, which ask to be tried again.
 */
export const OnFailure = Schema.Struct({
  status_3xx: verdict,
  status_4xx: verdict,
  status_410: verdict,
  status_429: verdict,
  status_5xx: verdict,
  dns: verdict,
  refused: verdict,
  reset: verdict,
  connect_timeout: verdict,
  tls: verdict,
  headers_timeout: verdict,
  body_timeout: verdict,
  deadline: verdict,
  protocol: verdict,
  blocked: verdict,
  auth: verdict
})
export type OnFailure = typeof OnFailure.Type

/** What a failure leads to where the webhook says nothing else. */
export const defaultVerdicts: { readonly [C in FailureClass]: FailureVerdict } = {
  status_3xx: "retry",
  status_4xx: "retry",
  status_410: "disable",
  status_429: "retry",
  status_5xx: "retry",
  dns: "retry",
  refused: "retry",
  reset: "retry",
  connect_timeout: "retry",
  tls: "retry",
  headers_timeout: "retry",
  body_timeout: "retry",
  deadline: "retry",
  protocol: "retry",
  blocked: "exhaust",
  auth: "retry"
}
