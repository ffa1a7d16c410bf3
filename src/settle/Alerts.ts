/**
 * Tells people how webhooks fare: when one begins to fail, comes near to being disabled, is disabled,
 * recovers, or loses a delivery.
 *
 * Each alert is announced on `changes` and written as one log line. Neither waits for anybody: a slow
 * reader misses the oldest. What an alert is turned into is left to others.
 */
import { Context, Effect, Layer, PubSub, Stream } from "effect"
import type { DeliveryId } from "../domain/TypeId.ts"
import type { DisabledReason, Stop, Webhook, WebhookHealth } from "../domain/Webhook.ts"
import { log } from "../telemetry/Log.ts"
import * as AutoDisable from "./AutoDisable.ts"

export class Alerts extends Context.Service<
  Alerts,
  {
    /** Announces an alert and logs it. */
    readonly raise: (alert: Alert) => Effect.Effect<void>
    /** Every alert from now on. A slow reader misses the oldest of more than 1,024. */
    readonly changes: Stream.Stream<Alert>
  }
>()("posthaste/settle/Alerts") {
  static readonly layer = Layer.effect(
    Alerts,
    Effect.gen(function* () {
      const alerts = yield* PubSub.sliding<Alert>(unreadMax)
      yield* Effect.addFinalizer(() => PubSub.shutdown(alerts))
      return Alerts.of({
        raise: (alert) => Effect.andThen(PubSub.publish(alerts, alert), write(alert)),
        changes: Stream.fromPubSub(alerts)
      })
    })
  )
}

/** Alerts that are kept for a slow reader. */
const unreadMax = 1_024

/** What people should know about a webhook. */
export type Alert =
  /** As many failures in a row as `alertAt` names. */
  | { readonly _tag: "Failing"; readonly webhook: Webhook; readonly consecutiveFailures: number }
  /** This share of the way to being disabled is covered: 0.5, 0.75 or 0.9. */
  | { readonly _tag: "Warning"; readonly webhook: Webhook; readonly share: number }
  | { readonly _tag: "Disabled"; readonly webhook: Webhook; readonly reason: DisabledReason }
  /** The webhook's `onFailure` pauses it after such a failure. */
  | { readonly _tag: "Paused"; readonly webhook: Webhook }
  /** The first success after a row of failures that had raised an alert. */
  | { readonly _tag: "Recovered"; readonly webhook: Webhook; readonly failures: number }
  | { readonly _tag: "Exhausted"; readonly webhook: Webhook; readonly deliveryId: DeliveryId }

/** What an attempt changed, as far as it can raise alerts. */
export interface Change {
  readonly webhook: Webhook
  readonly before: WebhookHealth
  readonly after: WebhookHealth
  /** Set when this attempt stops the webhook. */
  readonly stop: Stop | null
  /** Set when this attempt exhausts its delivery. */
  readonly exhausted: DeliveryId | null
  /** Epoch milliseconds. */
  readonly now: number
}

/**
 * Lists the alerts that an attempt raises.
 *
 * **Details**
 *
 * An attempt that covers several shares of the way to being disabled raises the last one's warning
 * alone, and none if it goes the whole way.
 */
export const raisedBy = (change: Change): ReadonlyArray<Alert> => {
  const { after, before, exhausted, now, stop, webhook } = change
  const { alertAt, disableAfter } = webhook.settings
  const raised: Array<Alert> = []
  if (exhausted !== null) raised.push({ _tag: "Exhausted", webhook, deliveryId: exhausted })
  if (after.consecutiveFailures === 0) {
    const failures = before.consecutiveFailures
    if (failures > 0 && alertAt.some((at) => at <= failures)) {
      raised.push({ _tag: "Recovered", webhook, failures })
    }
    return raised
  }
  if (alertAt.includes(after.consecutiveFailures)) {
    raised.push({ _tag: "Failing", webhook, consecutiveFailures: after.consecutiveFailures })
  }
  if (stop !== null) {
    const { reason, status } = stop
    raised.push(
      status === "paused" ? { _tag: "Paused", webhook } : { _tag: "Disabled", webhook, reason }
    )
    return raised
  }
  const share = AutoDisable.warningsCrossed(
    AutoDisable.progress(before, disableAfter, before.lastFailureAt ?? now),
    AutoDisable.progress(after, disableAfter, now)
  ).at(-1)
  if (share !== undefined) raised.push({ _tag: "Warning", webhook, share })
  return raised
}

const write = (alert: Alert): Effect.Effect<void> => {
  const about = { webhook: alert.webhook.id, tenant: alert.webhook.tenantId }
  switch (alert._tag) {
    case "Failing":
      return log("webhook_failing", { ...about, failures: alert.consecutiveFailures })
    case "Warning":
      return log("webhook_warning", { ...about, share: alert.share })
    case "Disabled":
      return log("webhook_disabled", { ...about, reason: alert.reason })
    case "Paused":
      return log("webhook_paused", { ...about, reason: "on_failure" })
    case "Recovered":
      return log("webhook_recovered", { ...about, failures: alert.failures })
    case "Exhausted":
      return log("delivery_exhausted", { ...about, delivery: alert.deliveryId })
  }
}
