/**
 * Texts with placeholders, from which a webhook's owner makes the messages of a chat.
 *
 * ```
 * {id} {type} {timestamp} {resource.type} {resource.id} {data} {data.user.name} {data.items.0.id}
 * ```
 *
 * A placeholder stands for what the message says there: text as it is, numbers and booleans as
 * JSON writes them, lists and objects as compact JSON, null and what is missing as nothing. Values
 * are escaped for the place where they are put; what the template itself says is not, but for
 * titles, which are plain text.
 */
import * as Schema from "effect/Schema"

/**
 * The longest parts of a template, in UTF-16 units, and the most placeholders of each. So much fits
 * in every chat as it stands.
 */
export const templateLimits = { text: 2_000, title: 128, chatId: 128, placeholders: 40 } as const

/** A stretch of a template: text that stands for itself, or what a placeholder names. */
export type Part = string | { readonly path: string }

/** Splits a template at its placeholders. */
export const partsOf = (template: string): ReadonlyArray<Part> =>
  split(template, /\{([^{}]*)\}/g, (path) => path)

/** Splits the path or the query of a URL at its placeholders, in the form that parsing left. */
export const urlPartsOf = (component: string): ReadonlyArray<Part> =>
  split(component, inUrl, decoded)

/** Lists what looks like a placeholder of a text but names nothing that a message has. */
export const unknownIn = (template: string): ReadonlyArray<string> =>
  [...template.matchAll(/\{([A-Za-z]\w*(?:\.[^{}]*)?)\}/g)]
    .map((match) => match[1] ?? "")
    .filter((path) => !isPath(path))

/** Lists what is braced in the path or the query of a URL and names nothing that a message has. */
export const unknownInUrl = (component: string): ReadonlyArray<string> =>
  [...component.matchAll(inUrl)]
    .map((match) => decoded(match[1] ?? "") ?? match[0])
    .filter((path) => !isPath(path))

/** Says what a placeholder may be where `path` is not. */
export const expectedPath = (path: string): string =>
  `Expected placeholders of id, type, timestamp, data and resource, not {${path}}`

const inUrl = /(?:\{|%7B)([^{}/?&#]*?)(?:\}|%7D)/gi

const isPath = (path: string): boolean =>
  /^(?:id|type|timestamp|resource\.(?:type|id)|data(?:\.[^.{}]+)*)$/.test(path)

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const split = (
  text: string,
  placeholder: RegExp,
  pathOf: (inner: string) => string | undefined
): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let at = 0
  for (const match of text.matchAll(placeholder)) {
    const path = pathOf(match[1] ?? "")
    if (path === undefined || !isPath(path)) continue
    if (match.index > at) parts.push(text.slice(at, match.index))
    parts.push({ path })
    at = match.index + match[0].length
  }
  if (at < text.length) parts.push(text.slice(at))
  return parts
}

/**
 * Names the first thing in a text of HTML that Telegram would not parse; nothing where it parses.
 *
 * **Details**
 *
 * A placeholder may stand between tags and in a quoted attribute. Source: Telegram Bot API,
 * "Formatting options", HTML style.
 */
export const telegramProblem = (html: string): string | undefined => {
  const open: Array<string> = []
  for (let at = html.indexOf("<"); at >= 0; at = html.indexOf("<", at + 1)) {
    const [, end, name = "", attributes = ""] = openingTag.exec(html.slice(at)) ?? []
    const lower = name.toLowerCase()
    if (!telegramTags.has(lower)) return `Expected a tag of Telegram at "${excerpt(html, at)}"`
    if (end !== undefined) {
      if (open.pop() !== lower) return `Expected another tag to end before "${excerpt(html, at)}"`
    } else {
      if (lower === "span" && !/\sclass="tg-spoiler"/.test(attributes)) {
        return 'Expected <span class="tg-spoiler">'
      }
      open.push(lower)
    }
  }
  if (open.length > 0) return `Expected </${open.at(-1)}> before the end`
  return /&(?!(?:lt|gt|amp|quot|#\d+|#x[\da-f]+);)|>/i.test(html.replaceAll(tag, ""))
    ? "Expected &amp; and &gt; for & and > that are text"
    : undefined
}

const tag = /<(\/)?([a-z][a-z-]*)((?:\s+(?:[a-z-]+="[^"<>]*"|expandable))*)\s*>/gi

const openingTag = new RegExp(`^${tag.source}`, "i")

const telegramTags: ReadonlySet<string> = new Set([
  "a",
  "b",
  "blockquote",
  "code",
  "del",
  "em",
  "i",
  "ins",
  "pre",
  "s",
  "span",
  "strike",
  "strong",
  "tg-emoji",
  "tg-spoiler",
  "u"
])

const excerpt = (text: string, at: number): string => text.slice(at, at + 20)

const text = (lengthMax: number) =>
  Schema.NonEmptyString.check(
    Schema.isMaxLength(lengthMax),
    Schema.makeFilter((template: string) => {
      const [unknown] = unknownIn(template)
      if (unknown !== undefined) return expectedPath(unknown)
      const placeholders = partsOf(template).filter((part) => typeof part !== "string")
      return placeholders.length > templateLimits.placeholders
        ? `Expected at most ${templateLimits.placeholders} placeholders`
        : undefined
    })
  )

/** Takes the place of parts of a chat's message; what is left out is made from type and data. */
export const TemplateParts = Schema.Struct({
  /** The headline, plain text. */
  title: Schema.optionalKey(text(templateLimits.title)),
  /** The text below it, in the chat's own markup, instead of the lines made from `data`. */
  text: Schema.optionalKey(text(templateLimits.text)),
  /** Telegram only: which chat, when the URL has no `chat_id`. */
  chatId: Schema.optionalKey(text(templateLimits.chatId))
})
export type TemplateParts = typeof TemplateParts.Type

/** What a webhook's `template` may say: the whole message as one text, or some of its parts. */
export const Template = Schema.Union([text(templateLimits.text), TemplateParts])
export type Template = typeof Template.Type
