/**
 * All messages of the tenant, narrowed by type, resource and time.
 */
import type { Screen } from "./App.ts"
import type { Message } from "./Client.ts"
import { now } from "./Clock.ts"
import { el } from "./Dom.ts"
import { betweenFields, filters, withinField } from "./Filters.ts"
import { period } from "./Period.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"

/** Lists messages. */
export const messages: Screen = async (app) => {
  const { client, route } = app
  const { cursor, resourceId, resourceType, type } = route.query
  const isNarrowed = Object.keys(route.query).length > 0
  return {
    title: "Messages",
    body: [
      el("a", { class: "button main", href: to(["messages", "new"]) }, "Publish a message"),
      filters(app, [
        { name: "type", label: "Event type" },
        { name: "resourceType", label: "Resource type" },
        { name: "resourceId", label: "Resource id" },
        withinField,
        ...betweenFields
      ]),
      await refreshed(app, {
        everyMs: 5_000,
        read: () =>
          client.messages({
            cursor,
            resourceId,
            resourceType,
            type,
            ...period(route.query, now())
          }),
        show: (page) => [
          table(
            "Messages",
            columns,
            page.data,
            isNarrowed
              ? Show.nothing("No message is like that", "Take a filter away to see more.")
              : Show.nothing(
                  "No message yet",
                  "What is published is kept here, with each delivery that it led to."
                )
          ),
          pager(app, page)
        ]
      })
    ]
  }
}

const columns: ReadonlyArray<Column<Message>> = [
  { label: "Message", kind: "fit", of: ({ id }) => Show.idLink(to(["messages", id]), id) },
  { label: "Type", of: ({ type }) => el("code", { class: "tag" }, type) },
  { label: "uid", of: ({ uid }) => uid ?? Show.none() },
  {
    label: "About",
    kind: "wide",
    of: ({ resource }) => (resource === null ? Show.none() : `${resource.type} ${resource.id}`)
  },
  { label: "Deliveries", kind: "number", of: ({ deliveries }) => deliveries },
  { label: "Published", kind: "fit", of: ({ createdAt }) => Show.time(createdAt) }
]
