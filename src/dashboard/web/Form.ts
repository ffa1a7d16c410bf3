/**
 * Forms: labelled fields, problems beside the field they are about, one submit at a time.
 */
import { type Attributes, type Child, el, put } from "./Dom.ts"
import { problemBox } from "./Feedback.ts"
import { Refused } from "./Refused.ts"

/** A field: `name` is the member of the request that it fills, so that problems find it. */
export interface Field {
  readonly name: string
  readonly label: string
  readonly hint?: Child
  readonly kind?: "text" | "url" | "json" | "number" | "instant"
  readonly value?: string
  readonly placeholder?: string
  readonly required?: boolean
  /** The closed list of what may be chosen, with what each is called. */
  readonly choices?: ReadonlyArray<readonly [value: string, label: string]>
  /** What is likely, offered while typing. */
  readonly likely?: ReadonlyArray<string>
}

/** What a form was filled with, by the names of its fields; trimmed, empty where nothing was said. */
export type Values = Readonly<Record<string, string>>

/** Makes a labelled field; `within` tells fields of one name apart, and is a number when absent. */
export const field = (one: Field, within = String(++made)): HTMLElement => {
  const id = `${within}-${one.name}`
  const described = one.hint === undefined ? {} : { "aria-describedby": `${id}-hint` }
  const shared: Attributes = {
    id,
    name: one.name,
    required: one.required,
    placeholder: one.placeholder,
    ...described
  }
  return el(
    "div",
    { class: `field ${one.kind ?? ""}` },
    el("label", { for: id }, one.label),
    control(one, shared),
    one.likely !== undefined &&
      el(
        "datalist",
        { id: `${id}-likely` },
        one.likely.map((value) => el("option", { value }))
      ),
    one.hint !== undefined && el("p", { class: "hint", id: `${id}-hint` }, one.hint),
    el("p", { class: "wrong", "aria-live": "polite" })
  )
}

let made = 0

const control = (one: Field, shared: Attributes): HTMLElement => {
  if (one.choices !== undefined) {
    return el(
      "select",
      shared,
      one.choices.map(([value, label]) =>
        el("option", { value, selected: value === (one.value ?? "") }, label)
      )
    )
  }
  if (one.kind === "json") {
    return el(
      "textarea",
      { ...shared, rows: 8, spellcheck: "false", autocapitalize: "off" },
      one.value ?? ""
    )
  }
  return el("input", {
    ...shared,
    type: one.kind === "number" ? "number" : one.kind === "instant" ? "datetime-local" : "text",
    value: one.value,
    inputmode: one.kind === "url" ? "url" : undefined,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    list: one.likely === undefined ? undefined : `${shared["id"]}-likely`
  })
}

/** Makes a form that does one thing; what is refused is said beside the fields that it is about. */
export const form = (options: {
  readonly does: string
  readonly children: ReadonlyArray<Child>
  readonly run: (values: Values) => Promise<void>
}): HTMLFormElement => {
  const place = el("div", { class: "outcome" })
  const submit = el("button", { class: "main" }, options.does)
  const made = el(
    "form",
    {
      class: "form",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault()
        void send(made, submit, place, options.run)
      }
    },
    options.children,
    el("div", { class: "row" }, submit),
    place
  )
  return made
}

/** Reads what a form was filled with. */
export const valuesOf = (made: HTMLFormElement): Values =>
  Object.fromEntries(
    [...new FormData(made)].map(([name, value]) => [
      name,
      typeof value === "string" ? value.trim() : ""
    ])
  )

/** Says beside a field what is wrong with it; nothing when it is right. */
export const mark = (made: ParentNode, name: string, message: string | null): boolean => {
  const input = made.querySelector(`[name="${CSS.escape(name)}"]`)
  const place = input?.closest(".field")?.querySelector(".wrong") ?? null
  if (input === null || place === null) return false
  if (message === null) input.removeAttribute("aria-invalid")
  else input.setAttribute("aria-invalid", "true")
  place.textContent = message ?? ""
  return true
}

const send = async (
  made: HTMLFormElement,
  submit: HTMLButtonElement,
  place: HTMLElement,
  run: (values: Values) => Promise<void>
) => {
  put(place)
  const values = valuesOf(made)
  for (const name of Object.keys(values)) mark(made, name, null)
  const missing = [...made.elements].filter(
    (input) =>
      (input instanceof HTMLInputElement || input instanceof HTMLTextAreaElement) &&
      input.required &&
      input.value.trim() === ""
  )
  for (const input of missing) mark(made, input.getAttribute("name") ?? "", "This is needed.")
  const first = missing[0]
  if (first instanceof HTMLElement) return first.focus()
  submit.disabled = true
  try {
    await run(values)
  } catch (error) {
    put(place, problemBox(unmarked(made, error)))
  } finally {
    submit.disabled = false
    const wrong = made.querySelector('[aria-invalid="true"]')
    if (wrong instanceof HTMLElement) wrong.focus()
  }
}

/** Marks the fields that a problem is about, and answers the problem with what is left of it. */
const unmarked = (made: HTMLFormElement, error: unknown): unknown => {
  if (!(error instanceof Refused) || error.problem.errors === undefined) return error
  const errors = error.problem.errors.filter(
    ({ message, pointer }) => !mark(made, pointer.split("/")[1] ?? "", message)
  )
  const { errors: _, ...problem } = error.problem
  return new Refused(errors.length === 0 ? problem : { ...problem, errors })
}
