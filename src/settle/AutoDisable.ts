/**
 * Decides when uninterrupted failure disables a webhook, and how far on the way there it is.
 */
import type { DisableAfter, Stop, WebhookHealth } from "../domain/Webhook.ts"

/**
 * Measures the way to being disabled: 0 while healthy, 1 when the count or the length of failure that
 * is set is reached, whichever is closer. Always 0 when neither is set.
 */
export const progress = (
  health: WebhookHealth,
  disableAfter: DisableAfter,
  now: number
): number => {
  if (health.failingSince === null) return 0
  const { durationMs = Infinity, failures = Infinity } = disableAfter
  const share = Math.max(
    health.consecutiveFailures / failures,
    (now - health.failingSince) / durationMs
  )
  return Math.min(Math.max(share, 0), 1)
}

/** Decides whether the progress made by a failure disables the webhook. */
export const decide = (progress: number): Stop | null => (progress >= 1 ? failing : null)

const failing: Stop = { status: "disabled", reason: "failing" }

/** Lists the shares at which a warning is due and that lie after `before`, up to `after`. */
export const warningsCrossed = (before: number, after: number): ReadonlyArray<number> =>
  warningShares.filter((share) => before < share && after >= share)

const warningShares = [0.5, 0.75, 0.9]
