/**
 * What the changes of a webhook mean, as pure functions of the webhook and the time.
 */
import { Equal, type Redacted, Result } from "effect"
import { createdAt, type SecretId, type TenantId, type WebhookId } from "../domain/TypeId.ts"
import {
  healthy,
  type Webhook,
  type WebhookFields,
  WebhookLimit,
  type WebhookSettings,
  type WebhookStatus
} from "../domain/Webhook.ts"

/** How many secrets of a webhook sign at once, at most. */
export const secretsMax = 4

/** A new current secret; the former ones sign on for `graceMs` at most. */
export interface Rotation {
  readonly id: SecretId
  readonly key: Redacted.Redacted<Uint8Array>
  readonly graceMs: number
}

/** What of a webhook is changed: the fields, the settings and the secret that are given. */
export interface WebhookUpdate extends Partial<Omit<WebhookFields, "settings">> {
  readonly settings?: Partial<WebhookSettings>
  readonly rotation?: Rotation
}

/** Says whether a tenant with so many registered webhooks may register another one. */
export const judgeCount = (count: number, max: number): Result.Result<void, WebhookLimit> =>
  count < max
    ? Result.void
    : Result.fail(
        new WebhookLimit({ detail: `The tenant has ${count} webhooks, and may have ${max}.` })
      )

/** Makes the webhook that is registered. Its id says when it was made, and lists go by the id. */
export const registered = (input: {
  readonly id: WebhookId
  readonly tenantId: TenantId
  readonly fields: WebhookFields
  readonly secret: { readonly id: SecretId; readonly key: Redacted.Redacted<Uint8Array> }
  readonly adHocDigest?: string
}): Webhook => {
  const now = createdAt(input.id)
  const {
    uid,
    name,
    description,
    metadata,
    url,
    eventTypes,
    resources,
    channels,
    filter,
    headers,
    auth,
    settings
  } = input.fields
  return {
    id: input.id,
    tenantId: input.tenantId,
    uid,
    name,
    description,
    metadata,
    url,
    eventTypes,
    resources,
    channels,
    filter,
    headers,
    auth,
    settings,
    adHoc: input.adHocDigest === undefined ? null : { digest: input.adHocDigest },
    status: "enabled",
    disabledReason: null,
    health: healthy,
    secrets: [{ id: input.secret.id, key: input.secret.key, createdAt: now, expiresAt: null }],
    unreadable: [],
    createdAt: now,
    updatedAt: now,
    configuredAt: now
  }
}

/** Changes what is given, and nothing else that the object may carry. */
export const withUpdate = (webhook: Webhook, update: WebhookUpdate, now: number): Webhook => {
  const {
    uid = webhook.uid,
    name = webhook.name,
    description = webhook.description,
    metadata = webhook.metadata,
    url = webhook.url,
    eventTypes = webhook.eventTypes,
    resources = webhook.resources,
    channels = webhook.channels,
    filter = webhook.filter,
    headers = webhook.headers,
    auth = webhook.auth,
    settings,
    rotation
  } = update
  const next: Webhook = {
    ...(rotation === undefined ? webhook : withSecret(webhook, rotation, now)),
    // One that leads elsewhere is not what messages name any more.
    adHoc: webhook.adHoc !== null && url !== webhook.url ? { digest: null } : webhook.adHoc,
    uid,
    name,
    description,
    metadata,
    url,
    eventTypes,
    resources,
    channels,
    filter,
    headers,
    auth,
    unreadable: webhook.unreadable.filter((part) => update[part] === undefined),
    settings: settings === undefined ? webhook.settings : { ...webhook.settings, ...settings },
    updatedAt: now
  }
  return Equal.equals(requestPartsOf(next), requestPartsOf(webhook))
    ? next
    : { ...next, configuredAt: now }
}

/** What its requests are made of. */
const requestPartsOf = ({ auth, headers, secrets, settings, url }: Webhook) => ({
  auth,
  headers,
  secrets,
  settings,
  url
})

/** Takes from an ad-hoc webhook what messages name it by. */
export const withoutDigest = (webhook: Webhook, _: null, now: number): Webhook =>
  webhook.adHoc === null ? webhook : { ...webhook, adHoc: { digest: null }, updatedAt: now }

/**
 * Sets the status.
 *
 * **Details**
 *
 * Resuming forgets what disabled the webhook and how it failed. Where it was failing, its circuit
 * becomes half open: one probe goes first. Resuming what is not stopped changes nothing.
 */
export const withStatus = (webhook: Webhook, status: WebhookStatus, now: number): Webhook => {
  if (status !== "enabled" || webhook.status === "enabled") {
    return { ...webhook, status, updatedAt: now }
  }
  const { health } = webhook
  const wasDisabled = webhook.status === "disabled" || webhook.disabledReason !== null
  return {
    ...webhook,
    status,
    disabledReason: null,
    health: {
      ...health,
      version: health.version + 1,
      consecutiveFailures: 0,
      failingSince: null,
      throttledUntil: null,
      circuitOpenUntil: wasDisabled || health.circuitOpenUntil !== null ? now : null,
      circuitOpenings: 0
    },
    updatedAt: now
  }
}

/**
 * Puts a new secret before the former ones, which sign on for `graceMs` at most.
 *
 * **Details**
 *
 * A former secret that was to end earlier still does. Ended ones are dropped, and the oldest ones
 * beyond `secretsMax`.
 */
export const withSecret = (webhook: Webhook, rotation: Rotation, now: number): Webhook => {
  const end = now + rotation.graceMs
  const former = webhook.secrets
    .map((secret) => ({ ...secret, expiresAt: Math.min(secret.expiresAt ?? end, end) }))
    .filter((secret) => secret.expiresAt > now)
    .slice(0, secretsMax - 1)
  const current = { id: rotation.id, key: rotation.key, createdAt: now, expiresAt: null }
  return { ...webhook, secrets: [current, ...former], updatedAt: now, configuredAt: now }
}
