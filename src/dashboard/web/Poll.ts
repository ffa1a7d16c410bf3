/**
 * Parts of a page that keep themselves up to date while they are looked at.
 */
import type { App } from "./App.ts"
import { pause } from "./Clock.ts"
import { type Child, el, put } from "./Dom.ts"
import { Refused } from "./Refused.ts"

/** What is read again and again, and how it is shown. */
export interface Refreshed<A> {
  readonly everyMs: number
  readonly read: () => Promise<A>
  readonly show: (value: A) => Child
  /** Tells whether nothing more will change. */
  readonly isFinal?: (value: A) => boolean
}

/**
 * Reads once, and then again as long as the page is shown and its tab is looked at. What did not
 * change stays as it is; focus and what was opened stay in any case.
 */
export const refreshed = async <A>(app: App, options: Refreshed<A>): Promise<HTMLElement> => {
  const first = await options.read()
  const place = el("div", { class: "refreshed" })
  put(place, options.show(first))
  void follow(app, options, place, first)
  return place
}

const follow = async <A>(
  app: App,
  { everyMs, isFinal, read, show }: Refreshed<A>,
  place: HTMLElement,
  first: A
) => {
  let shown = JSON.stringify(first)
  let isDone = isFinal?.(first) ?? false
  while (!isDone) {
    await pause(everyMs, app.signal)
    if (app.signal.aborted) return
    if (document.visibilityState === "hidden") continue
    try {
      const value = await read()
      if (app.signal.aborted) return
      const text = JSON.stringify(value)
      if (text !== shown && !isSelecting(place)) {
        keepingPlace(place, () => put(place, show(value)))
        shown = text
      }
      place.removeAttribute("data-stale")
      isDone = isFinal?.(value) ?? false
    } catch (error) {
      if (!(error instanceof Refused)) return
      // A key that was revoked meanwhile ends the page, not the polling.
      if (error.problem.status === 401) return app.reload()
      place.setAttribute("data-stale", "Not up to date: the service does not answer.")
    }
  }
}

/** Tells whether somebody marks text there, to copy it. */
const isSelecting = (place: HTMLElement): boolean => {
  const selection = getSelection()
  return selection !== null && !selection.isCollapsed && place.contains(selection.anchorNode)
}

/** Redraws, and gives focus, opened parts and what was said of actions to what now stands in their place. */
const keepingPlace = (place: HTMLElement, draw: () => void) => {
  const opened = new Set([...place.querySelectorAll("details[open]")].map(({ id }) => id))
  const closed = new Set([...place.querySelectorAll("details:not([open])")].map(({ id }) => id))
  const active = place.contains(document.activeElement) ? document.activeElement : null
  const all = [...place.querySelectorAll(focusable)]
  const index = active === null ? -1 : all.indexOf(active)
  const href = active?.getAttribute("href")
  const outcomes = [...place.querySelectorAll(".outcome")]
  draw()
  for (const [at, outcome] of [...place.querySelectorAll(".outcome")].entries()) {
    outcome.replaceWith(outcomes[at] ?? outcome)
  }
  for (const details of place.querySelectorAll("details")) {
    if (opened.has(details.id)) details.open = true
    if (closed.has(details.id)) details.open = false
  }
  if (index === -1) return
  const next = [...place.querySelectorAll(focusable)]
  const same =
    href === null || href === undefined
      ? next[index]
      : (next.find((one) => one.getAttribute("href") === href) ?? next[index])
  if (same instanceof HTMLElement) same.focus({ preventScroll: true })
}

const focusable = "a[href], button, summary, [tabindex]"
