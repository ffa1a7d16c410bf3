/**
 * One entry of the audit trail: who changed what, when, from where, and what it was before.
 *
 * An entry is written in the commit of its change, and never changed itself. Publishing is no change
 * of configuration: messages are their own record.
 */
import * as Schema from "effect/Schema"
import type { AuditId, KeyId, TenantId } from "./TypeId.ts"

/** What may be done that is written down. */
export const AuditAction = Schema.Literals([
  "webhook.created",
  "webhook.updated",
  "webhook.deleted",
  "webhook.paused",
  "webhook.resumed",
  "webhook.secret_viewed",
  "webhook.secret_rotated",
  "event_type.created",
  "event_type.updated",
  "event_type.deleted",
  "event_type_policy.updated",
  "delivery.redelivered",
  "delivery.cancelled",
  "redelivery.started",
  "redelivery.cancelled",
  "tenant.created",
  "tenant.updated",
  "tenant.deleted",
  "key.created",
  "key.updated",
  "key.revoked",
  "hold.started",
  "hold.updated",
  "hold.released"
])
export type AuditAction = typeof AuditAction.Type

/** Who acts: a key, or with a `keyId` of null whoever works on the database itself. */
export interface Actor {
  readonly keyId: KeyId | null
  /** The name that the key had then. */
  readonly name: string
}

/** Whoever works on the database itself: the command line, or the environment of a start. */
export const operator: Actor = { keyId: null, name: "operator" }

/** Who acts, from where, and in which request. */
export interface Origin {
  readonly actor: Actor
  /** The address that the request came from; null without a request. */
  readonly ip: string | null
  readonly requestId: string | null
}

/** Fields as answers of the API show them, with masks for credentials and what is kept sealed. */
export type AuditValues = { readonly [field: string]: Schema.Json }

/** What was changed. */
export interface AuditChange {
  readonly action: AuditAction
  /** Null where the change concerns the whole installation. */
  readonly tenantId: TenantId | null
  /** The id of what was changed; the name of an event type. */
  readonly target: string
  /** All fields of what is no more, or those that were changed; null where there was nothing. */
  readonly before: AuditValues | null
  /** All fields of what is new, or those that were changed; null where nothing is left. */
  readonly after: AuditValues | null
}

/** An entry as it is kept. */
export interface AuditEntry extends AuditChange, Origin {
  readonly id: AuditId
  /** Epoch milliseconds. */
  readonly at: number
}
