/**
 * Decides how much a lane may send at a moment: nothing, one probe, or as much as it is set to.
 */
import { circuitState, type Webhook, type WebhookHealth } from "../domain/Webhook.ts"

/** What may be sent now, and when more may, if time alone changes it. */
export interface Gate {
  readonly workersMax: number
  /** Epoch milliseconds. */
  readonly until: number | null
}

/** The gate of a lane that waits for a person. */
export const closed: Gate = { workersMax: 0, until: null }

/** What of a lane itself decides about its gate. */
export interface Limits {
  /** How many attempts at once the receiver is given, by how it bears them. */
  readonly ramp: number
  /** Epoch milliseconds until which the lane waits for something of ours. */
  readonly waitsUntil: number
}

/** Reads the gate at `now`, epoch milliseconds. */
export const gate = (
  webhook: Webhook,
  health: WebhookHealth,
  { ramp, waitsUntil }: Limits,
  now: number
): Gate => {
  if (webhook.status !== "enabled") return closed
  if (health.throttledUntil !== null && health.throttledUntil > now) {
    return { workersMax: 0, until: health.throttledUntil }
  }
  if (waitsUntil > now) return { workersMax: 0, until: waitsUntil }
  switch (circuitState(health, now)) {
    case "open":
      return { workersMax: 0, until: health.circuitOpenUntil }
    case "half_open":
      return { workersMax: 1, until: null }
    case "closed":
      return { workersMax: Math.min(webhook.settings.concurrency, ramp), until: null }
  }
}
