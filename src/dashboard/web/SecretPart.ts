/**
 * The secret of a webhook: shown only when asked for, rotated with a time in which both sign.
 */
import { actions } from "./Actions.ts"
import type { App } from "./App.ts"
import type { Webhook } from "./Client.ts"
import { ask } from "./Dialog.ts"
import { el, put } from "./Dom.ts"
import * as Show from "./Show.ts"

/** Makes the part of the page. */
export const secretPart = ({ client }: App, one: Webhook): HTMLElement => {
  const place = el("div", {})
  const show = (secret: { readonly secret: string; readonly publicKey?: string }) =>
    put(
      place,
      Show.facts([
        ["Secret", Show.copyable(secret.secret, "secret")],
        [
          "Public key",
          secret.publicKey !== undefined && Show.copyable(secret.publicKey, "public key")
        ]
      ]),
      actions({ label: "Hide", run: () => put(place) })
    )
  return Show.section(
    "Secret",
    el(
      "p",
      {},
      "Receivers verify each message with it. Whoever reads it can sign as this service."
    ),
    actions(
      { label: "Show", run: async () => show(await client.secret(one.id)) },
      {
        label: "Rotate",
        run: async () => {
          const isMeant = await ask({
            title: "Rotate the secret?",
            text: "A new one signs from now on; the former one signs beside it for 24 hours.",
            does: "Rotate it"
          })
          if (isMeant) show(await client.rotate(one.id, 86_400))
        }
      }
    ),
    place
  )
}
