/**
 * What a post in a chat says, before a chat gives it its form: the template's words where there are
 * any, else a headline made from the type and a line for each member of `data`.
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import { partsOf, type Template } from "../../domain/Template.ts"
import { type Content, refuse } from "./Content.ts"
import {
  fill,
  fit,
  isVisible,
  type Line,
  linesOf,
  type Markup,
  oneLine,
  plain,
  type TemplateMarkup,
  titleOf
} from "./Text.ts"

/** What matters of a chat. */
export interface Chat {
  readonly name: string
  /** The most characters of a post that is one text, of a headline and of the text below it. */
  readonly lengths: { readonly whole: number; readonly title: number; readonly text: number }
  /** How values are written. What a template says itself is taken as it is, but in headlines. */
  readonly markup: Markup
  /** How values are written in a template's text where `before` stands before them. */
  readonly markupAfter?: (before: string) => Markup
  /** Leaves of a text in the chat's markup what can be seen. */
  readonly visible?: (text: string) => string
}

/** A post: one text, or its parts. `text` takes the place of the lines and of no more than them. */
export type Post =
  | { readonly whole: string }
  | {
      readonly whole: null
      readonly title: string
      readonly text: string | null
      readonly lines: ReadonlyArray<Line>
      /** How many members of `data` have no line. */
      readonly omitted: number
    }

/** Composes a post; refused when the template leaves nothing to see, or is too long itself. */
export const compose = (
  content: Content,
  template: Template | undefined,
  { lengths, markup, markupAfter = () => markup, name, visible = (text) => text }: Chat
): Result.Result<Post, Refused> => {
  const line = oneLine(markup)
  const inText = { own: plain, valuesAfter: markupAfter }
  const filled = (text: string, lengthMax: number, markup: TemplateMarkup) =>
    Result.fromNullishOr(fill(partsOf(text), content, lengthMax, markup), (): Refused => ({
      _tag: "Refused",
      rule: "format",
      detail: `The template alone is longer than a post of ${name}.`
    }))

  if (typeof template === "string") {
    return Result.flatMap(filled(template, lengths.whole, inText), (whole) =>
      isVisible(visible(whole))
        ? Result.succeed<Post>({ whole })
        : refuse("The template leaves nothing to see for this message.")
    )
  }
  return Result.gen(function* () {
    const title = yield* filled(template?.title ?? "", lengths.title, {
      own: line,
      valuesAfter: () => line
    })
    const text = yield* filled(template?.text ?? "", lengths.text, inText)
    return {
      whole: null,
      title: isVisible(title) ? title : fit(titleOf(content.type), lengths.title, line),
      text: isVisible(visible(text)) ? text : null,
      ...linesOf(template?.text === undefined ? content.data : null)
    }
  })
}
