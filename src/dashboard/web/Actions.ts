/**
 * Buttons that ask the service for something: busy meanwhile, and honest about what came of it.
 */
import { el } from "./Dom.ts"
import { problemBox } from "./Feedback.ts"

/** Something that a person may do here. */
export interface Action {
  readonly label: string
  readonly kind?: "main" | "danger" | undefined
  readonly run: () => Promise<void> | void
}

/** Makes a row of buttons; what goes wrong is said below them. */
export const actions = (...all: ReadonlyArray<Action | false | null | undefined>): HTMLElement => {
  const place = el("div", { class: "outcome" })
  const buttons = all.flatMap((one) => (one ? [button(one, place)] : []))
  return el("div", { class: "actions" }, el("div", { class: "row" }, buttons), place)
}

const button = ({ kind, label, run }: Action, place: HTMLElement): HTMLButtonElement => {
  const made = el(
    "button",
    { type: "button", class: kind ?? "", onclick: () => void press(made, place, run) },
    label
  )
  return made
}

const press = async (
  pressed: HTMLButtonElement,
  place: HTMLElement,
  run: () => Promise<void> | void
) => {
  pressed.disabled = true
  place.replaceChildren()
  try {
    await run()
  } catch (error) {
    place.replaceChildren(problemBox(error))
  } finally {
    pressed.disabled = false
  }
}
