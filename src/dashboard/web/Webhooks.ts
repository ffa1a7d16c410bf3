/**
 * All webhooks of the tenant, narrowed by status and by part of a name or URL.
 */
import type { Screen } from "./App.ts"
import type { Webhook } from "./Client.ts"
import { el } from "./Dom.ts"
import { filters } from "./Filters.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"
import { standing, wanted, webhookName } from "./WebhookParts.ts"

/** Lists webhooks. */
export const webhooks: Screen = async (app) => {
  const { client, route } = app
  const { adHoc, cursor, q, status } = route.query
  return {
    title: "Webhooks",
    body: [
      el("a", { class: "button main", href: to(["webhooks", "new"]) }, "Register a webhook"),
      filters(app, [
        { name: "q", label: "Name or URL contains" },
        {
          name: "status",
          label: "Status",
          choices: [
            ["", "any"],
            ["enabled", "enabled"],
            ["paused", "paused"],
            ["disabled", "disabled"]
          ]
        },
        {
          name: "adHoc",
          label: "Kind",
          choices: [
            ["", "registered"],
            ["true", "came with messages"]
          ]
        }
      ]),
      await refreshed(app, {
        everyMs: 10_000,
        read: () => client.webhooks({ adHoc, cursor, q, status }),
        show: (page) => [
          table(
            "Webhooks",
            columns,
            page.data,
            adHoc === undefined && q === undefined && status === undefined
              ? Show.nothing(
                  "No webhook yet",
                  "A webhook is a URL that gets the messages it wants, each one signed."
                )
              : Show.nothing("No webhook is like that", "Take a filter away to see more.")
          ),
          pager(app, page)
        ]
      })
    ]
  }
}

const columns: ReadonlyArray<Column<Webhook>> = [
  {
    label: "Webhook",
    kind: "wide",
    of: (webhook) => [
      Show.link(to(["webhooks", webhook.id]), webhookName(webhook)),
      webhook.url !== webhookName(webhook) && el("div", { class: "faint break" }, webhook.url)
    ]
  },
  { label: "Wants", of: ({ eventTypes }) => wanted(eventTypes) },
  { label: "Standing", of: standing },
  { label: "Last success", kind: "fit", of: ({ lastSuccessAt }) => Show.time(lastSuccessAt) },
  { label: "Last failure", kind: "fit", of: ({ lastFailureAt }) => Show.time(lastFailureAt) }
]
