/**
 * Prints what the API answered: as tables for people, or as the JSON of the answer for programs.
 *
 * Text of others never reaches the terminal raw: control characters are shown as escapes.
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Terminal from "effect/Terminal"
import { Target } from "./Target.ts"

/** What the client answers with `responseMode: "decoded-and-response"`. */
export type Answer<A> = readonly [value: A, response: HttpClientResponse.HttpClientResponse]

/** Asks a client for the value and the response it came in. */
export const both = { responseMode: "decoded-and-response" } as const

/** A heading and how a row is shown under it. */
export type Column<A> = readonly [heading: string, cell: (row: A) => Cell]
type Cell = string | number | boolean | null | undefined

/** Prints one answer: as the JSON that it is, or as `show` puts it. */
export const answer = Effect.fnUntraced(function* <A>(
  [value, response]: Answer<A>,
  show: (value: A) => Effect.Effect<void, never, Terminal.Terminal>
) {
  const { output } = yield* Target
  if (output === "table") return yield* show(value)
  const text = yield* response.text
  if (text !== "") yield* Console.log(JSON.stringify(JSON.parse(text), null, 2))
})

/** Prints a value that is no single answer: as JSON, or as `show` puts it. */
export const printed = Effect.fnUntraced(function* <A>(
  value: A,
  show: (value: A) => Effect.Effect<void, never, Terminal.Terminal>
) {
  const { output } = yield* Target
  yield* output === "table" ? show(value) : Console.log(JSON.stringify(value, null, 2))
})

/** Joins the parts of one line. */
export const line = (parts: ReadonlyArray<Cell>): string => parts.map(shown).join("  ")

/** Prints rows in columns as wide as the terminal allows; the last column gives way first. */
export const table = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  none = "none"
): Effect.Effect<void, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    if (rows.length === 0) return yield* Console.log(none)
    const terminal = yield* Terminal.Terminal
    const width = process.stdout.isTTY ? yield* terminal.columns : Infinity
    const cells = [
      columns.map(([heading]) => heading.toUpperCase()),
      ...rows.map((row) => columns.map(([, cell]) => shown(cell(row))))
    ]
    const widths = columns.map((_, i) =>
      Math.max(...cells.map((line) => CliOutput.displayWidth(line[i]!)))
    )
    const before = widths.slice(0, -1).reduce((sum, one) => sum + one + gap.length, 0)
    const last = Math.max(8, width - before)
    for (const line of cells) {
      yield* Console.log(
        line
          .map((cell, i) => (i === widths.length - 1 ? cut(cell, last) : pad(cell, widths[i]!)))
          .join(gap)
          .trimEnd()
      )
    }
  })

/** Prints one thing as lines of a name and a value; what is absent is left out. */
export const record = (fields: Readonly<Record<string, Cell>>): Effect.Effect<void> => {
  const lines = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...lines.map(([name]) => name.length))
  return Effect.forEach(
    lines,
    ([name, value]) => Console.log(`${name.padEnd(width)}  ${shown(value)}`),
    { discard: true }
  )
}

/** Shows an instant (epoch milliseconds), or a dash. */
export const instant = (at: number | null | undefined): string =>
  at === null || at === undefined ? "-" : new Date(at).toISOString()

/** Shows a list in one cell. */
export const list = (items: ReadonlyArray<string>, none: string): string =>
  items.length === 0 ? none : items.join(", ")

const gap = "  "

const shown = (cell: Cell): string =>
  String(cell ?? "-").replaceAll(
    /[\p{Cc}\p{Bidi_Control}]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const pad = (cell: string, width: number): string =>
  cell + " ".repeat(Math.max(0, width - CliOutput.displayWidth(cell)))

const cut = (cell: string, width: number): string =>
  CliOutput.displayWidth(cell) <= width ? cell : `${[...cell].slice(0, width - 1).join("")}…`
