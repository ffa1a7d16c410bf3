/**
 * How webhooks are called and how they stand, wherever they are shown.
 */
import type { Webhook } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import * as Show from "./Show.ts"
import { many } from "./Words.ts"

/** Names a webhook: by its name, its uid or where it leads. */
export const webhookName = ({ name, uid, url }: Webhook): string => name ?? uid ?? url

/** Says in words why the engine stopped a webhook. */
export const stoppedBecause = ({ disabledReason }: Webhook): string | null =>
  disabledReason === null ? null : reasons[disabledReason]

const reasons = {
  failing: "It failed for so long that it was disabled.",
  gone: "The receiver answered 410: it wants nothing more.",
  on_failure: "Its own onFailure said so."
} as const

/** Shows how a webhook stands: its status, and its circuit and failures where they matter. */
export const standing = (webhook: Webhook): Child => [
  Show.state(webhook.status),
  webhook.status === "enabled" &&
    webhook.circuit.state !== "closed" &&
    el("div", {}, Show.circuit(webhook.circuit.state)),
  webhook.consecutiveFailures > 0 &&
    el(
      "div",
      {},
      el("span", { class: "bad" }, many(webhook.consecutiveFailures, "failure")),
      " in a row"
    )
]

/** Lists what a webhook wants. */
export const wanted = (eventTypes: ReadonlyArray<string>): Child =>
  eventTypes.length === 0
    ? el("span", { class: "faint" }, "all types")
    : eventTypes.map((type, index) => [index > 0 && " ", el("code", { class: "tag" }, type)])
