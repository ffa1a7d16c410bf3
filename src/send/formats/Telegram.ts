/**
 * Writes a message as a call of `sendMessage` of the Telegram Bot API: a headline, a line for each
 * member of `data` and the small print, or what the webhook's template says.
 *
 * The URL is `https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>`. The chat moves from
 * the URL into the body; other parameters, such as `message_thread_id`, stay. The text is HTML, and
 * what comes from the message is escaped. Telegram still makes links and mentions of what looks
 * like one. Source: Telegram Bot API, "sendMessage" and "Formatting options".
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import { isChatId } from "../../domain/Format.ts"
import { partsOf, type Template, templateLimits } from "../../domain/Template.ts"
import { type Content, refuse } from "./Content.ts"
import { compose, type Post } from "./Post.ts"
import {
  fill,
  fit,
  fitAll,
  footnoteOf,
  type Markup,
  nameLengthMax,
  oneLine,
  plain
} from "./Text.ts"

/** Telegram takes 4,096 characters and counts without tags; these bounds hold with them. */
const lengths = { whole: 4_096, title: 256, text: 3_500, footnote: 256 }

/** Writes the payload and the URL without the chat; refused when there is no chat or no text. */
export const payload = (
  content: Content,
  template: Template | undefined,
  url: URL
): Result.Result<{ readonly url: URL; readonly payload: object }, Refused> =>
  Result.gen(function* () {
    const post = yield* compose(content, template, {
      name: "Telegram",
      lengths,
      markup: html,
      visible: (text) => text.replaceAll(/<[^<>]*>/g, "")
    })
    const chatId = yield* chatOf(content, template, url)
    const target = new URL(url)
    target.searchParams.delete("chat_id")
    return {
      url: target,
      payload: {
        chat_id: chatId,
        text: textOf(content, post),
        parse_mode: "HTML",
        link_preview_options: { is_disabled: true }
      }
    }
  })

const chatOf = (
  content: Content,
  template: Template | undefined,
  url: URL
): Result.Result<string, Refused> => {
  const given = typeof template === "string" ? undefined : template?.chatId
  const chatId =
    given === undefined
      ? url.searchParams.get("chat_id")
      : fill(partsOf(given), content, templateLimits.chatId, {
          own: plain,
          valuesAfter: () => plain
        })
  return typeof chatId === "string" && isChatId(chatId)
    ? Result.succeed(chatId)
    : refuse("Neither the URL nor the template names a chat of Telegram for this message.")
}

const textOf = (content: Content, post: Post): string => {
  if (post.whole !== null) return post.whole
  const title = `<b>${post.title}</b>`
  // As code, because Telegram would make links of types such as order.store.
  const footnote = `<code>${fit(footnoteOf(content, post.omitted), lengths.footnote, line)}</code>`
  const names = post.lines.map(({ name }) => `<b>${fit(name, nameLengthMax, line)}</b>: `)
  const left = lengths.whole - [title, "", ...names, "", footnote].join("\n").length
  const values = fitAll(
    post.lines.map(({ value }) => value),
    { each: left, inAll: left },
    () => html
  )
  const body = post.text ?? names.map((name, i) => name + (values[i] ?? "")).join("\n")
  return body === "" ? `${title}\n\n${footnote}` : `${title}\n\n${body}\n\n${footnote}`
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;"
}

const html: Markup = { escape: (char) => entities[char] ?? char }

const line = oneLine(html)
