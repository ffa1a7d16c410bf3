/**
 * Small things that every screen shows the same way: instants, ids, states, text that somebody sent.
 */
import { now } from "./Clock.ts"
import { announce } from "./Feedback.ts"
import { type Child, el } from "./Dom.ts"
import { layOut } from "./JsonText.ts"
import * as Words from "./Words.ts"

/** Shows an instant as how long ago it was, with the exact one as its title; a dash for null. */
export const time = (at: string | null): HTMLElement =>
  at === null
    ? none()
    : el("time", { datetime: at, title: at }, Words.relative(Date.parse(at), now()))

/** Shows that there is nothing to show. */
export const none = (): HTMLElement => el("span", { class: "none" }, "–")

/** Brings all instants on the page up to now. */
export const refreshTimes = (): void => {
  for (const element of document.querySelectorAll("time")) {
    const text = Words.relative(Date.parse(element.dateTime), now())
    if (element.textContent !== text) element.textContent = text
  }
}

/** Shows text that can be copied with one press, such as an id or a key. */
export const copyable = (text: string, what = "id"): HTMLElement =>
  el(
    "span",
    { class: "copyable" },
    el("code", {}, text),
    el(
      "button",
      {
        type: "button",
        class: "copy",
        "aria-label": `Copy the ${what}`,
        title: `Copy the ${what}`,
        onclick: (event) => void copy(text, event.currentTarget)
      },
      "Copy"
    )
  )

const copy = async (text: string, button: EventTarget | null) => {
  const copied = await (navigator.clipboard?.writeText(text).then(
    () => true,
    () => false
  ) ?? false)
  if (copied) return announce("Copied.")
  // Without a secure context there is no clipboard; a selection can be copied by hand.
  const code = button instanceof Element ? button.previousElementSibling : null
  if (code !== null) getSelection()?.selectAllChildren(code)
  announce("Selected: copy it with Ctrl+C or ⌘C.")
}

/** Shows a state as a word with a sign of its own, never by colour alone. */
export const state = (name: string): HTMLElement =>
  el("span", { class: `state ${name}` }, Words.spaced(name))

/** Shows the state of a circuit, which is not that of a webhook. */
export const circuit = (name: "closed" | "open" | "half_open"): HTMLElement =>
  el("span", { class: `state ${name}` }, `circuit ${Words.spaced(name)}`)

/** Shows when something is due; what is past is due now. */
export const due = (at: string | null): HTMLElement =>
  at !== null && Date.parse(at) <= now()
    ? el("span", { class: "faint", title: at }, "due")
    : time(at)

/** Shows a state and a sentence about it, which need not name it again. */
export const standing = (name: string, explanation: string): HTMLElement =>
  el(
    "p",
    { class: "lead" },
    state(name),
    " ",
    Words.sentence(explanation.replace(new RegExp(`^${name}: `), ""))
  )

/** Shows the status code of an answer, or why there was none. */
export const answer = (statusCode: number | null, className: string | null): HTMLElement => {
  if (statusCode !== null) {
    return el("code", { class: statusCode < 300 ? "good" : "bad" }, String(statusCode))
  }
  return className === null
    ? none()
    : el("span", { class: "bad" }, classes[className] ?? Words.spaced(className))
}

/** Names what an attempt came to where no status code says it. */
const classes: Readonly<Record<string, string>> = {
  dns: "no address",
  refused: "refused",
  reset: "reset",
  connect_timeout: "no connection",
  tls: "TLS failed",
  headers_timeout: "no answer in time",
  body_timeout: "answer broke off",
  deadline: "took too long",
  protocol: "no valid HTTP",
  blocked: "not allowed",
  auth: "no token",
  not_sent: "not sent"
}

/** Shows a body as it was sent, JSON laid out for reading. */
export const body = (text: string | null | undefined, encoding?: string | null): HTMLElement => {
  if (text === null || text === undefined) return el("p", { class: "faint" }, "Not kept.")
  if (text === "") return el("p", { class: "faint" }, "Empty.")
  const shown = encoding === "base64" ? text : layOut(text)
  return el(
    "figure",
    { class: "body" },
    el("pre", { tabindex: 0 }, shown),
    el(
      "figcaption",
      {},
      encoding === "base64"
        ? "Not text: shown in base64"
        : Words.size(new TextEncoder().encode(text).length)
    )
  )
}

/** Shows headers by name. */
export const headers = (all: Readonly<Record<string, string>> | null): HTMLElement =>
  all === null || Object.keys(all).length === 0
    ? el("p", { class: "faint" }, "None.")
    : facts(
        Object.entries(all).map(([name, value]) => [name, el("code", {}, value)]),
        "headers"
      )

/** Shows names with what they stand for; those that stand for nothing are left out. */
export const facts = (rows: ReadonlyArray<readonly [string, Child]>, kind = ""): HTMLElement =>
  el(
    "dl",
    { class: `facts ${kind}` },
    rows
      .filter(([, value]) => value !== null && value !== undefined && value !== false)
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))
  )

/** Shows a part of a page under a heading. */
export const section = (title: string, ...children: ReadonlyArray<Child>): HTMLElement =>
  el("section", { class: "card" }, el("h2", {}, title), children)

/** Says why there is nothing, and what to do about it. */
export const nothing = (title: string, ...text: ReadonlyArray<Child>): HTMLElement =>
  el("div", { class: "nothing" }, el("strong", {}, title), el("p", {}, text))

/** Makes a link to a place in the dashboard. */
export const link = (hash: string, ...children: ReadonlyArray<Child>): HTMLElement =>
  el("a", { href: hash }, children)

/** Shows an id as a link to what it names. */
export const idLink = (hash: string, id: string): HTMLElement =>
  el("a", { href: hash, class: "id", title: id }, el("code", {}, id))
