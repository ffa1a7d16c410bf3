/**
 * Reads Server-Sent Events out of pieces of text, however they are cut.
 */

/** Makes a reader that answers the data of each event that a piece completes. */
export const reader = (): ((piece: string) => ReadonlyArray<string>) => {
  let rest = ""
  return (piece) => {
    const events = (rest + piece).replaceAll("\r\n", "\n").split("\n\n")
    rest = events.pop() ?? ""
    return events.flatMap((event) => {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, ""))
      return data.length === 0 ? [] : [data.join("\n")]
    })
  }
}
