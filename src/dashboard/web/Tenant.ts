/**
 * One tenant: its keys, and its end.
 */
import { actions } from "./Actions.ts"
import type { Screen } from "./App.ts"
import { ask } from "./Dialog.ts"
import { el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { keysPart } from "./KeysPart.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"

export const tenant: Screen = async (app) => {
  const { client, go, isOperator, route } = app
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
          actions({
            label: "Remove this tenant",
            kind: "danger",
            run: async () => {
              const isMeant = await ask({
                title: "Remove this tenant?",
                text: "Its webhooks and keys cannot be brought back.",
                does: "Remove it",
                typed: one.uid
              })
              if (!isMeant) return
              await client.removeTenant(one.id)
              announce("Removed.")
              go(to(["tenants"]))
            }
          })
        )
    ]
  }
}
