/**
 * The names of what can happen: `invoice.paid`, and the patterns that subscribe to them.
 *
 * A name is dot-separated segments of letters, digits, `_` and `-` (Standard Webhooks asks for
 * `[a-zA-Z0-9_]`; the hyphen is common in the wild and harmless). `posthaste.*` belongs to us.
 */
import * as Schema from "effect/Schema"
import { problem, ProblemItem } from "./Problem.ts"
import type { EventTypeId } from "./TypeId.ts"

const segment = "[A-Za-z0-9_-]+"

/** The name of an event type, at most 256 characters. */
export const EventTypeName = Schema.String.check(
  Schema.isMaxLength(256),
  Schema.isPattern(new RegExp(`^${segment}(\\.${segment})*$`), {
    message: "Expected segments of letters, digits, _ or - joined by dots, such as invoice.paid"
  })
)
export type EventTypeName = typeof EventTypeName.Type

/** A name, or a name's beginning followed by `.*`, which matches everything below it. */
export const EventTypePattern = Schema.String.check(
  Schema.isMaxLength(256),
  Schema.isPattern(new RegExp(`^(\\*|${segment}(\\.${segment})*(\\.\\*)?)$`), {
    message: "Expected an event type such as invoice.paid, or a pattern such as invoice.*"
  })
)
export type EventTypePattern = typeof EventTypePattern.Type

/**
 * Tells whether a webhook with these patterns wants the type. No patterns want every type, and so does
 * `*`, but for the operational ones: whoever gets them has named them.
 */
export const wants = (patterns: ReadonlyArray<EventTypePattern>, type: EventTypeName): boolean =>
  isOperational(type)
    ? patterns.some((pattern) => isOperational(pattern) && matches(pattern, type))
    : patterns.length === 0 || patterns.some((pattern) => matches(pattern, type))

/** Tells whether a name or a pattern is of Posthaste's own messages about webhooks. */
export const isOperational = (type: string): boolean => type.startsWith("posthaste.")

/** Tells whether one pattern matches the type: `invoice.*` matches `invoice.paid.late` too. */
export const matches = (pattern: EventTypePattern, type: EventTypeName): boolean =>
  pattern === "*" ||
  pattern === type ||
  (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)))

/** Tells whether a name is one of ours, which callers can neither publish nor catalogue. */
export const isReserved = (type: EventTypeName): boolean =>
  type === "posthaste" || type.startsWith("posthaste.")

/** What a tenant says about a type of its messages. */
export interface EventTypeFields {
  readonly displayName: string
  readonly description: string | null
  /** A JSON Schema, draft 2020-12, that `data` has to meet; null lets all pass. */
  readonly schema: Schema.JsonObject | null
  /** An example of `data`; null when there is none. */
  readonly example: Schema.Json | null
  /** An archived type takes no new messages. */
  readonly archived: boolean
}

/** A type in a tenant's catalogue. */
export interface EventType extends EventTypeFields {
  readonly id: EventTypeId
  readonly name: EventTypeName
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly updatedAt: number
}

/** What becomes of messages of types that the catalogue does not name. */
export const UnknownEventTypes = Schema.Literals(["allow", "refuse"])
export type UnknownEventTypes = typeof UnknownEventTypes.Type

/** The catalogue does not name the type. */
export class EventTypeNotFound extends problem<EventTypeNotFound>()("EventTypeNotFound", {
  code: "event_type_not_found",
  status: 404,
  title: "No such event type"
}) {}

/** The catalogue names the type already. */
export class EventTypeExists extends problem<EventTypeExists>()("EventTypeExists", {
  code: "event_type_exists",
  status: 409,
  title: "The event type exists"
}) {}

/** The catalogue has as many types as one tenant may have. */
export class CatalogueFull extends problem<CatalogueFull>()("CatalogueFull", {
  code: "catalogue_full",
  status: 409,
  title: "The catalogue is full"
}) {}

/** The catalogue lets no such message pass; `errors` says where it differs. */
export class MessageRefused extends problem<MessageRefused>()(
  "MessageRefused",
  {
    code: "message_refused",
    status: 422,
    title: "The event type takes no such message"
  },
  { errors: Schema.Array(ProblemItem) }
) {}
