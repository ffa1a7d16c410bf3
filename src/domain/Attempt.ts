/**
 * One HTTP request and what came back, in the words that the log, metrics and dashboard share.
 */
import * as Schema from "effect/Schema"
import type { AttemptId, DeliveryId, TenantId, WebhookId } from "./TypeId.ts"

/** The closed list of what an attempt can come to. */
export const AttemptClass = Schema.Literals([
  "status_2xx",
  "status_3xx",
  "status_4xx",
  "status_410",
  "status_429",
  "status_5xx",
  "dns",
  "refused",
  "reset",
  "connect_timeout",
  "tls",
  "headers_timeout",
  "body_timeout",
  "deadline",
  "protocol",
  "blocked",
  "auth",
  "not_sent"
])
export type AttemptClass = typeof AttemptClass.Type

/** Response headers as received, names in lower case, at most 50 and 8 KiB of them. */
export type ResponseHeaders = { readonly [name: string]: string }

/** A final status line arrived, whatever happened to the body after it. */
export interface Responded {
  readonly _tag: "Responded"
  readonly statusCode: number
  readonly headers: ResponseHeaders
  /** What was kept of the body: raw bytes, never decompressed. */
  readonly body: Uint8Array
  /** True when more of the body came, or was announced, than was kept. */
  readonly truncated: boolean
  /** Why the body broke off, or null. It does not change what the status means. */
  readonly bodyError: string | null
}

/** The receiver did not do its part in time. */
export interface TimedOut {
  readonly _tag: "TimedOut"
  /** What was being waited for when time ran out. */
  readonly phase: "dns" | "connect" | "headers"
}

/** No answer could be had. */
export interface Unreachable {
  readonly _tag: "Unreachable"
  /** `auth`: no token could be had to say who calls. */
  readonly cause: "dns" | "refused" | "reset" | "tls" | "protocol" | "auth"
  /** One sentence for people, such as an error code and its host. */
  readonly detail: string
}

/** We did not send: the address guard or the request itself forbids it. */
export interface Refused {
  readonly _tag: "Refused"
  readonly rule: string
  readonly detail: string
}

/** Nothing was sent, for a reason that the receiver has no part in: no attempt was made. */
export interface NotSent {
  readonly _tag: "NotSent"
  /** The egress proxy failed, or too many requests were in flight to the receiver's address. */
  readonly cause: "proxy" | "crowd"
  /** One sentence for people. */
  readonly detail: string
}

/** What the network did with one request. Never an error: a receiver's failure is not ours. */
export type Outcome = Responded | TimedOut | Unreachable | Refused | NotSent

/** Names the class of an outcome. */
export const classify = (outcome: Outcome): AttemptClass => {
  switch (outcome._tag) {
    case "Responded":
      return classOfStatus(outcome.statusCode)
    case "TimedOut":
      return outcome.phase === "dns"
        ? "dns"
        : outcome.phase === "connect"
          ? "connect_timeout"
          : "headers_timeout"
    case "Unreachable":
      return outcome.cause
    case "Refused":
      return "blocked"
    case "NotSent":
      return "not_sent"
  }
}

const classOfStatus = (status: number): AttemptClass => {
  if (status >= 200 && status < 300) return "status_2xx"
  if (status === 410) return "status_410"
  if (status === 429) return "status_429"
  if (status >= 300 && status < 400) return "status_3xx"
  if (status >= 400 && status < 500) return "status_4xx"
  if (status >= 500 && status < 600) return "status_5xx"
  return "protocol"
}

/** Says in one sentence what happened, for people. */
export const describe = (outcome: Outcome): string | null => {
  switch (outcome._tag) {
    case "Responded":
      return outcome.bodyError
    case "TimedOut":
      return `no ${waitedFor[outcome.phase]} in time`
    case "Unreachable":
    case "Refused":
    case "NotSent":
      return outcome.detail
  }
}

const waitedFor = { dns: "address", connect: "connection", headers: "answer" } as const

/** An attempt as it is written down. */
export interface Attempt {
  readonly id: AttemptId
  readonly deliveryId: DeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  /** 1 for the first; it goes on counting when someone redelivers. */
  readonly number: number
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly durationMs: number
  readonly class: AttemptClass
  readonly statusCode: number | null
  readonly error: string | null
  readonly responseHeaders: ResponseHeaders | null
  readonly responseBody: Uint8Array | null
  readonly responseTruncated: boolean
  /** Epoch milliseconds of the attempt planned after this one, or null. */
  readonly nextAt: number | null
  /** The final state that this attempt left its delivery in, or null. */
  readonly settled: "delivered" | "exhausted" | null
}
