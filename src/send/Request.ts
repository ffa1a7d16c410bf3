/**
 * Builds the HTTP request of an attempt: what goes on the wire for format `json`.
 *
 * The body is the message's bytes as stored. It is signed anew for each attempt, because the
 * signature covers the time of sending (Standard Webhooks 1.0.0).
 */
import { active } from "../domain/Secret.ts"
import { version } from "../domain/Version.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import type { HttpRequest } from "./HttpSender.ts"
import type { Signer } from "./Signer.ts"

const userAgent = `Posthaste/${version}`

/** Builds the request with which a delivery is attempted at `now` (epoch milliseconds). */
export const build = (
  webhook: Webhook,
  url: URL,
  delivery: DueDelivery,
  now: number,
  signer: Signer["Service"]
): HttpRequest => {
  const { message } = delivery
  const timestampSeconds = Math.floor(now / 1000)
  return {
    url,
    method: "POST",
    // What the engine says stands last, so that no stored header can speak for it.
    headers: {
      ...webhook.headers,
      "content-type": message.contentType,
      "user-agent": userAgent,
      "webhook-id": message.id,
      "webhook-timestamp": String(timestampSeconds),
      "webhook-signature": signer.sign({
        id: message.id,
        timestampSeconds,
        body: message.body,
        secrets: active(webhook.secrets, now)
      }),
      "posthaste-attempt": String(delivery.attempts + 1)
    },
    body: message.body,
    timeoutMs: webhook.settings.timeoutMs
  }
}
