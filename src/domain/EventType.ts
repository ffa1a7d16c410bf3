/**
 * The names of what can happen: `invoice.paid`, and the patterns that subscribe to them.
 *
 * A name is dot-separated segments of letters, digits, `_` and `-` (Standard Webhooks asks for
 * `[a-zA-Z0-9_]`; the hyphen is common in the wild and harmless). `posthaste.*` belongs to us.
 */
import * as Schema from "effect/Schema"

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
