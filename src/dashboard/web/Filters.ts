/**
 * What a list is narrowed by. Each choice is part of the address, so it can be kept and sent on.
 */
import type { App } from "./App.ts"
import { el } from "./Dom.ts"
import { type Field, field, valuesOf } from "./Form.ts"
import { to } from "./Route.ts"

/** Makes the filters of a list, filled with what the address says. */
export const filters = (app: App, fields: ReadonlyArray<Field>): HTMLElement => {
  const { parts, query } = app.route
  const apply = () => app.go(to(parts, valuesOf(made)))
  const made: HTMLFormElement = el(
    "form",
    {
      class: "filters",
      role: "search",
      onchange: apply,
      onsubmit: (event) => {
        event.preventDefault()
        apply()
      }
    },
    fields.map((one) => field({ ...one, value: query[one.name] ?? "" }, "filter")),
    fields.some(({ name }) => query[name] !== undefined) &&
      el("a", { class: "clear", href: to(parts) }, "Clear")
  )
  return made
}

/** The filter of a while ago. */
export const withinField: Field = {
  name: "within",
  label: "Time",
  choices: [
    ["", "any"],
    ["15m", "last 15 min"],
    ["1h", "last hour"],
    ["24h", "last 24 hours"],
    ["7d", "last 7 days"]
  ]
}

/** The filters of two instants. */
export const betweenFields: ReadonlyArray<Field> = [
  { name: "after", label: "From (UTC)", kind: "instant" },
  { name: "before", label: "Until (UTC)", kind: "instant" }
]
