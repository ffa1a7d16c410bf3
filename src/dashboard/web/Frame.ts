/**
 * What stands around every screen: where one is, where one can go, and as whom.
 */
import type { Shown } from "./App.ts"
import type { Tenant } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { type Route, to } from "./Route.ts"
import type { Session } from "./Session.ts"

/** What a key may do, and the tenants that it sees. */
export interface Standing {
  readonly isAdmin: boolean
  readonly isOperator: boolean
  readonly tenants: ReadonlyArray<Tenant>
}

/** Makes the frame with a screen in it. */
export const frame = (options: {
  readonly route: Route
  readonly session: Session
  readonly standing: Standing | null
  readonly enter: (session: Session) => void
  readonly signOut: () => void
  readonly title: string
  readonly body: Shown["body"]
}): ReadonlyArray<Child> => {
  const { body, enter, route, session, signOut, standing, title } = options
  const place = route.parts[0] ?? ""
  return [
    el(
      "button",
      { type: "button", class: "skip", onclick: () => document.querySelector("h1")?.focus() },
      "Skip to the page"
    ),
    el(
      "header",
      { class: "top" },
      el(
        "a",
        { class: "brand", href: "#/" },
        el("span", { class: "mark", "aria-hidden": "true" }),
        "Posthaste"
      ),
      el(
        "nav",
        { "aria-label": "Main" },
        el(
          "ul",
          {},
          places
            .filter(({ isFor }) => isFor === undefined || standing?.[isFor] === true)
            .map(({ at, label }) =>
              el(
                "li",
                {},
                el(
                  "a",
                  { href: to(at === "" ? [] : [at]), "aria-current": at === place && "page" },
                  label
                )
              )
            )
        )
      ),
      el(
        "div",
        { class: "who" },
        standing?.isOperator === true && switcher(session, standing.tenants, enter),
        el("button", { type: "button", class: "quiet", onclick: signOut }, "Sign out")
      )
    ),
    el("main", { id: "main" }, el("h1", { tabindex: -1 }, title), body)
  ]
}

const places: ReadonlyArray<{
  readonly at: string
  readonly label: string
  readonly isFor?: "isAdmin"
}> = [
  { at: "", label: "Overview" },
  { at: "webhooks", label: "Webhooks" },
  { at: "messages", label: "Messages" },
  { at: "deliveries", label: "Deliveries" },
  { at: "live", label: "Live" },
  { at: "redeliveries", label: "Redeliveries" },
  { at: "event-types", label: "Event types" },
  { at: "tenants", label: "Tenants", isFor: "isAdmin" }
]

/** Chooses the tenant that an operator's key looks at. */
const switcher = (
  session: Session,
  tenants: ReadonlyArray<Tenant>,
  enter: (session: Session) => void
): HTMLElement => {
  const chosen = session.tenant ?? "default"
  const known = tenants.map(({ name, uid }) => [uid, name] as const)
  const all = known.some(([uid]) => uid === chosen) ? known : [...known, [chosen, chosen] as const]
  return el(
    "label",
    { class: "tenant" },
    el("span", { class: "hidden" }, "Tenant"),
    el(
      "select",
      {
        id: "tenant",
        onchange: ({ target }) => {
          if (target instanceof HTMLSelectElement) enter({ ...session, tenant: target.value })
        }
      },
      all.map(([uid, name]) => el("option", { value: uid, selected: uid === chosen }, name))
    )
  )
}
