/**
 * Lists as tables; on a narrow screen each row becomes a card, with its labels.
 */
import type { App } from "./App.ts"
import type { Page } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { to } from "./Route.ts"

/** One column: what it is called and what it shows of a row. */
export interface Column<A> {
  readonly label: string
  readonly of: (row: A) => Child
  readonly kind?: "number" | "wide" | "fit"
}

/** Makes a table, or says what it means that there is no row. */
export const table = <A>(
  caption: string,
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  empty: Child
): Child =>
  rows.length === 0
    ? empty
    : el(
        "div",
        { class: "scroll" },
        el(
          "table",
          {},
          el("caption", { class: "hidden" }, caption),
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              columns.map(({ kind, label }) => el("th", { scope: "col", class: kind }, label))
            )
          ),
          el(
            "tbody",
            {},
            rows.map((row) =>
              el(
                "tr",
                {},
                columns.map(({ kind, label, of }) =>
                  el("td", { class: kind, "data-label": label }, of(row))
                )
              )
            )
          )
        )
      )

/** Leads to the pages before and after; nothing where there is one page only. */
export const pager = (app: App, page: Page<unknown>): Child => {
  const { parts, query } = app.route
  const at = (cursor: string) => to(parts, { ...query, cursor })
  const { nextCursor, prevCursor } = page
  // The newest page has nothing before it, whatever its cursor says.
  const before = query["cursor"] === undefined ? null : prevCursor
  return (
    (before !== null || nextCursor !== null) &&
    el(
      "nav",
      { class: "pager", "aria-label": "Pages" },
      query["cursor"] !== undefined &&
        el("a", { href: to(parts, { ...query, cursor: null }) }, "Newest"),
      before !== null && el("a", { href: at(before) }, "← Newer"),
      nextCursor !== null && el("a", { href: at(nextCursor) }, "Older →")
    )
  )
}
