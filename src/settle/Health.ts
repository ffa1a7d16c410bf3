/**
 * Carries a webhook's health from one attempt to the next.
 */
import type { WebhookHealth } from "../domain/Webhook.ts"
import type { CircuitSnapshot } from "./Circuit.ts"

/** Computes the health after a success at `now`, epoch milliseconds. */
export const afterSuccess = (
  health: WebhookHealth,
  now: number,
  circuit: CircuitSnapshot
): WebhookHealth => ({
  version: health.version + 1,
  consecutiveFailures: 0,
  failingSince: null,
  lastSuccessAt: now,
  lastFailureAt: health.lastFailureAt,
  circuitOpenUntil: circuit.openUntil,
  circuitOpenings: circuit.openings,
  throttledUntil: stillAhead(health.throttledUntil, now)
})

/**
 * Computes the health after a failure at `now`, epoch milliseconds. Of two instants before which the
 * receiver asked for no request the later one holds.
 */
export const afterFailure = (
  health: WebhookHealth,
  now: number,
  circuit: CircuitSnapshot,
  throttledUntil: number | null
): WebhookHealth => ({
  version: health.version + 1,
  consecutiveFailures: health.consecutiveFailures + 1,
  failingSince: health.failingSince ?? now,
  lastSuccessAt: health.lastSuccessAt,
  lastFailureAt: now,
  circuitOpenUntil: circuit.openUntil,
  circuitOpenings: circuit.openings,
  throttledUntil: stillAhead(Math.max(health.throttledUntil ?? 0, throttledUntil ?? 0), now)
})

/** Tells whether a success changed more than the time of the last one. */
export const changedBySuccess = (before: WebhookHealth, after: WebhookHealth): boolean =>
  before.consecutiveFailures > 0 ||
  before.circuitOpenUntil !== after.circuitOpenUntil ||
  before.throttledUntil !== after.throttledUntil

const stillAhead = (at: number | null, now: number): number | null =>
  at !== null && at > now ? at : null
