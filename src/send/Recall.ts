/**
 * Builds the request of an attempt again, for people to look at.
 *
 * **Details**
 *
 * Nothing about a request is written down with its attempt: the message, the webhook, its secrets and
 * the attempt's time make it again, signature included, since a signature depends on nothing else. That
 * is exact unless the URL, headers, auth, settings or secrets of the webhook were changed after the
 * attempt. Then the request is shown as the webhook would send it today and says so, without a
 * signature, as the secret may have been another one.
 * Credentials are masked, and those of the webhook's `auth` left out.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Attempt } from "../domain/Attempt.ts"
import { maskHeaders, maskUrl } from "../domain/Mask.ts"
import { active } from "../domain/Secret.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { OutgoingMessage } from "../store/DeliveryQueue.ts"
import { build } from "./Request.ts"
import type { HeadersInput, Signer } from "./Signer.ts"

/** A request as it was, or as it would be. */
export interface Recalled {
  /** False when what the webhook's requests are made of was changed after the attempt. */
  readonly exact: boolean
  readonly method: string
  readonly url: string
  readonly headers: { readonly [name: string]: string }
}

/** Recalls the request of an attempt; none when nothing was sent or the webhook cannot be read. */
export const recall = (
  attempt: Attempt,
  webhook: Webhook,
  message: OutgoingMessage,
  signer: Signer["Service"]
): Option.Option<Recalled> => {
  const { deliveryId: id, number, startedAt, tenantId, webhookId } = attempt
  const url = URL.parse(webhook.url)
  if (url === null || webhook.unreadable.length > 0 || unsent.has(attempt.class)) {
    return Option.none()
  }
  if (active(webhook.secrets, startedAt).length === 0) return Option.none()
  const exact = webhook.configuredAt <= startedAt
  let signed: Record<string, string> = {}
  const headers = (input: HeadersInput) =>
    (signed = exact
      ? signer.headers(input)
      : { "webhook-id": input.id, "webhook-timestamp": String(input.timestampSeconds) })
  const delivery = {
    id,
    tenantId,
    webhookId,
    attempts: number - 1,
    tries: 0,
    orderingKey: null,
    message
  }
  const request = build(webhook, url, delivery, startedAt, { ...signer, headers })
  return Option.map(Result.getSuccess(request), (made) => ({
    exact,
    method: made.method,
    url: maskUrl(made.url.href),
    headers: { ...maskHeaders(made.headers), ...signed }
  }))
}

const unsent: ReadonlySet<Attempt["class"]> = new Set(["blocked", "not_sent"])
