/**
 * Where a key is asked for. It stays in this tab and is forgotten with it.
 */
import { make } from "./Client.ts"
import { el } from "./Dom.ts"
import { field, form } from "./Form.ts"
import { Refused } from "./Refused.ts"
import type { Session } from "./Session.ts"

/** Makes the page; `enter` is called with a key that opens something. */
export const signIn = (signal: AbortSignal, enter: (session: Session) => void): HTMLElement =>
  el(
    "main",
    { class: "sign-in", id: "main" },
    el("h1", { tabindex: -1 }, el("span", { class: "mark", "aria-hidden": "true" }), "Posthaste"),
    el("p", {}, "What was sent, when, and with which result."),
    form({
      does: "Sign in",
      children: [
        field({
          name: "key",
          label: "API key",
          placeholder: "phk_…",
          required: true,
          hint: [
            "On your own machine the start prints one, and ",
            el("code", {}, ".posthaste/admin-key"),
            " holds it. The key stays in this tab and is forgotten when you close it."
          ]
        })
      ],
      run: async ({ key = "" }) => {
        const session = { key, tenant: null }
        await probe(session, signal)
        enter(session)
      }
    }),
    el("p", { class: "faint" }, el("a", { href: "/docs" }, "The API, described"))
  )

/** Fails when a key opens nothing at all; one that may only publish is let in. */
const probe = async (session: Session, signal: AbortSignal) => {
  // A header takes no such characters, so it cannot be a key either.
  if (!/^[\x21-\x7e]+$/.test(session.key)) {
    throw new Refused({ status: 401, code: "unauthorized", title: "Missing or invalid API key" })
  }
  try {
    await make(session, signal).webhooks({ limit: 1 })
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.status !== 403) throw error
  }
}
