/**
 * The form in which a webhook gets its messages: the message itself, a post in a chat, or a URL.
 *
 * What fits together is checked when it is written down, by `problems`; `send/Format` makes the
 * requests.
 */
import * as Schema from "effect/Schema"
import {
  expectedPath,
  partsOf,
  type Template,
  type TemplateParts,
  telegramProblem,
  unknownInUrl
} from "./Template.ts"

/**
 * `json` sends the message's own bytes, of any content type; `discord`, `slack` and `telegram` post
 * a text made from it; `query` puts its data in the URL and sends no body.
 */
export const Format = Schema.Literals(["json", "discord", "slack", "telegram", "query"])
export type Format = typeof Format.Type

/** The method of a webhook's requests. */
export const Method = Schema.Literals(["POST", "PUT", "PATCH", "GET"])
export type Method = typeof Method.Type

/** Names the method that is used where none is set: GET for `query`, else POST. */
export const methodOf = (format: Format, method: Method | undefined): Method =>
  method ?? (format === "query" ? "GET" : "POST")

/** The longest URL that a format makes, in bytes. */
export const urlBytesMax = 8_192

/** One setting that does not fit the others, and why. */
export interface FormatProblem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** Lists what does not fit together in a webhook's format, method, template and URL. */
export const problems = (
  settings: {
    readonly format: Format
    readonly method?: Method | undefined
    readonly template?: Template | undefined
  },
  url: string
): ReadonlyArray<FormatProblem> => {
  const { format, template } = settings
  const method = methodOf(format, settings.method)
  const parts: TemplateParts = typeof template === "string" ? { text: template } : (template ?? {})
  const textPath = typeof template === "string" ? ["template"] : ["template", "text"]
  const found: Array<FormatProblem> = []
  const isChat = format === "discord" || format === "slack" || format === "telegram"

  if (format === "json" && method === "GET") {
    found.push({ path: ["method"], message: "A GET request has no body; use the format query" })
  } else if (isChat && method !== "POST") {
    found.push({ path: ["method"], message: `The format ${format} is sent by POST` })
  }
  if (template !== undefined && !isChat) {
    found.push({ path: ["template"], message: `The format ${format} takes no template` })
  }
  if (parts.chatId !== undefined && format !== "telegram") {
    found.push({ path: ["template", "chatId"], message: "Only the format telegram has a chat" })
  }
  const parsed = URL.parse(url)
  if (parsed === null) return found
  if (format === "query") found.push(...urlProblems(parsed))
  if (format === "telegram") {
    found.push(...chatProblems(parts, parsed))
    const message = parts.text === undefined ? undefined : telegramProblem(parts.text)
    if (message !== undefined) found.push({ path: textPath, message })
  }
  return found
}

/** Tells whether a text names a chat of Telegram: a number, or a public name after an `@`. */
export const isChatId = (text: string): boolean => /^(?:-?\d{1,20}|@[A-Za-z]\w{3,31})$/.test(text)

const chatProblems = (parts: TemplateParts, url: URL): ReadonlyArray<FormatProblem> => {
  if (parts.chatId !== undefined) {
    return isChatId(parts.chatId) || partsOf(parts.chatId).some((part) => typeof part !== "string")
      ? []
      : [{ path: ["template", "chatId"], message: expectedChatId }]
  }
  const chatId = url.searchParams.get("chat_id")
  return chatId !== null && isChatId(chatId)
    ? []
    : [{ path: ["url"], message: `Expected a parameter chat_id in the URL. ${expectedChatId}` }]
}

const expectedChatId = "Expected the number of a chat, or @ and its public name"

const urlProblems = (url: URL): ReadonlyArray<FormatProblem> => {
  if (hasTemplateBeforePath(url)) {
    return [{ path: ["url"], message: "Expected placeholders in the path or the query only" }]
  }
  return [...unknownInUrl(url.pathname), ...unknownInUrl(url.search)].map((unknown) => ({
    path: ["url"],
    message: expectedPath(unknown)
  }))
}

/** Tells whether a brace stands where a value would decide who receives the request. */
export const hasTemplateBeforePath = (url: URL): boolean =>
  /[{}]|%7[bd]/i.test(url.protocol + url.username + url.password + url.host)
