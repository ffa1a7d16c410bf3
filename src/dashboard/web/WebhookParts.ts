/**
 * How webhooks are called and how they stand, wherever they are shown.
 */
import type { Page, Webhook } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import type { Field } from "./Form.ts"
import * as Show from "./Show.ts"
import { many } from "./Words.ts"

/** Names a webhook: by its name, its uid or where it leads. */
export const webhookName = ({ name, uid, url }: Webhook): string => name ?? uid ?? url

/** The field that chooses a webhook: from all of them, or by id where they are too many to list. */
export const webhookField = (page: Page<Webhook>, chosen: string | undefined): Field => {
  const all = page.data.map((one) => [one.id, webhookName(one)] as const)
  const shared = { name: "webhook", label: "Webhook", value: chosen ?? "" }
  if (page.nextCursor !== null) {
    return { ...shared, likely: all.map(([id]) => id), placeholder: "id or uid" }
  }
  const isKnown = chosen === undefined || all.some(([id]) => id === chosen)
  return {
    ...shared,
    choices: [["", "any"], ...all, ...(isKnown ? [] : [[chosen, chosen] as const])]
  }
}

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
