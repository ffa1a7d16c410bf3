/**
 * The catalogue: what messages are called, and what becomes of those that it does not name.
 */
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import type { EventType } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"

/** Lists the catalogue. */
export const eventTypes: Screen = async (app) => {
  const { client, route } = app
  const [page, policy] = await Promise.all([
    client.eventTypes({ cursor: route.query["cursor"] }),
    client.policy()
  ])
  return {
    title: "Event types",
    body: [
      el("a", { class: "button main", href: to(["event-types", "new"]) }, "Add an event type"),
      table(
        "Event types",
        columns,
        page.data,
        Show.nothing(
          "The catalogue is empty",
          "Add a type to describe it, show an example and hold messages to a schema."
        )
      ),
      pager(app, page),
      unknown(app, policy.unknown)
    ]
  }
}

const unknown = ({ client, reload }: App, now: "allow" | "refuse"): Child =>
  Show.section(
    "Types that the catalogue does not name",
    el(
      "p",
      {},
      now === "allow"
        ? "They are accepted: anything may be published."
        : "They are refused: only what the catalogue names may be published."
    ),
    actions({
      label: now === "allow" ? "Refuse them" : "Accept them",
      run: async () => {
        await client.putPolicy(now === "allow" ? "refuse" : "allow")
        announce("Changed.")
        reload()
      }
    })
  )

const columns: ReadonlyArray<Column<EventType>> = [
  {
    label: "Type",
    of: ({ name }) => Show.link(to(["event-types", name]), el("code", {}, name))
  },
  {
    label: "Called",
    kind: "wide",
    of: ({ description, displayName }) => [
      displayName,
      description !== null && el("div", { class: "faint break" }, description)
    ]
  },
  { label: "Schema", kind: "fit", of: ({ schema }) => (schema === null ? Show.none() : "yes") },
  {
    label: "State",
    kind: "fit",
    of: ({ archived }) => (archived ? Show.state("archived") : Show.state("enabled"))
  },
  { label: "Changed", kind: "fit", of: ({ updatedAt }) => Show.time(updatedAt) }
]
