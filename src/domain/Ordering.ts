/**
 * Whether a webhook gets messages with one ordering key in their order, and what an exhausted one means.
 */
import * as Schema from "effect/Schema"

/**
 * `none`, or `key`: one attempt at a time for each ordering key, in the order in which the messages were
 * accepted. After an exhausted delivery `block` keeps back the later ones of its key until someone
 * redelivers or cancels it, `park` goes on without it. `key` alone blocks.
 */
export const Ordering = Schema.Union([
  Schema.Literals(["none", "key"]),
  Schema.Struct({
    by: Schema.Literal("key"),
    onExhausted: Schema.Literals(["block", "park"])
  })
])
export type Ordering = typeof Ordering.Type

/** Tells whether an exhausted delivery keeps back the later ones of its key. */
export const blocks = (ordering: Ordering): boolean =>
  typeof ordering === "string" ? ordering === "key" : ordering.onExhausted === "block"
