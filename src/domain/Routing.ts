/**
 * Why webhooks got a message or did not: what routing decided when the message was accepted.
 *
 * Only what a webhook's event types and a delivery do not say already is kept with a message.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { WebhookId } from "./TypeId.ts"

/**
 * What decided about a webhook and a message. `paused` and `disabled` webhooks want it too: theirs is
 * held. `adHoc` says that the message named its one destination, so no other was asked.
 */
export const RoutingReason = Schema.Literals([
  "matched",
  "paused",
  "disabled",
  "type",
  "resource",
  "channel",
  "filter",
  "adHoc"
])
export type RoutingReason = typeof RoutingReason.Type

/** A decision that is kept with its message. */
export interface Decision {
  readonly webhookId: WebhookId
  readonly reason: "paused" | "disabled" | "resource" | "channel" | "filter" | "adHoc"
  /** Which clause of the filter did not hold, an RFC 6901 pointer into it. */
  readonly clause: string | null
}

/** The most decisions that are kept with one message; those after them are not told apart. */
export const decisionsMax = 1_000

/** Writes decisions as they are kept: small, and nothing where there is nothing to say. */
export const encode = (decisions: ReadonlyArray<Decision>): string | null =>
  decisions.length === 0
    ? null
    : JSON.stringify(
        decisions.map(({ clause, reason, webhookId }) =>
          clause === null ? [webhookId, reason] : [webhookId, reason, clause]
        )
      )

/** Reads what `encode` wrote. */
export const decode = (text: string | null): ReadonlyArray<Decision> =>
  text === null
    ? []
    : Option.getOrThrow(read(text)).map(([webhookId, reason, clause]) => ({
        webhookId,
        reason,
        clause: clause ?? null
      }))

const read = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Array(
      Schema.Tuple([
        WebhookId,
        Schema.Literals(["paused", "disabled", "resource", "channel", "filter", "adHoc"]),
        Schema.optionalKey(Schema.String)
      ])
    )
  )
)
