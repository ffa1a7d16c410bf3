/**
 * The tables that the `layerMemory` stores share: what the SQL ones keep in Postgres, kept in Maps.
 *
 * For tests and for trying things out. Nothing survives the process.
 */
import { Context, Layer } from "effect"
import type { Attempt } from "../domain/Attempt.ts"
import type { AuditEntry } from "../domain/AuditEntry.ts"
import type { Hold } from "../domain/Hold.ts"
import type { EventType } from "../domain/EventType.ts"
import type { Message } from "../domain/Message.ts"
import type { Decision } from "../domain/Routing.ts"
import type { ApiKey, Tenant } from "../domain/Tenant.ts"
import type { Notice } from "../domain/Notice.ts"
import type { Redelivery } from "../domain/Redelivery.ts"
import {
  type AuditId,
  type DeliveryId,
  type EventTypeId,
  type KeyId,
  type MessageId,
  messageOf,
  type NoticeId,
  type RedeliveryId,
  type TenantId,
  type WebhookId
} from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"

export class MemoryTables extends Context.Service<
  MemoryTables,
  {
    /** Counts the engines that owned these tables, the present one included. */
    readonly engine: { epoch: number }
    readonly tenants: Map<TenantId, Tenant>
    /** Tenants that were deleted and still own something. */
    readonly retired: Set<TenantId>
    /** By the hex SHA-256 of the key. */
    readonly keys: Map<string, ApiKey>
    readonly webhooks: Map<WebhookId, Webhook>
    readonly messages: Map<MessageId, Message>
    /** What routing decided, of the messages where it decided something. */
    readonly decisions: Map<MessageId, ReadonlyArray<Decision>>
    /** By tenant and uid: see `pairKey`. */
    readonly uids: Map<string, KeyRow>
    /** By tenant and idempotency key: see `pairKey`. */
    readonly idempotency: Map<string, KeyRow>
    /** By tenant and name: see `pairKey`. */
    readonly eventTypes: Map<string, { readonly tenantId: TenantId; readonly eventType: EventType }>
    /** The tenants that refuse types which their catalogue does not name. */
    readonly refusing: Set<TenantId>
    readonly owed: Map<DeliveryId, OwedRow>
    readonly waiting: Map<DeliveryId, WaitingRow>
    /** In the order of their numbers. */
    readonly attempts: Map<DeliveryId, Array<Attempt>>
    readonly cancelled: Map<DeliveryId, CancelledRow>
    /** The ordering keys that exhausted deliveries block. */
    readonly blocked: Map<DeliveryId, BlockedRow>
    /** The hold of everything, while there is one. */
    readonly hold: Map<"all", Hold>
    readonly redeliveries: Map<RedeliveryId, RedeliveryRow>
    readonly notices: Map<NoticeId, Notice>
    readonly audit: Map<AuditId, AuditEntry>
  }
>()("posthaste/store/MemoryTables") {
  static readonly layer = Layer.sync(MemoryTables, () =>
    MemoryTables.of({
      engine: { epoch: 0 },
      tenants: new Map(),
      retired: new Set(),
      keys: new Map(),
      webhooks: new Map(),
      messages: new Map(),
      decisions: new Map(),
      uids: new Map(),
      idempotency: new Map(),
      eventTypes: new Map(),
      refusing: new Set(),
      owed: new Map(),
      waiting: new Map(),
      attempts: new Map(),
      cancelled: new Map(),
      blocked: new Map(),
      hold: new Map(),
      redeliveries: new Map(),
      notices: new Map(),
      audit: new Map()
    })
  )
}

/** What a uid or an idempotency key was used for. */
export interface KeyRow {
  readonly digest: Uint8Array
  readonly resourceId: MessageId | WebhookId | TenantId | KeyId | EventTypeId | RedeliveryId
  /** Epoch milliseconds. */
  readonly createdAt: number
}

export interface OwedRow {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
}

export interface WaitingRow extends OwedRow {
  readonly attempts: number
  readonly tries: number
  /** Epoch milliseconds. */
  readonly dueAt: number
  readonly orderingKey: string | null
}

export interface CancelledRow extends OwedRow {
  readonly attempts: number
  /** Epoch milliseconds. */
  readonly cancelledAt: number
  readonly reason?: "expired"
}

export interface BlockedRow extends OwedRow {
  readonly orderingKey: string
}

/** A job, and how far it came in the range of deliveries that it walks. */
export interface RedeliveryRow {
  readonly job: Redelivery
  readonly above: DeliveryId
  readonly below: DeliveryId
  readonly passed: DeliveryId
}

/** Names the key in whose order a delivery stands that is sent again, or null. */
export const orderOf = (
  { messages, webhooks }: MemoryTables["Service"],
  id: DeliveryId,
  webhookId: WebhookId
): string | null =>
  webhooks.get(webhookId)?.settings.ordering === "none"
    ? null
    : (messages.get(messageOf(id))?.orderingKey ?? null)

/** Joins a tenant and a caller's key to one key of a Map. */
export const pairKey = (tenantId: TenantId, key: string): string => `${tenantId}/${key}`
