/**
 * One event type: what it means, an example and the schema; added, changed, archived, removed.
 */
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import type { EventType } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form, mark, type Values } from "./Form.ts"
import { fault } from "./JsonText.ts"
import { removal } from "./Removal.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"

/** Adds an event type. */
export const newEventType: Screen = ({ client, go }) => {
  const made = typeForm(null, async (values) => {
    const added = await client.createEventType({ name: values["name"], ...inputOf(values) })
    announce("Added.")
    go(to(["event-types", added.name]))
  })
  return Promise.resolve({
    title: "Add an event type",
    body: [el("section", { class: "card" }, made)]
  })
}

/** Shows one event type. */
export const eventType: Screen = async (app) => {
  const { client, route } = app
  const one = await client.eventType(route.parts[1] ?? "")
  return {
    title: one.name,
    body: [
      el(
        "section",
        { class: "card" },
        el("p", { class: "lead" }, one.description ?? one.displayName),
        one.archived && el("p", { class: "advice" }, "Archived: it takes no new messages."),
        Show.facts([
          ["Called", one.displayName],
          ["Added", Show.time(one.createdAt)],
          ["Changed", Show.time(one.updatedAt)]
        ]),
        links(one)
      ),
      el(
        "div",
        { class: "columns" },
        Show.section("Example", Show.body(JSON.stringify(one.example, null, 2))),
        Show.section(
          "Schema",
          one.schema === null
            ? Show.nothing("No schema", "Any data may be published under this type.")
            : Show.body(JSON.stringify(one.schema, null, 2))
        )
      ),
      el(
        "details",
        { class: "card", id: "change" },
        el("summary", {}, "Change it"),
        typeForm(one, async (values) => {
          await client.changeEventType(one.name, inputOf(values))
          announce("Changed.")
          app.reload()
        })
      ),
      ending(app, one)
    ]
  }
}

const links = ({ archived, name }: EventType): Child =>
  el(
    "div",
    { class: "row" },
    !archived &&
      el(
        "a",
        { class: "button main", href: to(["messages", "new"], { type: name }) },
        "Publish one"
      ),
    el("a", { class: "button", href: to(["messages"], { type: name }) }, "Messages of it")
  )

const ending = (app: App, one: EventType): Child => {
  const { client, reload } = app
  return Show.section(
    one.archived ? "Bring back or remove" : "Archive or remove",
    el(
      "p",
      {},
      "An archived type takes no new messages and stays to be read. Messages stay anyway."
    ),
    actions(
      {
        label: one.archived ? "Bring it back" : "Archive",
        run: async () => {
          await client.changeEventType(one.name, { archived: !one.archived })
          announce(one.archived ? "It is back." : "Archived.")
          reload()
        }
      },
      removal(app, {
        what: "event type",
        name: one.name,
        text: "Its description, example and schema are gone then.",
        remove: () => client.removeEventType(one.name),
        next: to(["event-types"])
      })
    )
  )
}

const typeForm = (
  one: EventType | null,
  run: (values: Values) => Promise<void>
): HTMLFormElement => {
  const made: HTMLFormElement = form({
    does: one === null ? "Add" : "Change",
    children: [
      one === null &&
        field({ name: "name", label: "Type", required: true, placeholder: "invoice.paid" }),
      field({ name: "displayName", label: "Called", value: one?.displayName ?? "" }),
      field({ name: "description", label: "Description", value: one?.description ?? "" }),
      field({
        name: "example",
        label: "Example",
        kind: "json",
        value: one === null || one.example === null ? "" : JSON.stringify(one.example, null, 2),
        hint: "Data as it would be published."
      }),
      field({
        name: "schema",
        label: "Schema",
        kind: "json",
        value: one?.schema ? JSON.stringify(one.schema, null, 2) : "",
        hint: "A JSON Schema that data has to meet. Empty: any data may be published."
      })
    ],
    run: async (values) => {
      const wrong = ["example", "schema"].filter((name) => {
        const text = values[name] ?? ""
        const found = text === "" ? null : fault(text)
        mark(made, name, found)
        return found !== null
      })
      if (wrong.length === 0) await run(values)
    }
  })
  return made
}

const inputOf = ({ description, displayName, example, schema }: Values) => ({
  ...(displayName ? { displayName } : {}),
  description: description || null,
  ...(example ? { example: JSON.parse(example) } : {}),
  schema: schema ? JSON.parse(schema) : null
})
