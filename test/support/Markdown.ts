/**
 * Reads the tables of a page, so that a test can hold them to the code.
 */

/** The rows of the only table of a page whose first column has this heading, without the heading. */
export const table = (page: string, heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const found = [...page.matchAll(/^\|.*\|$(?:\n^\|.*\|$)+/gm)]
    .map(([text]) => text.split("\n").map(cellsOf))
    .filter(([first]) => first?.[0] === heading)
  if (found.length !== 1) throw new Error(`${found.length} tables of ${heading}`)
  return found[0]!.slice(2)
}

/** What stands between backticks in a cell. */
export const codesOf = (cell: string): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code)

const cellsOf = (line: string): ReadonlyArray<string> =>
  line
    .slice(1, -1)
    .split("|")
    .map((cell) => cell.trim())
