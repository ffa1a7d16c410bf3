/**
 * Crosses the border between webhooks and their rows.
 *
 * Settings are decoded through their schema, so a row that an older version wrote gets the defaults
 * of what it does not know. A row that cannot be decoded is a defect: nobody can act on it.
 */
import { Effect, Redacted, Schema } from "effect"
import type { Secret } from "../domain/Secret.ts"
import { fromUuid, toUuid } from "../domain/TypeId.ts"
import {
  DisabledReason,
  healthy,
  type Webhook,
  type WebhookHealth,
  WebhookSettings,
  WebhookStatus
} from "../domain/Webhook.ts"

const Texts = Schema.Record(Schema.String, Schema.String)

/** A webhook's row with what is joined to it. What people may write was checked when they did. */
const Row = Schema.Struct({
  id: Schema.String,
  tenant_id: Schema.String,
  uid: Schema.NullOr(Schema.String),
  name: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  metadata: Texts,
  url: Schema.String,
  event_types: Schema.Array(Schema.String),
  resources: Schema.Array(
    Schema.Struct({ type: Schema.String, id: Schema.optionalKey(Schema.String) })
  ),
  headers: Texts,
  settings: WebhookSettings,
  status: WebhookStatus,
  disabled_reason: Schema.NullOr(DisabledReason),
  created_at: Schema.Date,
  updated_at: Schema.Date,
  version: Schema.NullOr(Schema.BigInt),
  consecutive_failures: Schema.NullOr(Schema.Int),
  failing_since: Schema.NullOr(Schema.Date),
  last_success_at: Schema.NullOr(Schema.Date),
  last_failure_at: Schema.NullOr(Schema.Date),
  circuit_open_until: Schema.NullOr(Schema.Date),
  circuit_openings: Schema.NullOr(Schema.Int),
  throttled_until: Schema.NullOr(Schema.Date),
  secret_ids: Schema.NullOr(Schema.Array(Schema.String)),
  secret_values: Schema.NullOr(Schema.Array(Schema.Uint8Array)),
  secret_created_at: Schema.NullOr(Schema.Array(Schema.Date)),
  secret_expires_at: Schema.NullOr(Schema.Array(Schema.NullOr(Schema.Date)))
})
type Row = typeof Row.Type

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
const encodeSettings = Schema.encodeSync(WebhookSettings)

/** Decodes rows to webhooks; dies of one that is no webhook. */
export const decodeAll = (rows: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Webhook>> =>
  decodeRows(rows).pipe(
    Effect.orDie,
    Effect.map((decoded) => decoded.map(webhookOf))
  )

const webhookOf = (row: Row): Webhook => ({
  id: fromUuid("webhook", row.id),
  tenantId: fromUuid("tenant", row.tenant_id),
  uid: row.uid,
  name: row.name,
  description: row.description,
  metadata: row.metadata,
  url: row.url,
  eventTypes: row.event_types,
  resources: row.resources,
  headers: row.headers,
  settings: row.settings,
  status: row.status,
  disabledReason: row.disabled_reason,
  health: healthOf(row),
  secrets: secretsOf(row),
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime()
})

const healthOf = (row: Row): WebhookHealth =>
  row.version === null
    ? healthy
    : {
        version: Number(row.version),
        consecutiveFailures: row.consecutive_failures ?? 0,
        failingSince: timeOf(row.failing_since),
        lastSuccessAt: timeOf(row.last_success_at),
        lastFailureAt: timeOf(row.last_failure_at),
        circuitOpenUntil: timeOf(row.circuit_open_until),
        circuitOpenings: row.circuit_openings ?? 0,
        throttledUntil: timeOf(row.throttled_until)
      }

const secretsOf = (row: Row): ReadonlyArray<Secret> =>
  (row.secret_ids ?? []).map((id, i) => ({
    id: fromUuid("secret", id),
    // A copy, because the bytes may be a part of a larger buffer that would stay with them.
    key: Redacted.make(row.secret_values![i]!.slice()),
    createdAt: row.secret_created_at![i]!.getTime(),
    expiresAt: timeOf(row.secret_expires_at![i]!)
  }))

/** Encodes a webhook as parameters for the columns of `webhook`. */
export const encode = (webhook: Webhook) => ({
  id: toUuid(webhook.id),
  uid: webhook.uid,
  name: webhook.name,
  description: webhook.description,
  metadata: JSON.stringify(webhook.metadata),
  url: webhook.url,
  eventTypes: webhook.eventTypes,
  resources: JSON.stringify(webhook.resources),
  headers: JSON.stringify(webhook.headers),
  settings: JSON.stringify(encodeSettings(webhook.settings)),
  status: webhook.status,
  disabledReason: webhook.disabledReason,
  createdAt: new Date(webhook.createdAt),
  updatedAt: new Date(webhook.updatedAt)
})

/** Encodes health as parameters for the columns of `webhook_health`. */
export const encodeHealth = (health: WebhookHealth) => ({
  version: health.version,
  consecutiveFailures: health.consecutiveFailures,
  failingSince: dateOf(health.failingSince),
  lastSuccessAt: dateOf(health.lastSuccessAt),
  lastFailureAt: dateOf(health.lastFailureAt),
  circuitOpenUntil: dateOf(health.circuitOpenUntil),
  circuitOpenings: health.circuitOpenings,
  throttledUntil: dateOf(health.throttledUntil)
})

/** Encodes a secret as parameters for the columns of `webhook_secret`. */
export const encodeSecret = (secret: Secret) => ({
  id: toUuid(secret.id),
  value: Redacted.value(secret.key),
  createdAt: new Date(secret.createdAt),
  expiresAt: dateOf(secret.expiresAt)
})

const timeOf = (date: Date | null): number | null => (date === null ? null : date.getTime())
const dateOf = (ms: number | null): Date | null => (ms === null ? null : new Date(ms))
