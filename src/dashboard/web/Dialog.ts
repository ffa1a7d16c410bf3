/**
 * Asks before something that cannot be taken back. Escape and the first button say no.
 */
import { type Child, el } from "./Dom.ts"

/** What is asked. */
export interface Question {
  readonly title: string
  readonly text: Child
  /** What the button says that does it. */
  readonly does: string
  /** Text that has to be typed first. */
  readonly typed?: string
}

/** Asks, and answers whether the person said yes. */
export const ask = ({ does, text, title, typed }: Question): Promise<boolean> =>
  new Promise((resolve) => {
    const yes = el("button", { value: "yes", class: "danger", disabled: typed !== undefined }, does)
    const typing =
      typed !== undefined &&
      el(
        "label",
        { class: "field" },
        el("span", {}, "Type ", el("code", {}, typed), " to go on"),
        el("input", {
          name: "typed",
          autocomplete: "off",
          spellcheck: "false",
          oninput: ({ target }) => {
            yes.disabled = !(target instanceof HTMLInputElement) || target.value !== typed
          }
        })
      )
    const dialog = el(
      "dialog",
      {
        "aria-labelledby": "question",
        onclose: () => {
          dialog.remove()
          resolve(dialog.returnValue === "yes")
        }
      },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "question" }, title),
        el("p", {}, text),
        typing,
        el(
          "div",
          { class: "row end" },
          el("button", { type: "button", onclick: () => dialog.close("no") }, "Leave it"),
          yes
        )
      )
    )
    document.body.append(dialog)
    dialog.showModal()
  })
