/**
 * All deliveries of the tenant, narrowed by webhook, type, state, answer and time.
 */
import type { App, Screen } from "./App.ts"
import type { Delivery, Page, Query } from "./Client.ts"
import { now } from "./Clock.ts"
import { type Child, el } from "./Dom.ts"
import { betweenFields, filters, withinField } from "./Filters.ts"
import { period } from "./Period.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"
import { webhookField, webhookName } from "./WebhookParts.ts"

/** Lists deliveries. */
export const deliveries: Screen = async (app) => {
  const { client, route } = app
  const { cursor, message, status, statusCodeClass, type, webhook } = route.query
  const webhooks = await client.webhooks({ limit: 250 })
  const names = new Map(webhooks.data.map((one) => [one.id, webhookName(one)]))
  const ask = (): Query => ({
    cursor,
    message,
    status,
    statusCodeClass,
    type,
    webhook,
    ...period(route.query, now())
  })
  return {
    title: "Deliveries",
    body: [
      el(
        "a",
        { class: "button", href: to(["redeliveries", "new"], { ...route.query, cursor: null }) },
        "Redeliver many"
      ),
      filters(app, [
        webhookField(webhooks, webhook),
        { name: "type", label: "Event type" },
        {
          name: "status",
          label: "State",
          choices: ["", "pending", "waiting", "held", "delivered", "exhausted", "cancelled"].map(
            (one) => [one, one || "any"]
          )
        },
        {
          name: "statusCodeClass",
          label: "Last answer",
          choices: ["", "2xx", "3xx", "4xx", "5xx"].map((one) => [one, one || "any"])
        },
        withinField,
        ...betweenFields
      ]),
      await refreshed(app, {
        everyMs: 3_000,
        read: () => client.deliveries(ask()),
        show: (page) => deliveryList(app, page, names)
      })
    ]
  }
}

/** Shows a page of deliveries, with the names of their webhooks unless it is one anyway. */
export const deliveryList = (
  app: App,
  page: Page<Delivery>,
  names: ReadonlyMap<string, string> | null,
  empty: Child = Show.nothing(
    "No delivery is like that",
    "A delivery is made for each webhook that wants a message."
  )
): Child => [
  table("Deliveries", columns(names), page.data, empty),
  pager(app, page),
  page.data.length === 0 &&
    page.nextCursor !== null &&
    el("p", { class: "faint" }, "Nothing on this page; older ones may match.")
]

const columns = (names: ReadonlyMap<string, string> | null): ReadonlyArray<Column<Delivery>> => [
  { label: "Delivery", kind: "fit", of: ({ id }) => Show.idLink(to(["deliveries", id]), id) },
  { label: "Type", of: ({ type }) => el("code", { class: "tag" }, type) },
  ...(names === null
    ? []
    : [
        {
          label: "Webhook",
          kind: "wide",
          of: ({ webhookId }: Delivery) =>
            Show.link(to(["webhooks", webhookId]), names.get(webhookId) ?? webhookId)
        } as const
      ]),
  { label: "State", kind: "fit", of: ({ status }) => Show.state(status) },
  {
    label: "Answer",
    kind: "fit",
    of: ({ lastClass, lastStatusCode }) => Show.answer(lastStatusCode, lastClass)
  },
  { label: "Attempts", kind: "number", of: ({ attempts }) => attempts },
  { label: "Made", kind: "fit", of: ({ createdAt }) => Show.time(createdAt) },
  {
    label: "Next",
    kind: "fit",
    of: ({ nextAttemptAt, settledAt }) =>
      settledAt === null ? Show.due(nextAttemptAt) : Show.none()
  }
]
