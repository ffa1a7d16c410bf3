/**
 * The tables that cells print: a figure, what to reach, what was measured, and beside it what the
 * machine did without the service in the same run.
 */
import { median } from "./Stats.ts"

/** One figure of a cell. */
export interface Figure {
  readonly name: string
  /** One value for each run, in order. */
  readonly values: ReadonlyArray<number>
  readonly target?: { readonly atLeast: number } | { readonly atMost: number }
  /** What the same run's reference reached, in the same unit. */
  readonly reference?: { readonly name: string; readonly value: number }
}

/** Prints rows of cells in columns: the first one to the left, all others to the right. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)))
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd()
  )
  const rule = widths.map((width) => "-".repeat(width)).join("  ")
  return [lines[0], rule, ...lines.slice(1)].map((line) => `  ${line}`).join("\n")
}

/** Prints figures with target, median, spread, reference and ratio. */
export const figures = (list: ReadonlyArray<Figure>): string =>
  columns([
    ["figure", "target", "ours", "spread", "met", "reference", "ratio"],
    ...list.map((figure) => {
      const { reference, target, values } = figure
      const ours = median(values)
      return [
        figure.name,
        target === undefined
          ? ""
          : "atLeast" in target
            ? `>= ${plain(target.atLeast)}`
            : `<= ${plain(target.atMost)}`,
        plain(ours),
        values.length < 2 ? "" : `${plain(Math.min(...values))} .. ${plain(Math.max(...values))}`,
        target === undefined || Number.isNaN(ours) ? "" : met(target, ours) ? "yes" : "NO",
        reference === undefined ? "" : `${plain(reference.value)} ${reference.name}`,
        reference === undefined ? "" : plain(ours / reference.value)
      ]
    })
  ])

/** Prints a number with three or more digits that mean something. */
export const plain = (value: number): string => {
  if (Number.isNaN(value)) return "-"
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString("en")
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size === 0 ? 0 : 3)
}

const met = (target: NonNullable<Figure["target"]>, value: number): boolean =>
  "atLeast" in target ? value >= target.atLeast : value <= target.atMost
