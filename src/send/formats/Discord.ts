/**
 * Writes a message as the payload of a Discord webhook: an embed with a field for each member of
 * `data`, or what the webhook's template says.
 *
 * Nobody is notified by it: mentions are switched off, and what comes from the message is escaped.
 * Links in values stay links. Source: Discord's documentation, "Execute Webhook", "Embed Limits"
 * and "Allowed Mentions Object".
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import type { Template } from "../../domain/Template.ts"
import type { Content } from "./Content.ts"
import { type Chat, compose } from "./Post.ts"
import { fit, fitAll, footnoteOf, type Markup, nameLengthMax, oneLine, plain } from "./Text.ts"

/** Discord's limits, in characters, but for the footnote, which may have 2,048. */
const lengths = {
  whole: 2_000,
  title: 256,
  text: 4_096,
  value: 1_024,
  footnote: 512,
  embed: 6_000
}

/** Values up to this length stand beside each other. */
const inlineLengthMax = 40

/** Writes the payload; refused when a template leaves nothing to see, or is too long itself. */
export const payload = (
  content: Content,
  template: Template | undefined
): Result.Result<object, Refused> =>
  Result.map(compose(content, template, discord), (post) => {
    if (post.whole !== null) return { content: post.whole, allowed_mentions: noMentions }
    const { lines, omitted, text, title } = post
    const footnote = fit(footnoteOf(content, omitted), lengths.footnote, oneLine(plain))
    const names = lines.map(({ name }) => fit(name, nameLengthMax, oneLine(markdown)))
    const taken = [title, footnote, ...names].reduce((sum, part) => sum + part.length, 0)
    const values = fitAll(
      lines.map(({ value }) => value),
      { each: lengths.value, inAll: lengths.embed - taken },
      () => markdown
    )
    const fields = names.map((name, i) => {
      const value = values[i] ?? ""
      return { name, value, inline: value.length <= inlineLengthMax }
    })
    return {
      embeds: [
        {
          title,
          ...(text === null ? {} : { description: text }),
          ...(fields.length === 0 ? {} : { fields }),
          footer: { text: footnote },
          timestamp: content.timestamp
        }
      ],
      allowed_mentions: noMentions
    }
  })

const markdown: Markup = {
  escape: (char, opensLine) =>
    /[\\*_~|`<>[\]]/.test(char) || (opensLine && /[#+-]/.test(char)) ? `\\${char}` : char,
  // In a link a backslash would become a part of it. What is left out here could end it.
  verbatim: /https?:\/\/[\w.~:/?#@!$&'(),;=%+-]+/y
}

/** In code a backslash is shown, and only a backtick has a meaning. */
const code: Markup = { escape: (char) => (char === "`" ? "ˋ" : char) }

const discord: Chat = {
  name: "Discord",
  lengths,
  markup: markdown,
  markupAfter: (before) => ((before.match(/`+/g)?.length ?? 0) % 2 === 1 ? code : markdown)
}

const noMentions = { parse: [] }
