/**
 * How webhooks are shown in a terminal.
 */
import type { WebhookView } from "../../api/WebhookViews.ts"
import { type Column, instant, list, record } from "../Print.ts"

/** The columns of a list of webhooks. */
export const columns: ReadonlyArray<Column<WebhookView>> = [
  ["id", ({ id }) => id],
  ["name", ({ name, uid }) => name ?? uid],
  [
    "status",
    ({ disabledReason, status }) =>
      disabledReason === null ? status : `${status} (${disabledReason})`
  ],
  ["circuit", ({ circuit }) => circuit.state],
  ["failures", ({ consecutiveFailures }) => consecutiveFailures],
  ["event types", ({ eventTypes }) => list(eventTypes, "all")],
  ["url", ({ url }) => url]
]

/** Prints one webhook. */
export const showWebhook = (webhook: WebhookView) =>
  record({
    id: webhook.id,
    uid: webhook.uid,
    name: webhook.name,
    description: webhook.description,
    url: webhook.url,
    "event types": list(webhook.eventTypes, "all"),
    format: webhook.format,
    method: webhook.method,
    headers: list(Object.keys(webhook.headers), "none"),
    retry: typeof webhook.retry === "string" ? webhook.retry : JSON.stringify(webhook.retry),
    "timeout ms": webhook.timeoutMs,
    concurrency: webhook.concurrency,
    status: webhook.status,
    "disabled because": webhook.disabledReason,
    circuit: webhook.circuit.state,
    "failures in a row": webhook.consecutiveFailures,
    "last success": instant(webhook.lastSuccessAt),
    "last failure": instant(webhook.lastFailureAt),
    created: instant(webhook.createdAt),
    updated: instant(webhook.updatedAt)
  })
