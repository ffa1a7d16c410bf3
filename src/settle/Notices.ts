/**
 * Turns alerts into the operational messages that tell a tenant of them.
 *
 * **Details**
 *
 * Nothing that becomes of an operational message raises another one, or two webhooks that fail could
 * keep telling of each other for ever. One exception cannot repeat by itself: a webhook that gets
 * other messages too is stopped, and someone has to resume it.
 */
import { DateTime } from "effect"
import { advice } from "../domain/Advice.ts"
import type { Attempt } from "../domain/Attempt.ts"
import { isOperational } from "../domain/EventType.ts"
import type { NoticeType } from "../domain/Notice.ts"
import { messageOf } from "../domain/TypeId.ts"
import type { Webhook, WebhookHealth } from "../domain/Webhook.ts"
import type { Alert } from "./Alerts.ts"

/** What an operational message says: its type and data. */
export interface Told {
  readonly type: NoticeType
  /** JSON text. */
  readonly data: string
}

/** Lists what is to be told of alerts that an attempt at a message of some type raised. */
export const toldOf = (
  alerts: ReadonlyArray<Alert>,
  attempt: Attempt,
  messageType: string,
  health: WebhookHealth
): ReadonlyArray<Told> =>
  alerts
    .filter((alert) => !isOperational(messageType) || stopsMore(alert))
    .map((alert) => ({
      type: types[alert._tag],
      data: JSON.stringify({
        webhook: webhookData(alert.webhook),
        ...alertData(alert),
        consecutiveFailures: health.consecutiveFailures,
        failingSince: health.failingSince === null ? null : formatInstant(health.failingSince),
        attempt: {
          id: attempt.id,
          deliveryId: attempt.deliveryId,
          messageId: messageOf(attempt.deliveryId),
          messageType,
          number: attempt.number,
          startedAt: formatInstant(attempt.startedAt),
          class: attempt.class,
          statusCode: attempt.statusCode,
          error: attempt.error,
          advice: advice(attempt.class, attempt.error)
        }
      })
    }))

const types: { readonly [T in Alert["_tag"]]: NoticeType } = {
  Failing: "posthaste.webhook.failing",
  Warning: "posthaste.webhook.warning",
  Disabled: "posthaste.webhook.disabled",
  Paused: "posthaste.webhook.paused",
  Recovered: "posthaste.webhook.recovered",
  Exhausted: "posthaste.delivery.exhausted"
}

const stopsMore = ({ _tag, webhook }: Alert): boolean =>
  (_tag === "Disabled" || _tag === "Paused") &&
  !(webhook.eventTypes.length > 0 && webhook.eventTypes.every(isOperational))

/** A URL may hold credentials, so only its host is told. */
const webhookData = ({ id, name, uid, url }: Webhook) => ({
  id,
  uid,
  name,
  host: URL.parse(url)?.host ?? null
})

const alertData = (alert: Alert): object => {
  switch (alert._tag) {
    case "Warning":
      return { progress: alert.share }
    case "Disabled":
      return { reason: alert.reason }
    case "Recovered":
      return { failures: alert.failures }
    case "Failing":
    case "Paused":
    case "Exhausted":
      return {}
  }
}

const formatInstant = (epochMs: number): string => DateTime.formatIso(DateTime.makeUnsafe(epochMs))
