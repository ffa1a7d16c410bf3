/**
 * One message: its body, its deliveries, and why each webhook got it or did not.
 */
import type { App, Screen } from "./App.ts"
import type { Routing } from "./Client.ts"
import { deliveryList } from "./Deliveries.ts"
import { type Child, el } from "./Dom.ts"
import { refreshed } from "./Poll.ts"
import { Refused } from "./Refused.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, table } from "./Table.ts"

/** Shows one message. */
export const message: Screen = async (app) => {
  const { client, route } = app
  const id = route.parts[1] ?? ""
  const [first, webhooks] = await Promise.all([client.message(id), client.webhooks({ limit: 250 })])
  const names = new Map(webhooks.data.map((one) => [one.id, one.name ?? one.uid ?? one.url]))
  return {
    title: first.type,
    body: [
      Show.section(
        "Message",
        Show.facts([
          ["Id", Show.copyable(first.id)],
          ["uid", first.uid],
          ["Published", Show.time(first.createdAt)],
          ["About", first.resource !== null && `${first.resource.type} ${first.resource.id}`],
          ["Ordering key", first.orderingKey],
          ["Channels", first.channels.length > 0 && first.channels.join(", ")],
          ["Nothing sent before", first.deliverAt !== null && Show.time(first.deliverAt)],
          ["Nothing sent from", first.expiresAt !== null && Show.time(first.expiresAt)],
          ["Content type", el("code", {}, first.contentType)]
        ]),
        Show.body(first.body, first.bodyEncoding)
      ),
      await refreshed(app, {
        everyMs: 2_000,
        read: () => client.message(id),
        show: ({ deliveries, deliveriesNextCursor }) =>
          Show.section(
            "Deliveries",
            deliveryList(
              app,
              { data: deliveries, nextCursor: null, prevCursor: null },
              names,
              Show.nothing("No webhook wanted it", "Below is why.")
            ),
            deliveriesNextCursor !== null &&
              Show.link(to(["deliveries"], { message: id }), "All of them")
          ),
        isFinal: ({ deliveries }) => deliveries.every(({ settledAt }) => settledAt !== null)
      }),
      await routingPart(app, id)
    ]
  }
}

const routingPart = async ({ client, route }: App, id: string): Promise<Child> => {
  const { routing } = route.query
  try {
    const page = await client.routing(id, { cursor: routing })
    return Show.section(
      "Routing",
      el("p", {}, "As it was decided when the message came."),
      table(
        "Routing",
        columns,
        page.data,
        Show.nothing("No webhook was there", "None was registered when the message came.")
      ),
      page.nextCursor !== null &&
        Show.link(to(route.parts, { routing: page.nextCursor }), "More webhooks")
    )
  } catch (error) {
    // A message that is there with routing that is not: an older service answers that.
    if (error instanceof Refused && error.problem.status === 404) return null
    throw error
  }
}

const columns: ReadonlyArray<Column<Routing>> = [
  {
    label: "Webhook",
    kind: "wide",
    of: ({ name, uid, url, webhookId }) => [
      Show.link(to(["webhooks", webhookId]), name ?? uid ?? url),
      (name ?? uid) !== null && el("div", { class: "faint break" }, url)
    ]
  },
  {
    label: "Got it",
    kind: "fit",
    of: ({ matched }) => el("span", { class: matched ? "good" : "faint" }, matched ? "yes" : "no")
  },
  {
    label: "Because",
    of: ({ clause, reason }) => [
      reason === null ? "Not kept: too much was decided about the message." : reasons[reason],
      clause !== null && [" ", el("code", {}, clause)]
    ]
  },
  {
    label: "Delivery",
    kind: "fit",
    of: ({ deliveryId }) =>
      deliveryId === null ? Show.none() : Show.idLink(to(["deliveries", deliveryId]), deliveryId)
  }
]

const reasons: { readonly [R in NonNullable<Routing["reason"]>]: string } = {
  matched: "It wants this message.",
  paused: "It wants this message, and was paused: its delivery was held.",
  disabled: "It wants this message, and was disabled: its delivery was held.",
  type: "It wants other event types.",
  resource: "It wants other resources.",
  channel: "It wants other channels.",
  filter: "Its filter says no, at",
  adHoc: "The message named its one destination."
}
