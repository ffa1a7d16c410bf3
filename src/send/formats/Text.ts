/**
 * Readable text made from a message: titles, lines of `data`, filled templates, cut to measure.
 *
 * Lengths are UTF-16 units, the strictest way in which the chats count. A cut falls between code
 * points, never inside an escape, and leaves an ellipsis. However large a message is, the work is
 * bounded by what fits.
 */
import type { Part } from "../../domain/Template.ts"
import { type Content, valueAt } from "./Content.ts"
import { compact, hasMembers, textOf } from "./JsonText.ts"

/** How one kind of text is kept from meaning more than it says. */
export interface Markup {
  /** Writes one character; `opensLine` is true while only spaces stand before it in its line. */
  readonly escape: (char: string, opensLine: boolean) => string
  /** Stretches that are written as they are, a sticky pattern. */
  readonly verbatim?: RegExp
}

/** Text in which no character has a meaning of its own. */
export const plain: Markup = { escape: (char) => char }

/** The same markup for text that shall be one line. */
export const oneLine = (markup: Markup): Markup => ({
  ...markup,
  escape: (char, opensLine) => markup.escape(/\s/.test(char) ? " " : char, opensLine)
})

/**
 * Writes text in a markup, cut to a length with an ellipsis.
 *
 * **Details**
 *
 * Broken surrogates become U+FFFD, control characters spaces, separators line feeds; carriage
 * returns and marks that turn the direction of writing are left out.
 */
export const fit = (text: string, lengthMax: number, markup: Markup): string => {
  let out = ""
  // Up to where the text may stay when an ellipsis has to follow.
  let keep = 0
  let opensLine = true
  let verbatimTo = 0
  for (let at = 0; at < text.length;) {
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0)
    if (markup.verbatim !== undefined && at >= verbatimTo) {
      markup.verbatim.lastIndex = at
      verbatimTo = at + (markup.verbatim.exec(text)?.[0].length ?? 0)
    }
    const shown = showable(char)
    const written = at < verbatimTo || shown === "" ? shown : markup.escape(shown, opensLine)
    if (out.length + written.length > lengthMax) {
      return lengthMax < 1 ? "" : `${out.slice(0, keep)}…`
    }
    out += written
    if (out.length < lengthMax) keep = out.length
    opensLine = shown === "\n" || (opensLine && shown === " ")
    at += char.length
  }
  return out
}

const showable = (char: string): string => {
  if ((char >= " " && char <= "~") || char === "\n" || char === "\t") return char
  if (/[\u2028\u2029\u0085]/.test(char)) return "\n"
  if (/[\r\u202a-\u202e\u2066-\u2069]/.test(char)) return ""
  return /\p{Cc}/u.test(char) ? " " : char.toWellFormed()
}

/** Tells whether there is anything to see in a text: the chats refuse what looks empty. */
export const isVisible = (text: string): boolean =>
  /[^\s\p{C}\p{Default_Ignorable_Code_Point}\u2800]/u.test(text)

/** The headline made from an event type: `invoice.paid` is "Invoice paid". */
export const titleOf = (type: string): string => {
  const words = type.replaceAll(/[._-]+/g, " ").trim()
  return words === "" ? type : words.charAt(0).toUpperCase() + words.slice(1)
}

/** A named part of `data`, as long as it is or a little longer than any chat shows. */
export interface Line {
  readonly name: string
  readonly value: string
}

/** The lines made from `data`, and how many members were left out. */
export interface Lines {
  readonly lines: ReadonlyArray<Line>
  readonly omitted: number
}

/** The most lines that a message is made of: as many fields as Discord shows. */
const linesMax = 25

/** The longest name of a line as it is shown. */
export const nameLengthMax = 80

/** Makes a line of each member of `data`, or one line where it has none. */
export const linesOf = (data: unknown): Lines => {
  if (data === null || data === undefined) return { lines: [], omitted: 0 }
  if (!hasMembers(data) || Array.isArray(data)) {
    return { lines: [{ name: "data", value: shown(data) }], omitted: 0 }
  }
  const names = Object.keys(data)
  return {
    lines: names
      .slice(0, linesMax)
      .map((name) => ({ name: shown(name), value: shown(data[name]) })),
    omitted: Math.max(0, names.length - linesMax)
  }
}

/** Names what a message is about, for the small print below it. */
export const footnoteOf = (content: Content, omitted: number): string =>
  [
    content.type,
    content.id,
    ...(content.resource === null ? [] : [`${content.resource.type} ${content.resource.id}`]),
    ...(omitted === 0 ? [] : [`${omitted} more`])
  ].join(" · ")

// What looks empty is shown in quotes, as the chats refuse fields in which nothing is to be seen.
const shown = (value: unknown): string =>
  typeof value === "string" && isVisible(value) ? value : compact(value, shownLengthMax)

/** Longer than the longest text of any chat but the fallback text of Slack. */
const shownLengthMax = 4_096

/** Finds the length to which texts are cut so that all of them fit: the short ones stay whole. */
export const cutFor = (lengths: ReadonlyArray<number>, lengthInAll: number): number => {
  let left = Math.max(0, lengthInAll)
  let open = lengths.length
  for (const length of lengths.toSorted((a, b) => a - b)) {
    const share = Math.floor(left / open)
    if (length > share) return share
    left -= length
    open--
  }
  return lengthInAll
}

/** Cuts texts to one length so that all of them fit, and each of them its own bound. */
export const fitAll = (
  texts: ReadonlyArray<string>,
  bounds: { readonly each: number; readonly inAll: number },
  markupOf: (index: number) => Markup
): ReadonlyArray<string> => {
  const whole = texts.map((text, i) => fit(text, bounds.each, markupOf(i)))
  const cut = cutFor(
    whole.map(({ length }) => length),
    bounds.inAll
  )
  return whole.map((text, i) => (text.length <= cut ? text : fit(texts[i] ?? "", cut, markupOf(i))))
}

/** How a template is written. */
export interface TemplateMarkup {
  /** For what the template says itself. */
  readonly own: Markup
  /** For values, by what the template says before them. */
  readonly valuesAfter: (before: string) => Markup
}

/** Stands for a value in what the template says before the next one. */
const objectReplacement = "\ufffc"

/**
 * Fills a template; undefined when what it says itself is too long.
 *
 * **Details**
 *
 * Only values are cut, so a template's own markup stays whole.
 */
export const fill = (
  parts: ReadonlyArray<Part>,
  content: Content,
  lengthMax: number,
  markup: TemplateMarkup
): string | undefined => {
  let ownLength = 0
  let before = ""
  const values: Array<{ readonly text: string; readonly markup: Markup }> = []
  const written = parts.map((part) => {
    if (typeof part === "string") {
      const text = fit(part, Infinity, markup.own)
      ownLength += text.length
      before += text
      return text
    }
    const text = textOf(valueAt(content, part.path), lengthMax)
    values.push({ text, markup: markup.valuesAfter(before) })
    before += objectReplacement
    return null
  })
  const left = lengthMax - ownLength
  if (left < 0) return undefined
  const fitted = fitAll(
    values.map(({ text }) => text),
    { each: left, inAll: left },
    (i) => values[i]?.markup ?? plain
  ).values()
  return written.map((part) => part ?? fitted.next().value ?? "").join("")
}
