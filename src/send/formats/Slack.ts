/**
 * Writes a message as the payload of a Slack incoming webhook: a header, a field for each member of
 * `data` and the small print, or what the webhook's template says.
 *
 * What comes from the message can form no link and notify nobody. Slack knows no escape for `*`,
 * `_`, `~` and backticks: such marks in a value may show as format, but in that value alone.
 * Source: Slack's documentation, "Formatting message text", "Block Kit" and "Text object".
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import type { Template } from "../../domain/Template.ts"
import type { Content } from "./Content.ts"
import { compose } from "./Post.ts"
import { fit, fitAll, footnoteOf, type Markup, nameLengthMax, oneLine } from "./Text.ts"

/**
 * Slack's limits, in characters, or less.
 *
 * **Details**
 *
 * `whole` is what Slack recommends; it would cut at 40,000. Slack also refuses blocks that are too
 * long together, at about 13,000 characters and sometimes fewer (slackapi/bolt-js, issues 2509 and
 * 2867), so all values share `values`.
 */
const lengths = {
  whole: 4_000,
  title: 150,
  text: 3_000,
  value: 1_800,
  footnote: 512,
  values: 6_000
}

/** The most fields of a section. */
const fieldsMax = 10

/** Writes the payload; refused when a template leaves nothing to see, or is too long itself. */
export const payload = (
  content: Content,
  template: Template | undefined
): Result.Result<object, Refused> =>
  Result.map(compose(content, template, { name: "Slack", lengths, markup: escaped }), (post) => {
    if (post.whole !== null) return { text: post.whole }
    const { lines, omitted, text, title } = post
    const names = lines.map(({ name }) => fit(name, nameLengthMax, oneLine(escaped)))
    const values = fitAll(
      lines.map(({ value }) => value),
      { each: lengths.value, inAll: lengths.values },
      () => escaped
    )
    const fields = names.map((name, i) => mrkdwn(`*${name}*\n${values[i] ?? ""}`))
    const footnote = `${footnoteOf(content, omitted)} · ${content.timestamp}`
    return {
      // Shown where blocks are not, such as in notifications.
      text: [title, text ?? names.map((name, i) => `${name}: ${values[i] ?? ""}`).join("\n")]
        .join("\n")
        .trim(),
      blocks: [
        { type: "header", text: { type: "plain_text", text: title } },
        ...(text === null ? [] : [{ type: "section", text: mrkdwn(text) }]),
        ...sectionsOf(fields),
        { type: "context", elements: [mrkdwn(fit(footnote, lengths.footnote, oneLine(escaped)))] }
      ]
    }
  })

const mrkdwn = (text: string) => ({ type: "mrkdwn", text })

const sectionsOf = (fields: ReadonlyArray<object>): ReadonlyArray<object> =>
  Array.from({ length: Math.ceil(fields.length / fieldsMax) }, (_, i) => ({
    type: "section",
    fields: fields.slice(i * fieldsMax, (i + 1) * fieldsMax)
  }))

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" }

const escaped: Markup = { escape: (char) => entities[char] ?? char }
