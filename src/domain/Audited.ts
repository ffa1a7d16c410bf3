/**
 * What the audit trail says of each kind of change, as pure functions of what was there before and
 * after: null where nothing changed.
 *
 * Which fields changed is decided by their true values, and what is shown of them has no credential
 * in it. So a new password is told of, and cannot be read. What is sealed where webhooks are kept, as
 * all values of headers are, is masked here.
 */
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type { AuditAction, AuditChange, AuditValues } from "./AuditEntry.ts"
import { masked } from "./Auth.ts"
import type { Delivery } from "./Delivery.ts"
import type { EventType, UnknownEventTypes } from "./EventType.ts"
import type { Hold } from "./Hold.ts"
import { mask, maskUrl } from "./Mask.ts"
import type { Redelivery } from "./Redelivery.ts"
import type { ApiKey, Tenant } from "./Tenant.ts"
import type { TenantId } from "./TypeId.ts"
import { currentSecret, type Webhook } from "./Webhook.ts"
import { webhookFacts } from "./WebhookFacts.ts"

/** Tells of a webhook that was registered, changed or removed. */
export const webhook = (
  action: AuditAction,
  before: Webhook | null,
  after: Webhook | null
): AuditChange | null => {
  const { id, tenantId } = someOf(before, after)
  return changed(
    { action, tenantId, target: id },
    before && { shown: shownWebhook(before), true: trueWebhook(before) },
    after && { shown: shownWebhook(after), true: trueWebhook(after) }
  )
}

/** Tells that the secret of a webhook was shown. */
export const secretViewed = ({ id, tenantId }: Webhook): AuditChange => ({
  action: "webhook.secret_viewed",
  tenantId,
  target: id,
  before: null,
  after: null
})

/** Tells of an event type that was added, changed or removed. */
export const eventType = (
  action: AuditAction,
  tenantId: TenantId,
  before: EventType | null,
  after: EventType | null
): AuditChange | null =>
  plainly(
    { action, tenantId, target: someOf(before, after).name },
    before && shownEventType(before),
    after && shownEventType(after)
  )

/** Tells that what becomes of unknown event types was changed; its target is the tenant. */
export const eventTypePolicy = (
  tenantId: TenantId,
  before: UnknownEventTypes,
  after: UnknownEventTypes
): AuditChange | null =>
  plainly(
    { action: "event_type_policy.updated", tenantId, target: tenantId },
    { unknown: before },
    { unknown: after }
  )

/** Tells of a tenant that was made, changed or ended. */
export const tenant = (
  action: AuditAction,
  before: Tenant | null,
  after: Tenant | null
): AuditChange | null => {
  const { id } = someOf(before, after)
  return plainly(
    { action, tenantId: id, target: id },
    before && shownTenant(before),
    after && shownTenant(after)
  )
}

/** Tells of an API key that was made, changed or revoked. */
export const key = (
  action: AuditAction,
  before: ApiKey | null,
  after: ApiKey | null
): AuditChange | null => {
  const { id, tenantId } = someOf(before, after)
  return plainly(
    { action, tenantId, target: id },
    before && shownKey(before),
    after && shownKey(after)
  )
}

/** Tells that all sending was stopped, or goes on. */
export const hold = (before: Hold | null, after: Hold | null): AuditChange | null => {
  const action =
    before === null ? "hold.started" : after === null ? "hold.released" : "hold.updated"
  return plainly(
    { action, tenantId: null, target: "hold" },
    before && shownHold(before),
    after && shownHold(after)
  )
}

/** Tells that a delivery was redelivered or cancelled. */
export const delivery = (
  action: AuditAction,
  before: Delivery,
  after: Delivery
): AuditChange | null =>
  plainly(
    { action, tenantId: after.tenantId, target: after.id },
    { status: before.status },
    { status: after.status }
  )

/** Tells that a bulk redelivery was started or cancelled. */
export const redelivery = (
  action: AuditAction,
  before: Redelivery | null,
  after: Redelivery
): AuditChange | null =>
  plainly(
    { action, tenantId: after.tenantId, target: after.id },
    before && shownRedelivery(before),
    shownRedelivery(after)
  )

/** What is shown of a thing, and what decides under the same names whether it changed. */
interface Facts {
  readonly shown: AuditValues
  readonly true: { readonly [field: string]: unknown }
}

const changed = (
  what: Omit<AuditChange, "before" | "after">,
  before: Facts | null,
  after: Facts | null
): AuditChange | null => {
  if (before === null || after === null) {
    return { ...what, before: before?.shown ?? null, after: after?.shown ?? null }
  }
  const fields = Object.keys(after.shown).filter(
    (field) => !Equal.equals(before.true[field], after.true[field])
  )
  return fields.length === 0
    ? null
    : { ...what, before: only(before.shown, fields), after: only(after.shown, fields) }
}

const plainly = (
  what: Omit<AuditChange, "before" | "after">,
  before: AuditValues | null,
  after: AuditValues | null
): AuditChange | null =>
  changed(what, before && { shown: before, true: before }, after && { shown: after, true: after })

const only = (values: AuditValues, fields: ReadonlyArray<string>): AuditValues =>
  Object.fromEntries(fields.map((field) => [field, values[field] ?? null]))

const someOf = <A>(before: A | null, after: A | null): A => {
  const some = after ?? before
  if (some === null) throw new Error("Expected something before or after the change")
  return some
}

const shownWebhook = (webhook: Webhook): AuditValues => ({
  ...webhookFacts(webhook),
  url: maskUrl(webhook.url),
  headers: hidden(webhook.headers),
  auth: { ...hidden(masked(webhook.auth)), kind: webhook.auth.kind },
  secret: Option.isSome(currentSecret(webhook)) ? mask : null
})

/** Shows which members there are, and no value. */
const hidden = (members: object): AuditValues =>
  Object.fromEntries(Object.keys(members).map((name) => [name, mask]))

const trueWebhook = (webhook: Webhook) => ({
  ...webhookFacts(webhook),
  headers: webhook.headers,
  auth: webhook.auth,
  secret: Option.map(currentSecret(webhook), ({ id }) => id)
})

const shownEventType = (eventType: EventType): AuditValues => ({
  displayName: eventType.displayName,
  description: eventType.description,
  schema: eventType.schema,
  example: eventType.example,
  archived: eventType.archived
})

const shownTenant = ({ limits, name, uid }: Tenant): AuditValues => ({
  uid,
  name,
  limits: { webhooks: limits.webhooks, messagesPerSecond: limits.messagesPerSecond }
})

const shownKey = ({ expiresAt, name, prefix, scopes }: ApiKey): AuditValues => ({
  name,
  prefix,
  scopes,
  expiresAt: instantOf(expiresAt)
})

const shownHold = ({ reason, since }: Hold): AuditValues => ({ reason, since: instantOf(since) })

const shownRedelivery = (job: Redelivery): AuditValues => ({
  state: job.state,
  webhookId: job.webhookId,
  type: job.type,
  status: job.status,
  after: instantOf(job.after),
  before: instantOf(job.before),
  dryRun: job.dryRun
})

const instantOf = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString()
