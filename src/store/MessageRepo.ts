/**
 * Messages as they are kept: written once with all that they owe, then only read.
 *
 * `insert` is the one place where a message and its deliveries come to be, in one transaction with
 * the idempotency key and the uid. Bodies are bytes and stay the bytes that were given.
 */
import { Context, type Effect, type Option } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Message } from "../domain/Message.ts"
import type { Page, PageRequest } from "../domain/Page.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type { StoreError } from "./StoreError.ts"

export class MessageRepo extends Context.Service<MessageRepo, {
  /** Writes messages with their deliveries in one commit; result i answers message i. */
  readonly insert: (
    messages: NonEmptyReadonlyArray<NewMessage>
  ) => Effect.Effect<ReadonlyArray<InsertResult>, StoreError>
  /** Finds a tenant's message by id or uid, body included. */
  readonly find: (
    tenantId: TenantId,
    ref: string
  ) => Effect.Effect<Option.Option<Message>, StoreError>
  /** Lists a tenant's messages, newest first; bodies are empty unless asked for. */
  readonly list: (
    tenantId: TenantId,
    request: PageRequest,
    filter: MessageFilter
  ) => Effect.Effect<Page<Message>, StoreError>
}>()("posthaste/store/MessageRepo") {}

/** A message to be written, with what it owes. */
export interface NewMessage {
  readonly message: Message
  /** SHA-256 of what the caller sent: tells a repetition from a conflict. */
  readonly digest: Uint8Array
  readonly idempotencyKey: string | null
  readonly deliveries: ReadonlyArray<NewDelivery>
}

/** A delivery to be written. */
export interface NewDelivery {
  readonly id: DeliveryId
  readonly webhookId: WebhookId
  /** Epoch milliseconds at which a lane shall read it back, or null when memory keeps it. */
  readonly dueAt: number | null
}

/** What became of a message that was to be written. */
export type InsertResult =
  | { readonly _tag: "Inserted" }
  /** The same was published before; this is the first one. */
  | { readonly _tag: "Existing"; readonly message: ExistingMessage }
  | { readonly _tag: "UidConflict" }
  | { readonly _tag: "IdempotencyConflict" }

/** What the answer to a repeated publish needs. */
export interface ExistingMessage {
  readonly id: MessageId
  readonly uid: string | null
  readonly type: string
  readonly fanOut: number
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** What a list of messages is narrowed to. */
export interface MessageFilter {
  readonly type: string | null
  readonly resourceType: string | null
  readonly resourceId: string | null
  readonly includeBody: boolean
}
