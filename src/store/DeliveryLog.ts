/**
 * What was sent, when, with which result: attempts, only added, and deliveries read from them.
 *
 * `settle` is the one place where an attempt is written: in one transaction with the state of its
 * delivery, the next due time and the health of its webhook. Then it is announced on `changes`.
 */
import { Context, type Effect, type Option, type Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery, DeliveryStatus } from "../domain/Delivery.ts"
import type { Page, PageRequest } from "../domain/Page.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type { DisabledReason, WebhookHealth } from "../domain/Webhook.ts"
import type { StoreError } from "./StoreError.ts"

export class DeliveryLog extends Context.Service<DeliveryLog, {
  /**
   * Writes attempts and what follows from them, in one commit. A delivery that was cancelled
   * meanwhile keeps that state; its attempt is written all the same. A fenced engine writes nothing
   * and dies.
   */
  readonly settle: (
    settlements: NonEmptyReadonlyArray<Settlement>
  ) => Effect.Effect<void, StoreError>
  /** Finds a tenant's delivery. */
  readonly find: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Option.Option<Delivery>, StoreError>
  /** Lists a tenant's deliveries, newest message first. */
  readonly list: (
    tenantId: TenantId,
    request: PageRequest,
    filter: DeliveryFilter
  ) => Effect.Effect<Page<Delivery>, StoreError>
  /** Lists the attempts of a tenant's delivery, first one first. */
  readonly attempts: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<ReadonlyArray<Attempt>, StoreError>
  /** Every settlement from now on. A slow reader misses the oldest of more than 4,096. */
  readonly changes: Stream.Stream<DeliveryChange>
}>()("posthaste/store/DeliveryLog") {}

/** An attempt and what was decided. */
export interface Settlement {
  readonly attempt: Attempt
  /** Attempts made in the present round, this one included. */
  readonly tries: number
  /** The webhook's health after this attempt, or null when it need not be written. */
  readonly health: WebhookHealth | null
  /** Set when this attempt disables the webhook. */
  readonly disable: DisabledReason | null
}

/** Announces an attempt that was written, and the state it left its delivery in. */
export interface DeliveryChange {
  readonly attempt: Attempt
  readonly status: "waiting" | "delivered" | "exhausted"
}

/** What a list of deliveries is narrowed to. */
export interface DeliveryFilter {
  readonly webhookId: WebhookId | null
  readonly messageId: MessageId | null
  readonly type: string | null
  readonly status: DeliveryStatus | null
  /** 2 for 2xx, and so on: of the last attempt. */
  readonly statusCodeClass: number | null
}
