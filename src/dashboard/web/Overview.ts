/**
 * How things stand: what was sent in the last hour, what is owed, and who needs looking after.
 */
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import { throughput } from "./Chart.ts"
import type { Hold, Stats, Webhook } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form } from "./Form.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import * as Words from "./Words.ts"
import { webhookName } from "./WebhookParts.ts"

/** Shows how things stand. */
export const overview: Screen = async (app) => ({
  title: "Overview",
  body: [
    await refreshed(app, {
      everyMs: 5_000,
      read: async () => {
        const { client, isOperator } = app
        const [stats, hold] = await Promise.all([client.stats(), isOperator ? client.hold() : null])
        return { stats, hold }
      },
      show: ({ hold, stats }) => [
        holdBanner(app, hold),
        totals(stats),
        Show.section("The last hour", throughput(stats.throughput)),
        Show.section("Backlog", backlog(stats))
      ]
    }),
    await refreshed(app, { everyMs: 20_000, read: () => webhooks(app), show: troubled }),
    app.isOperator && emergency(app)
  ]
})

/** Reads the webhooks that are stopped, and those among the newest others that fail. */
const webhooks = async ({ client }: App) => {
  const [disabled, paused, enabled] = await Promise.all([
    client.webhooks({ status: "disabled", limit: shownMax }),
    client.webhooks({ status: "paused", limit: shownMax }),
    client.webhooks({ status: "enabled", limit: 250 })
  ])
  const failing = enabled.data.filter(
    ({ circuit, consecutiveFailures }) => consecutiveFailures > 0 || circuit.state !== "closed"
  )
  return {
    count: disabled.data.length + paused.data.length + enabled.data.length,
    troubled: [...disabled.data, ...paused.data, ...failing],
    isAll: enabled.nextCursor === null
  }
}

const shownMax = 20

const holdBanner = ({ client, reload }: App, hold: Hold | null): Child =>
  hold !== null &&
  hold.held &&
  el(
    "div",
    { class: "banner", role: "status" },
    el(
      "div",
      {},
      el("strong", {}, "All sending is held. "),
      "Messages are accepted and wait. Since ",
      Show.time(hold.since),
      hold.reason !== null && [": ", hold.reason]
    ),
    actions({
      label: "Release",
      kind: "main",
      run: async () => {
        await client.release()
        reload()
      }
    })
  )

const emergency = ({ client, reload }: App): Child =>
  el(
    "details",
    { class: "card", id: "emergency" },
    el("summary", {}, "Hold all sending"),
    form({
      does: "Hold all sending",
      children: [
        el(
          "p",
          {},
          "Of all tenants, at once. Messages are accepted as ever and wait until you release them."
        ),
        field({ name: "reason", label: "Why", placeholder: "flood of duplicates" })
      ],
      run: async ({ reason }) => {
        await client.holdAll(reason || null)
        announce("All sending is held.")
        reload()
      }
    })
  )

const welcome = (): Child =>
  el(
    "section",
    { class: "card nothing" },
    el("strong", {}, "No webhook yet"),
    el("p", {}, "Register where messages shall go, then publish one."),
    el(
      "p",
      {},
      el("a", { class: "button main", href: to(["webhooks", "new"]) }, "Register a webhook")
    )
  )

const totals = ({ attempts, deliveries }: Stats): Child =>
  el(
    "ul",
    { class: "totals" },
    (["pending", "waiting", "held", "delivered", "exhausted", "cancelled"] as const).map((status) =>
      el(
        "li",
        {},
        el(
          "a",
          { href: to(["deliveries"], { status }) },
          Show.state(status),
          el("strong", {}, Words.count(deliveries[status]))
        )
      )
    ),
    el(
      "li",
      {},
      el("span", { class: "state" }, "attempts"),
      el("strong", {}, Words.count(attempts))
    )
  )

const backlog = ({ backlog: { ageMs, count, isCapped, nextDueAt } }: Stats): Child =>
  count === 0
    ? Show.nothing("Nothing is owed", "Everything that was accepted is settled.")
    : Show.facts([
        ["Owed", `${isCapped ? "more than " : ""}${Words.many(count, "delivery", "deliveries")}`],
        ["Oldest overdue for", ageMs === 0 ? "nothing is overdue" : Words.length(ageMs)],
        ["Next one", Show.due(nextDueAt)]
      ])

const troubled = (found: Awaited<ReturnType<typeof webhooks>>): Child =>
  found.count === 0
    ? welcome()
    : Show.section(
        "Needs a look",
        found.troubled.length === 0
          ? Show.nothing("All webhooks do well", "None is failing, paused or disabled.")
          : el("ul", { class: "rows" }, found.troubled.slice(0, shownMax).map(trouble)),
        found.troubled.length > shownMax &&
          el("p", { class: "faint" }, `And ${Words.count(found.troubled.length - shownMax)} more.`),
        !found.isAll &&
          el("p", { class: "faint" }, "Of those enabled, the newest 250 were looked at.")
      )

const trouble = (webhook: Webhook): Child =>
  el(
    "li",
    {},
    Show.link(to(["webhooks", webhook.id]), webhookName(webhook)),
    el(
      "span",
      { class: "end" },
      webhook.status === "enabled"
        ? [
            webhook.circuit.state !== "closed" && [Show.circuit(webhook.circuit.state), " "],
            el("span", { class: "bad" }, Words.many(webhook.consecutiveFailures, "failure")),
            " in a row"
          ]
        : Show.state(webhook.status)
    )
  )
