/**
 * Says what came of something: in passing for everyone, screen readers included, or as a box that stays.
 */
import { pause } from "./Clock.ts"
import { el } from "./Dom.ts"
import { inWords, type Problem, Refused } from "./Refused.ts"

/** Says something in passing. */
export const announce = (text: string): void => {
  const place = document.getElementById("said")
  if (place === null) return
  saying.abort()
  saying = new AbortController()
  const { signal } = saying
  place.textContent = text
  void pause(4_000, signal).then(() => {
    if (!signal.aborted) place.textContent = ""
  })
}

let saying = new AbortController()

/** Shows why something was not done, with what the operator's log knows it by. */
export const problemBox = (error: unknown): HTMLElement => {
  const problem = problemOf(error)
  const { text, title } = inWords(problem)
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("strong", {}, title),
    text !== "" && el("p", {}, text),
    problem.errors !== undefined &&
      el(
        "ul",
        {},
        problem.errors.map(({ message, pointer }) =>
          el("li", {}, pointer !== "" && el("code", {}, pointer), " ", message)
        )
      ),
    problem.requestId !== undefined &&
      el("p", { class: "faint" }, "Request ", el("code", {}, problem.requestId))
  )
}

const problemOf = (error: unknown): Problem =>
  error instanceof Refused
    ? error.problem
    : { status: -1, code: "page", title: "This page failed", detail: String(error) }
