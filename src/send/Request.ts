/**
 * Builds the HTTP request of an attempt: what the webhook's format makes of the message, signed, with
 * the headers that go with it.
 *
 * What is signed is the body that is sent, the empty one where there is none. It is signed anew for
 * each attempt, because the signature covers the time of sending (Standard Webhooks 1.0.0).
 */
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import type { Refused } from "../domain/Attempt.ts"
import { isReserved } from "../domain/RequestHeaders.ts"
import { active } from "../domain/Secret.ts"
import { clashes, type Signature } from "../domain/Signature.ts"
import { toUuid } from "../domain/TypeId.ts"
import { version } from "../domain/Version.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import { render } from "./Format.ts"
import type { HttpRequest } from "./HttpSender.ts"
import type { Signer } from "./Signer.ts"

const userAgent = `Posthaste/${version}`
const noBody = new Uint8Array(0)

/**
 * Builds the request with which a delivery is attempted at `now` (epoch milliseconds), or says why
 * the webhook's format cannot be made of this message. Throws while a part of the webhook cannot be
 * read, so that nothing goes out without it.
 */
export const build = (
  webhook: Webhook,
  url: URL,
  delivery: DueDelivery,
  now: number,
  signer: Signer["Service"]
): Result.Result<HttpRequest, Refused> => {
  if (webhook.unreadable.length > 0) throw new Error("A part of the webhook cannot be read")
  const { message } = delivery
  const { format, method, signature, template, timeoutMs, traceHeaders } = webhook.settings
  const rendered = render({
    format,
    method: method ?? undefined,
    template: template ?? undefined,
    url,
    message
  })
  return Result.map(rendered, ({ body, contentType, method, url }) => {
    // What the engine says stands last, so that no stored header can speak for it.
    const headers: Record<string, string> = {
      ...sendable(signature, webhook.headers),
      "user-agent": userAgent,
      ...signer.headers({
        signature,
        id: message.id,
        timestampSeconds: Math.floor(now / 1000),
        type: message.type,
        body: body ?? noBody,
        secrets: active(webhook.secrets, now)
      }),
      "posthaste-attempt": String(delivery.attempts + 1)
    }
    if (traceHeaders) headers["traceparent"] = traceParent(delivery)
    if (contentType !== null) headers["content-type"] = contentType
    return { url, method, headers, body, timeoutMs }
  })
}

/**
 * Leaves out the headers that the signature sets too and those that are reserved by now, in whichever
 * case they are written.
 */
const sendable = (signature: Signature, headers: Webhook["headers"]): Webhook["headers"] => {
  const names = Object.keys(headers)
  if (names.length === 0) return headers
  const left = new Set([...clashes(signature, headers), ...names.filter(isReserved)])
  return left.size === 0
    ? headers
    : Object.fromEntries(Object.entries(headers).filter(([name]) => !left.has(name)))
}

/**
 * Makes a `traceparent` for an attempt: the trace is the message's id, the span is this attempt. It
 * says that it was sampled, because receivers that follow it would record nothing otherwise.
 *
 * Source: W3C Trace Context, section 3.2.
 */
const traceParent = ({ attempts, id, message }: DueDelivery): string => {
  const span = createHash("sha256")
    .update(`${id} ${attempts + 1}`)
    .digest("hex")
    .slice(0, 16)
  return `00-${toUuid(message.id).replaceAll("-", "")}-${span}-01`
}
