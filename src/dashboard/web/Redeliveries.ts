/**
 * Jobs that redeliver many: listed, counted first and then started, watched and cancelled.
 */
import type { RedeliveryInput } from "../../api/RedeliveriesApi.ts"
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import type { Redelivery } from "./Client.ts"
import { now, pause } from "./Clock.ts"
import { type Child, el, put } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form, type Values } from "./Form.ts"
import { period } from "./Period.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"
import { webhookField } from "./WebhookParts.ts"
import * as Words from "./Words.ts"

/** Lists bulk redeliveries. */
export const redeliveries: Screen = async (app) => {
  const { client, route } = app
  return {
    title: "Redeliveries",
    body: [
      el("a", { class: "button main", href: to(["redeliveries", "new"]) }, "Redeliver many"),
      await refreshed(app, {
        everyMs: 2_000,
        read: () => client.redeliveries({ cursor: route.query["cursor"] }),
        show: (page) => [
          table(
            "Redeliveries",
            columns,
            page.data,
            Show.nothing(
              "Nothing was redelivered in bulk yet",
              "A job sends again what many deliveries failed to, at a bounded rate."
            )
          ),
          pager(app, page)
        ]
      })
    ]
  }
}

/** Shows one bulk redelivery. */
export const redelivery: Screen = async (app) => {
  const { client, reload, route } = app
  const id = route.parts[1] ?? ""
  return {
    title: "Redelivery",
    body: [
      await refreshed(app, {
        everyMs: 1_000,
        read: () => client.redelivery(id),
        isFinal: isFinished,
        show: (job) =>
          el(
            "section",
            { class: "card" },
            el("p", { class: "lead" }, Show.state(job.state), " ", inWords(job)),
            !job.dryRun &&
              job.state === "running" &&
              el("progress", {
                max: Math.max(1, job.matched),
                value: job.done,
                "aria-label": "Done"
              }),
            Show.facts([
              ["Id", Show.copyable(job.id)],
              ["Of", job.status],
              [
                "Webhook",
                job.webhookId !== null &&
                  Show.idLink(to(["webhooks", job.webhookId]), job.webhookId)
              ],
              ["Type", job.type !== null && el("code", { class: "tag" }, job.type)],
              ["From", job.after !== null && Show.time(job.after)],
              ["Until", job.before !== null && Show.time(job.before)],
              ["Started", Show.time(job.createdAt)],
              ["Ended", job.finishedAt !== null && Show.time(job.finishedAt)]
            ]),
            !isFinished(job) &&
              actions({
                label: "Cancel",
                kind: "danger",
                run: async () => {
                  await client.cancelRedelivery(job.id)
                  announce("Cancelled. What was redelivered stays so.")
                  reload()
                }
              })
          )
      }),
      Show.link(to(["redeliveries"]), "All redeliveries")
    ]
  }
}

/** Counts what would be redelivered, and then redelivers it. */
export const newRedelivery: Screen = async (app) => {
  const { client, route } = app
  const webhooks = await client.webhooks({ limit: 250 })
  const asked = route.query
  const place = el("div", { class: "results", "aria-live": "polite" })
  const made: HTMLFormElement = form({
    does: "Count them first",
    children: [
      field(webhookField(webhooks, asked["webhook"])),
      field({ name: "type", label: "Event type", value: asked["type"] ?? "", placeholder: "all" }),
      field({
        name: "status",
        label: "Those that are",
        value: asked["status"] ?? "exhausted",
        choices: ["exhausted", "cancelled", "delivered"].map((one) => [one, one])
      }),
      field({
        name: "after",
        label: "Published from (UTC)",
        kind: "instant",
        value: period(asked, now()).after?.slice(0, 16) ?? ""
      }),
      field({ name: "before", label: "Until (UTC)", kind: "instant", value: asked["before"] ?? "" })
    ],
    run: async (values) => {
      put(place)
      const counted = await count(app, values)
      put(place, offer(app, values, counted))
    }
  })
  made.addEventListener("input", () => put(place))
  return {
    title: "Redeliver many",
    body: [
      el("section", { class: "card" }, made, place),
      Show.link(to(["redeliveries"]), "All redeliveries")
    ]
  }
}

/** Counts in a job that changes nothing, and waits for its end. */
const count = async ({ client, signal }: App, values: Values): Promise<Redelivery> => {
  let job = await client.redeliverMany({ ...inputOf(values), dryRun: true })
  while (!isFinished(job) && !signal.aborted) {
    await pause(300, signal)
    job = await client.redelivery(job.id)
  }
  return job
}

const offer = ({ client, go }: App, values: Values, { matched }: Redelivery): Child => {
  const all = Words.many(matched, "delivery", "deliveries")
  return matched === 0
    ? Show.nothing("No delivery is like that", "Nothing would be redelivered.")
    : [
        el(
          "p",
          { class: "lead" },
          `${all} would be sent again, each once and under its own webhook-id.`
        ),
        actions({
          label: `Redeliver ${all}`,
          kind: "main",
          run: async () => {
            const job = await client.redeliverMany(inputOf(values))
            go(to(["redeliveries", job.id]))
          }
        })
      ]
}

const inputOf = ({
  after,
  before,
  status,
  type,
  webhook
}: Values): typeof RedeliveryInput.Encoded => {
  const asked = period({ after: after || undefined, before: before || undefined }, now())
  return {
    ...(webhook ? { webhook } : {}),
    ...(type ? { type } : {}),
    status: status === "cancelled" || status === "delivered" ? status : "exhausted",
    ...(asked.after === undefined ? {} : { after: asked.after }),
    ...(asked.before === undefined ? {} : { before: asked.before })
  }
}

const isFinished = ({ state }: Redelivery): boolean => state === "done" || state === "cancelled"

const inWords = ({ done, dryRun, matched, state }: Redelivery): string => {
  if (state === "counting") return `${Words.count(matched)} found so far.`
  if (dryRun)
    return `${Words.many(matched, "delivery", "deliveries")} counted; nothing was changed.`
  return `${Words.count(done)} of ${Words.many(matched, "delivery", "deliveries")} redelivered.`
}

const columns: ReadonlyArray<Column<Redelivery>> = [
  { label: "Job", kind: "fit", of: ({ id }) => Show.idLink(to(["redeliveries", id]), id) },
  { label: "State", kind: "fit", of: ({ state }) => Show.state(state) },
  { label: "What came of it", kind: "wide", of: inWords },
  { label: "Of", kind: "fit", of: ({ status }) => status },
  { label: "Started", kind: "fit", of: ({ createdAt }) => Show.time(createdAt) }
]
