/**
 * Accepts messages: once, durably, with everything they owe.
 *
 * A message that was answered with success is committed together with its deliveries. Concurrent
 * publishes share a commit; one that comes alone waits for nothing. What comes after the commit,
 * sending, is handed to the lanes in memory.
 */
import { Context, type Effect } from "effect"
import type { EventTypeName } from "../domain/EventType.ts"
import type {
  BodyTooLarge,
  IdempotencyConflict,
  MessageUidConflict,
  Overloaded,
  Resource
} from "../domain/Message.ts"
import type { MessageId, TenantId } from "../domain/TypeId.ts"
import type { StoreError } from "../store/StoreError.ts"

export class Publisher extends Context.Service<Publisher, {
  /** Publishes one message; a repetition answers what the first one was answered. */
  readonly publish: (
    draft: Draft
  ) => Effect.Effect<
    Accepted,
    BodyTooLarge | MessageUidConflict | IdempotencyConflict | Overloaded | StoreError
  >
}>()("posthaste/publish/Publisher") {}

/** A message as a caller gives it, checked for shape but not yet accepted. */
export interface Draft {
  readonly tenantId: TenantId
  readonly type: EventTypeName
  readonly uid: string | null
  readonly resource: Resource | null
  /** The JSON text of `data`, exactly as the caller wrote it. */
  readonly data: string
  readonly idempotencyKey: string | null
}

/** What an accepted message is answered with. */
export interface Accepted {
  readonly id: MessageId
  readonly uid: string | null
  readonly type: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** The number of webhooks that the message is owed to. */
  readonly deliveries: number
}
