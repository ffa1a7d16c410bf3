/**
 * Addresses inside the dashboard, behind the `#`: `#/deliveries/dlv_…?status=exhausted`.
 */

/** A place in the dashboard. */
export interface Route {
  /** The parts of the path, decoded: `["deliveries", "dlv_…"]`. */
  readonly parts: ReadonlyArray<string>
  /** What is asked of the page, by name; never empty text. */
  readonly query: Readonly<Record<string, string>>
}

/** Reads an address; one that cannot be read is the start page. */
export const parse = (hash: string): Route => {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2)
  const parts = path.split("/").filter((part) => part !== "")
  try {
    return {
      parts: parts.map(decodeURIComponent),
      query: Object.fromEntries([...new URLSearchParams(query)].filter(([, value]) => value !== ""))
    }
  } catch {
    return { parts: [], query: {} }
  }
}

/** Writes an address; what is empty or absent is left out. */
export const to = (
  parts: ReadonlyArray<string>,
  query: Readonly<Record<string, string | null | undefined>> = {}
): string => {
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value) asked.set(name, value)
  const text = asked.toString()
  return `#/${parts.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`
}
