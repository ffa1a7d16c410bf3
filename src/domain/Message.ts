/**
 * What was published, once: its id, type and the exact bytes that every receiver gets.
 */
import * as Schema from "effect/Schema"
import type { EventTypeName } from "./EventType.ts"
import { problem } from "./Problem.ts"
import type { MessageId, TenantId } from "./TypeId.ts"

/** The thing that a message is about. */
export const Resource = Schema.Struct({
  type: Schema.NonEmptyString.check(Schema.isMaxLength(256)),
  id: Schema.NonEmptyString.check(Schema.isMaxLength(256))
})
export type Resource = typeof Resource.Type

/** A stored message. Its body is never changed, only sent. */
export interface Message {
  readonly id: MessageId
  readonly tenantId: TenantId
  readonly uid: string | null
  readonly type: EventTypeName
  readonly resource: Resource | null
  /** Messages with one key reach a webhook that asks for order in the order of their commits. */
  readonly orderingKey: string | null
  /** Who listens: only webhooks with one of these channels, and those that name none, get it. */
  readonly channels: ReadonlyArray<string>
  /** Epoch milliseconds before which nothing is sent, or null. */
  readonly deliverAt: number | null
  /** Epoch milliseconds from which on nothing is sent any more, or null. */
  readonly expiresAt: number | null
  readonly contentType: string
  readonly body: Uint8Array
  /** How many webhooks it was owed to when it was accepted. */
  readonly fanOut: number
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** No message of the tenant has this id or uid. */
export class MessageNotFound extends problem<MessageNotFound>()("MessageNotFound", {
  code: "message_not_found",
  status: 404,
  title: "No such message"
}) {}

/** The uid belongs to a message with other content. */
export class MessageUidConflict extends problem<MessageUidConflict>()("MessageUidConflict", {
  code: "message_uid_conflict",
  status: 409,
  title: "A message with this uid and other content exists"
}) {}

/** The Idempotency-Key was used with another request. */
export class IdempotencyConflict extends problem<IdempotencyConflict>()("IdempotencyConflict", {
  code: "idempotency_conflict",
  status: 409,
  title: "The Idempotency-Key was used with another request"
}) {}

/** The message is larger than the service takes. */
export class BodyTooLarge extends problem<BodyTooLarge>()("BodyTooLarge", {
  code: "body_too_large",
  status: 413,
  title: "The message is too large"
}) {}

/** More is asked than can be taken now; nothing was stored. Try again after a while. */
export class Overloaded extends problem<Overloaded>()(
  "Overloaded",
  {
    code: "overloaded",
    status: 503,
    title: "Too much is asked at once; try again"
  },
  { retryAfterSeconds: Schema.Int }
) {}
