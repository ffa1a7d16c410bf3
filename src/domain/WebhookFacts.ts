/**
 * What people decide about a webhook, as answers show it: credentials are masked, and secrets are not
 * there at all.
 */
import { masked } from "./Auth.ts"
import { methodOf } from "./Format.ts"
import { maskHeaders } from "./Mask.ts"
import type { Webhook } from "./Webhook.ts"

/** Shows the fields and settings of a webhook, its URLs in full. */
export const webhookFacts = ({ settings, ...webhook }: Webhook) => ({
  uid: webhook.uid,
  name: webhook.name,
  description: webhook.description,
  metadata: webhook.metadata,
  url: webhook.url,
  eventTypes: webhook.eventTypes,
  resources: webhook.resources,
  channels: webhook.channels,
  filter: webhook.filter,
  headers: maskHeaders(webhook.headers),
  auth: masked(webhook.auth),
  format: settings.format,
  method: methodOf(settings.format, settings.method ?? undefined),
  template: settings.template,
  signature: settings.signature,
  traceHeaders: settings.traceHeaders,
  timeoutMs: settings.timeoutMs,
  retry: settings.retry,
  clientErrors: settings.clientErrors,
  onFailure: settings.onFailure,
  concurrency: settings.concurrency,
  rate: settings.rate,
  ordering: settings.ordering,
  circuit: settings.circuit,
  disableAfter: settings.disableAfter,
  alertAt: settings.alertAt,
  status: webhook.status,
  disabledReason: webhook.disabledReason
})
