/**
 * Crosses the border between webhooks and their rows.
 *
 * Settings are decoded through their schema, so a row that an older version wrote gets the defaults
 * of what it does not know. A row that cannot be decoded is a defect: nobody can act on it.
 *
 * Secrets cross it by a KeyRing. One that it cannot open is left out, and with the current one all
 * of them, so that nothing goes out unsigned or signed by a secret that was replaced. Auth and headers
 * that it cannot open are named in `unreadable`, so that nothing goes out without them.
 */
import { Effect, Option, Redacted, Schema } from "effect"
import { none } from "../domain/Auth.ts"
import type { Secret } from "../domain/Secret.ts"
import { fromUuid, type SecretId, toUuid, type WebhookId } from "../domain/TypeId.ts"
import {
  DisabledReason,
  healthy,
  type UnreadablePart,
  type Webhook,
  type WebhookHealth,
  WebhookSettings,
  WebhookStatus
} from "../domain/Webhook.ts"
import type { KeyRing, SecretUnreadable } from "./KeyRing.ts"
import * as WebhookParts from "./WebhookParts.ts"

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
  channels: Schema.Array(Schema.String),
  // It was checked when it was written; a row is not refused for rules that came later.
  filter: Schema.NullOr(Schema.Record(Schema.String, Schema.Json)),
  headers: Texts,
  headers_sealed: Schema.NullOr(Schema.Uint8Array),
  auth_sealed: Schema.NullOr(Schema.Uint8Array),
  settings: WebhookSettings,
  ad_hoc: Schema.Boolean,
  ad_hoc_digest: Schema.NullOr(Schema.String),
  status: WebhookStatus,
  disabled_reason: Schema.NullOr(DisabledReason),
  created_at: Schema.Date,
  updated_at: Schema.Date,
  configured_at: Schema.Date,
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

/** How secrets are read: the ring that opens them, and who is told of one that does not open. */
export interface SecretReader {
  readonly ring: KeyRing["Service"]
  readonly unreadable: (
    at: { readonly webhookId: WebhookId; readonly part: SecretId | UnreadablePart },
    error: SecretUnreadable
  ) => Effect.Effect<void>
}

/** Decodes rows to webhooks; dies of one that is no webhook. */
export const decodeAll =
  (reader: SecretReader) =>
  (rows: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Webhook>> =>
    Effect.flatMap(Effect.orDie(decodeRows(rows)), (decoded) =>
      Effect.forEach(decoded, (row) =>
        Effect.flatMap(partsOf(reader, row), (parts) =>
          Effect.map(secretsOf(reader, row), (secrets) => webhookOf(row, parts, secrets))
        )
      )
    )

/** What a webhook keeps sealed besides its secrets. */
type Parts = Pick<Webhook, "auth" | "headers" | "unreadable">

const webhookOf = (row: Row, parts: Parts, secrets: ReadonlyArray<Secret>): Webhook => ({
  id: fromUuid("webhook", row.id),
  tenantId: fromUuid("tenant", row.tenant_id),
  uid: row.uid,
  name: row.name,
  description: row.description,
  metadata: row.metadata,
  url: row.url,
  eventTypes: row.event_types,
  resources: row.resources,
  channels: row.channels,
  filter: row.filter,
  headers: parts.headers,
  auth: parts.auth,
  settings: row.settings,
  adHoc: row.ad_hoc ? { digest: row.ad_hoc_digest } : null,
  status: row.status,
  disabledReason: row.disabled_reason,
  health: healthOf(row),
  secrets,
  unreadable: parts.unreadable,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime(),
  configuredAt: row.configured_at.getTime()
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

const partsOf = (reader: SecretReader, row: Row): Effect.Effect<Parts> => {
  const { auth_sealed: auth, headers, headers_sealed: sealed } = row
  return auth === null && sealed === null
    ? Effect.succeed({ auth: none, headers, unreadable: [] })
    : openedParts(reader, row)
}

const openedParts = Effect.fnUntraced(function* ({ ring, unreadable }: SecretReader, row: Row) {
  const owner = { tenantId: row.tenant_id, webhookId: row.id }
  const lost: Array<UnreadablePart> = []
  const orLost = <A>(part: UnreadablePart, opened: Effect.Effect<A, SecretUnreadable>, rest: A) =>
    Effect.catchTag(opened, "SecretUnreadable", (error) => {
      lost.push(part)
      return Effect.as(unreadable({ webhookId: fromUuid("webhook", row.id), part }, error), rest)
    })
  const auth =
    row.auth_sealed === null
      ? none
      : yield* orLost("auth", WebhookParts.openAuth(ring, owner, row.auth_sealed), none)
  const headers =
    row.headers_sealed === null
      ? row.headers
      : yield* orLost("headers", WebhookParts.openHeaders(ring, owner, row.headers_sealed), {})
  return { auth, headers, unreadable: lost }
})

const secretsOf = Effect.fnUntraced(function* ({ ring, unreadable }: SecretReader, row: Row) {
  const secrets: Array<Secret> = []
  for (const [i, id] of (row.secret_ids ?? []).entries()) {
    const at = { webhookId: fromUuid("webhook", row.id), part: fromUuid("secret", id) }
    const key = yield* ring
      .open(identityOf(row.tenant_id, row.id, id), row.secret_values![i]!)
      .pipe(
        Effect.map(Option.some),
        Effect.catchTag("SecretUnreadable", (error) =>
          Effect.as(unreadable(at, error), Option.none<Uint8Array>())
        )
      )
    const expiresAt = timeOf(row.secret_expires_at![i]!)
    if (Option.isSome(key)) {
      secrets.push({
        id: at.part,
        key: Redacted.make(key.value),
        createdAt: row.secret_created_at![i]!.getTime(),
        expiresAt
      })
    } else if (expiresAt === null) {
      return []
    }
  }
  return secrets
})

/** Names a secret's row to the KeyRing, by UUIDs: a sealed secret opens there and nowhere else. */
export const identityOf = (tenantId: string, webhookId: string, secretId: string): string =>
  `webhook_secret/${tenantId}/${webhookId}/${secretId}`

/** Encodes a webhook as parameters for the columns of `webhook` that are not sealed. */
export const encode = (webhook: Webhook) => ({
  id: toUuid(webhook.id),
  uid: webhook.uid,
  name: webhook.name,
  description: webhook.description,
  metadata: JSON.stringify(webhook.metadata),
  url: webhook.url,
  eventTypes: webhook.eventTypes,
  resources: JSON.stringify(webhook.resources),
  channels: webhook.channels,
  filter: webhook.filter === null ? null : JSON.stringify(webhook.filter),
  settings: JSON.stringify(encodeSettings(webhook.settings)),
  adHoc: webhook.adHoc !== null,
  adHocDigest: webhook.adHoc?.digest ?? null,
  status: webhook.status,
  disabledReason: webhook.disabledReason,
  createdAt: new Date(webhook.createdAt),
  updatedAt: new Date(webhook.updatedAt),
  configuredAt: new Date(webhook.configuredAt)
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

/** Encodes a secret as parameters for the columns of `webhook_secret`, its value not yet sealed. */
export const encodeSecret = (secret: Secret) => ({
  id: toUuid(secret.id),
  value: Redacted.value(secret.key),
  createdAt: new Date(secret.createdAt),
  expiresAt: dateOf(secret.expiresAt)
})

const timeOf = (date: Date | null): number | null => (date === null ? null : date.getTime())
const dateOf = (ms: number | null): Date | null => (ms === null ? null : new Date(ms))
