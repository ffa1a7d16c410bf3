/**
 * One webhook: how it does, what it is sent, and everything that can be done with it.
 */
import { type Action, actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import type { Delivery, Page, Webhook, WebhookStats } from "./Client.ts"
import { deliveryList } from "./Deliveries.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { refreshed } from "./Poll.ts"
import { removal } from "./Removal.ts"
import { to } from "./Route.ts"
import { secretPart } from "./SecretPart.ts"
import * as Show from "./Show.ts"
import { trialPart } from "./TrialPart.ts"
import * as Words from "./Words.ts"
import { stoppedBecause, wanted, webhookName } from "./WebhookParts.ts"

/** Shows one webhook. */
export const webhook: Screen = async (app) => {
  const { client, route } = app
  const id = route.parts[1] ?? ""
  const read = async () => {
    const [one, stats, deliveries] = await Promise.all([
      client.webhook(id),
      client.webhookStats(id),
      client.deliveries({ webhook: id, limit: 10 })
    ])
    return { one, stats, deliveries }
  }
  const first = await client.webhook(id)
  return {
    title: webhookName(first),
    body: [
      await refreshed(app, {
        everyMs: 3_000,
        read,
        show: ({ deliveries, one, stats }) => [
          health(app, one, stats),
          recent(app, one, deliveries)
        ]
      }),
      trialPart(app, first),
      secretPart(app, first),
      settings(first),
      ending(app, first)
    ]
  }
}

const health = (app: App, one: Webhook, stats: WebhookStats): Child => {
  const { circuit, deliveries, recent } = stats
  const reason = stoppedBecause(one)
  return el(
    "section",
    { class: "card" },
    el("p", { class: "lead" }, Show.state(one.status), " ", inWords(one, stats)),
    reason !== null && el("p", { class: "advice" }, reason),
    one.adHoc &&
      el("p", { class: "faint" }, "It came with a message, and gets only those that name it."),
    one.unreadable.length > 0 &&
      el(
        "p",
        { class: "advice" },
        `The service has no key for its ${one.unreadable.join(" and ")}; deliveries wait meanwhile.`
      ),
    Show.facts([
      ["URL", el("code", { class: "break" }, one.url)],
      ["Circuit", [Show.state(circuit.state), until(circuit.openUntil)]],
      ["Delivered", Words.count(deliveries.delivered)],
      ["Exhausted", Words.count(deliveries.exhausted)],
      ["Owed", `${stats.backlog.isCapped ? "more than " : ""}${Words.count(stats.backlog.count)}`],
      ["Of them held", deliveries.held > 0 && Words.count(deliveries.held)],
      ["Overdue for", stats.backlog.ageMs > 0 && Words.length(stats.backlog.ageMs)],
      [
        "Success",
        recent.successRate !== null &&
          `${Words.share(recent.successRate)} of the last ${Words.count(recent.deliveries)}`
      ],
      [
        "Duration",
        recent.p50Ms !== null &&
          recent.p95Ms !== null &&
          `${Words.length(recent.p50Ms)} usually, 95 % within ${Words.length(recent.p95Ms)}`
      ],
      ["Last success", Show.time(one.lastSuccessAt)],
      ["Last failure", Show.time(one.lastFailureAt)]
    ]),
    actions(switching(app, one))
  )
}

const inWords = (one: Webhook, { circuit }: WebhookStats): string => {
  if (one.status === "paused") return "Paused: deliveries wait until it is resumed."
  if (one.status === "disabled") return "Disabled: deliveries wait until it is resumed."
  const failures = Words.many(one.consecutiveFailures, "failure")
  if (circuit.state === "open") return `${failures} in a row: deliveries wait for the next probe.`
  if (circuit.state === "half_open") return "One attempt probes whether the receiver is back."
  if (one.consecutiveFailures > 0) return `${failures} in a row; the receiver is tried again.`
  return one.lastSuccessAt === null ? "Nothing was delivered yet." : "The receiver answers well."
}

const until = (at: string | null): Child => at !== null && [" until ", Show.time(at)]

const switching = ({ client, reload }: App, one: Webhook): Action => {
  const isOn = one.status === "enabled"
  return {
    label: isOn ? "Pause" : "Resume",
    kind: isOn ? undefined : "main",
    run: async () => {
      await (isOn ? client.pause(one.id) : client.resume(one.id))
      announce(isOn ? "Paused." : "Resumed.")
      reload()
    }
  }
}

const recent = (app: App, one: Webhook, page: Page<Delivery>): Child =>
  el(
    "section",
    { class: "card" },
    el(
      "div",
      { class: "row spread" },
      el("h2", {}, "Deliveries"),
      Show.link(to(["deliveries"], { webhook: one.id }), "All of them")
    ),
    deliveryList(
      app,
      { ...page, nextCursor: null },
      null,
      Show.nothing(
        "Nothing was sent to it yet",
        "Publish a message that it wants, or test it below."
      )
    )
  )

const settings = (one: Webhook): Child =>
  el(
    "section",
    { class: "card" },
    el(
      "div",
      { class: "row spread" },
      el("h2", {}, "Settings"),
      el("a", { class: "button", href: to(["webhooks", one.id, "change"]) }, "Change")
    ),
    Show.facts([
      ["Id", Show.copyable(one.id)],
      ["uid", one.uid],
      ["Description", one.description],
      ["Wants", wanted(one.eventTypes)],
      ["Format", `${one.format}, ${one.method}`],
      [
        "Signature",
        typeof one.signature === "string" ? one.signature : `hex in ${one.signature.header}`
      ],
      ["Auth", one.auth.kind],
      ["Timeout", Words.length(one.timeoutMs)],
      ["At once", Words.many(one.concurrency, "attempt")],
      [
        "Order",
        one.ordering !== "none" &&
          (typeof one.ordering === "string" || one.ordering.onExhausted === "block"
            ? "by ordering key; behind an exhausted one they wait"
            : "by ordering key; past an exhausted one they go on")
      ],
      [
        "Rate",
        one.rate !== null &&
          `${Words.many(one.rate.limit, "attempt")} in ${Words.length(one.rate.perMs)}`
      ],
      ["Registered", Show.time(one.createdAt)],
      ["Changed", Show.time(one.updatedAt)]
    ]),
    el(
      "details",
      { id: "all-settings" },
      el("summary", {}, "All of it, as JSON"),
      Show.body(JSON.stringify(one))
    )
  )

const ending = (app: App, one: Webhook): Child =>
  Show.section(
    "Remove",
    el("p", {}, "What is still owed to it ends as cancelled. Its past deliveries stay to be read."),
    actions(
      removal(app, {
        what: "webhook",
        name: webhookName(one),
        text: "It gets nothing more, and cannot be brought back.",
        remove: () => app.client.removeWebhook(one.id),
        next: to(["webhooks"])
      })
    )
  )
