/**
 * Decides what follows from an outcome.
 *
 * 2xx is delivered, whatever happened to the body after it. What a failure leads to goes by its class:
 * the webhook's `onFailure`, then its `clientErrors`, then the default. By default everything is tried
 * again until the retry policy's attempts are used up, but for 410, by which the receiver says that
 * nobody lives there any more, and for what we refused to send.
 */
import { classify, type Outcome } from "../domain/Attempt.ts"
import { defaultVerdicts, type FailureVerdict } from "../domain/OnFailure.ts"
import type { Stop, WebhookSettings } from "../domain/Webhook.ts"
import { retryAt } from "./Backoff.ts"
import { retryAfterAt } from "./RetryAfter.ts"

/** What was decided about a delivery after an attempt. */
export type Verdict =
  | { readonly _tag: "Delivered" }
  /** Another attempt at `at`, epoch milliseconds; the end, where the message expires by then. */
  | { readonly _tag: "Again"; readonly at: number }
  | { readonly _tag: "Exhausted" }

/** Decides about one attempt. */
export const decide = (input: {
  readonly outcome: Outcome
  /** Epoch milliseconds. */
  readonly now: number
  /** What `ruleOf` says of the outcome. */
  readonly rule: Rule
  /** What the retry policy waits after this attempt, or null when its attempts are used up. */
  readonly delayMs: number | null
  /** When the message is not worth sending any more, epoch milliseconds, or null. */
  readonly expiresAt: number | null
}): Verdict => {
  const { delayMs, expiresAt, now, outcome, rule } = input
  if (rule === "deliver") return delivered
  if (delayMs === null || !isRetryable(rule)) return exhausted
  const asked = outcome._tag === "Responded" ? retryAfterAt(outcome.headers, now) : null
  const at = retryAt({ now, delayMs, retryAfterAt: asked })
  return { _tag: "Again", at: expiresAt === null ? at : Math.min(at, expiresAt) }
}

/** What an outcome leads to under the settings of a webhook. */
export type Rule = "deliver" | FailureVerdict

/** Reads what an outcome leads to from the settings of the webhook. */
export const ruleOf = (
  outcome: Outcome,
  { clientErrors, onFailure }: Pick<WebhookSettings, "clientErrors" | "onFailure">
): Rule => {
  const of = classify(outcome)
  if (of === "status_2xx") return "deliver"
  if (of === "not_sent") return "retry"
  if (of !== "status_4xx") return onFailure[of] ?? defaultVerdicts[of]
  if (outcome._tag === "Responded" && passing.has(outcome.statusCode)) return "retry"
  return onFailure[of] ?? (clientErrors === "permanent" ? "exhaust" : defaultVerdicts[of])
}

/** Statuses that say not that the request is wrong, but that it came too slowly or too early. */
const passing: ReadonlySet<number> = new Set([408, 425])

/** Tells whether the delivery may be tried again, so that the retry policy has a say. */
export const isRetryable = (rule: Rule): boolean => rule === "retry" || rule === "pause"

/** Tells how the rule for an outcome stops the webhook, or null when it does not. */
export const stopBy = (rule: Rule, outcome: Outcome): Stop | null => {
  if (rule === "pause") return { status: "paused", reason: "on_failure" }
  if (rule !== "disable") return null
  const isGone = outcome._tag === "Responded" && outcome.statusCode === 410
  return { status: "disabled", reason: isGone ? "gone" : "on_failure" }
}

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
