/**
 * One tenant: its keys, and its end.
 */
import { actions } from "./Actions.ts"
import type { Screen } from "./App.ts"
import { el } from "./Dom.ts"
import { keysPart } from "./KeysPart.ts"
import { removal } from "./Removal.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"

/** Shows one tenant. */
export const tenant: Screen = async (app) => {
  const { client, isOperator, route } = app
  const one = await client.tenant(route.parts[1] ?? "")
  return {
    title: one.name,
    body: [
      el(
        "section",
        { class: "card" },
        Show.facts([
          ["uid", Show.copyable(one.uid, "uid")],
          ["Id", Show.copyable(one.id)],
          ["Made", Show.time(one.createdAt)]
        ]),
        isOperator && actions({ label: "Look at it", kind: "main", run: () => app.lookAt(one.uid) })
      ),
      await keysPart(app, one.uid, "Keys", "A key opens this tenant alone, within its scopes."),
      isOperator &&
        one.uid !== "default" &&
        Show.section(
          "Remove",
          el(
            "p",
            {},
            "Its keys open nothing from now on, and what is owed to its webhooks is cancelled."
          ),
          actions(
            removal(app, {
              what: "tenant",
              name: one.uid,
              text: "Its webhooks and keys cannot be brought back.",
              remove: () => client.removeTenant(one.id),
              next: to(["tenants"])
            })
          )
        )
    ]
  }
}
