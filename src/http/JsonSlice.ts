/**
 * Finds the members of a JSON object in its text, so that a value can be kept as it was written:
 * parsing and printing would change `1.0`, `1e400`, duplicate keys and escapes.
 *
 * The text must be valid JSON; `JSON.parse` has said so before.
 */

/** What a scan of a text found. */
export interface Scan {
  /** How deep arrays and objects are nested; 0 for a scalar. */
  readonly depth: number
  /** The members of the top-level object in the order of their text; none for other values. */
  readonly members: ReadonlyArray<Member>
}

/** One member: its key as the text has it, without quotes, and where its value stands. */
export interface Member {
  readonly key: string
  readonly start: number
  readonly end: number
}

/** Scans a valid JSON text once, without recursion. */
export const scan = (text: string): Scan => {
  const members: Array<Member> = []
  let depth = 0
  let deepest = 0
  let key = ""
  let start = -1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = endOfString(text, at)
        if (depth === 1 && start === -1) key = text.slice(at + 1, end)
        at = end
        break
      }
      case openBrace:
      case openBracket:
        if (++depth > deepest) deepest = depth
        break
      case colon:
        if (depth === 1) start = at + 1
        break
      case comma:
        if (depth === 1 && start !== -1) {
          members.push({ key, start, end: at })
          start = -1
        }
        break
      case closeBrace:
      case closeBracket:
        if (depth === 1 && start !== -1) members.push({ key, start, end: at })
        depth--
        break
    }
  }
  return { depth: deepest, members }
}

/** The text of the last member with this key, as `JSON.parse` chooses it; undefined if there is none. */
export const slice = (text: string, { members }: Scan, key: string): string | undefined => {
  const found = members.findLast(
    (member) =>
      member.key === key || (member.key.includes("\\") && JSON.parse(`"${member.key}"`) === key)
  )
  return found === undefined ? undefined : text.slice(found.start, found.end).trim()
}

/** The texts of the elements of a JSON array, in their order. */
export const elements = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let depth = 0
  let start = -1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at)
        break
      case openBrace:
      case openBracket:
        if (++depth === 1) start = at + 1
        break
      case comma:
        if (depth === 1) {
          found.push(text.slice(start, at).trim())
          start = at + 1
        }
        break
      case closeBrace:
      case closeBracket:
        if (depth-- === 1) found.push(text.slice(start, at).trim())
        break
    }
  }
  return found.length === 1 && found[0] === "" ? [] : found
}

const [quote, comma, colon, openBracket, closeBracket, openBrace, closeBrace, backslash] = [
  0x22, 0x2c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d, 0x5c
] as const

/** The index of the quote that ends the string which begins at `from`. */
const endOfString = (text: string, from: number): number => {
  let end = text.indexOf('"', from + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

const isEscaped = (text: string, at: number): boolean => {
  let before = at - 1
  while (text.charCodeAt(before) === backslash) before--
  return (at - before) % 2 === 0
}
