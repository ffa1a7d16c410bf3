/**
 * How what the engine knows is shown. Secrets are left out unless a function is named for them.
 */
import { Option, Redacted, Result } from "effect"
import type { AttemptView, DeliveryView } from "../api/DeliveryViews.ts"
import type { SecretView, WebhookView } from "../api/WebhookViews.ts"
import { advice } from "../domain/Advice.ts"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery } from "../domain/Delivery.ts"
import { maskUrl } from "../domain/Mask.ts"
import * as Secret from "../domain/Secret.ts"
import { circuitState, currentSecret, SecretUnreadable, type Webhook } from "../domain/Webhook.ts"
import { webhookFacts } from "../domain/WebhookFacts.ts"
import { facts as certificates } from "../send/Certificates.ts"

/** Shows a webhook at an instant (epoch milliseconds). */
export const webhookView = (webhook: Webhook, now: number): WebhookView => {
  const { health } = webhook
  const facts = webhookFacts(webhook)
  return {
    id: webhook.id,
    ...facts,
    certificates: certificates(webhook.auth),
    unreadable: webhook.unreadable,
    circuit: { ...facts.circuit, state: circuitState(health, now) },
    adHoc: webhook.adHoc !== null,
    consecutiveFailures: health.consecutiveFailures,
    lastSuccessAt: health.lastSuccessAt,
    lastFailureAt: health.lastFailureAt,
    createdAt: webhook.createdAt,
    updatedAt: webhook.updatedAt
  }
}

/** Shows a webhook among others: where its URLs are not needed in full, their credentials are masked. */
export const webhookListed = (webhook: Webhook, now: number): WebhookView => {
  const view = webhookView(webhook, now)
  const { auth } = view
  return {
    ...view,
    url: maskUrl(webhook.url),
    auth: auth.kind === "oauth2" ? { ...auth, tokenUrl: maskUrl(auth.tokenUrl) } : auth
  }
}

/** Shows the secret that signs now, in full, and its public half where it has one. */
export const secretView = (webhook: Webhook): Result.Result<SecretView, SecretUnreadable> =>
  Option.match(currentSecret(webhook), {
    onNone: () => Result.fail(new SecretUnreadable()),
    onSome: ({ key }) => {
      const kept = Redacted.value(key)
      const publicKey = Option.getOrUndefined(Secret.publicKey(kept))
      return Result.succeed({
        secret: Secret.encode(kept),
        ...(publicKey === undefined ? {} : { publicKey })
      })
    }
  })

/** Shows a delivery. */
export const deliveryView = (delivery: Delivery): DeliveryView => ({
  id: delivery.id,
  messageId: delivery.messageId,
  webhookId: delivery.webhookId,
  type: delivery.type,
  status: delivery.status,
  attempts: delivery.attempts,
  nextAttemptAt: delivery.nextAttemptAt,
  lastStatusCode: delivery.lastStatusCode,
  lastClass: delivery.lastClass,
  createdAt: delivery.createdAt,
  settledAt: delivery.settledAt,
  reason: delivery.reason ?? null
})

/** Shows an attempt, with the body of the response when it was asked for. */
export const attemptView = (attempt: Attempt, withBody: boolean): AttemptView => {
  const body = attempt.responseBody === null ? null : bodyView(attempt.responseBody)
  return {
    id: attempt.id,
    deliveryId: attempt.deliveryId,
    webhookId: attempt.webhookId,
    number: attempt.number,
    startedAt: attempt.startedAt,
    durationMs: attempt.durationMs,
    class: attempt.class,
    statusCode: attempt.statusCode,
    error: attempt.error,
    advice: advice(attempt.class, attempt.error),
    responseHeaders: attempt.responseHeaders,
    responseTruncated: attempt.responseTruncated,
    ...(withBody
      ? { responseBody: body?.text ?? null, responseBodyEncoding: body?.encoding ?? null }
      : {}),
    nextAttemptAt: attempt.nextAt,
    settled: attempt.settled
  }
}

/** Shows bytes as the text that they are, or in base64 when they are not UTF-8. */
export const bodyView = (
  bytes: Uint8Array
): { readonly text: string; readonly encoding: "utf8" | "base64" } => {
  try {
    return { text: utf8.decode(bytes), encoding: "utf8" }
  } catch {
    return { text: Buffer.from(bytes).toString("base64"), encoding: "base64" }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
