/**
 * Regular expressions that people write and the engine runs: in time linear in the text, whatever
 * they say. The syntax is RE2's (no backreferences, no lookaround).
 *
 * The engine is re2js, which nothing else imports; `RegExp` would let one pattern stop the process.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RE2JS } from "re2js"

/** A pattern, ready to be tried. */
export interface Pattern {
  /** Tells whether the pattern occurs in the text. */
  readonly test: (text: string) => boolean
}

/** The longest pattern that is compiled, in UTF-16 units. */
export const patternLengthMax = 256

/** Compiles a pattern; none when it is too long, or none of RE2's. */
export const compile = (text: string): Option.Option<Pattern> => {
  if (text.length > patternLengthMax || repeats(text) > repeatsMax) return Option.none()
  return Option.map(read(text), (compiled) => ({ test: (value) => compiled.test(value) }))
}

const read = Option.liftThrowable((text: string) => RE2JS.compile(RE2JS.translateRegExp(text)))

/** What all counted repetitions multiply to: each copies what it repeats. */
const repeats = (text: string): number =>
  [...text.matchAll(/\{(\d*)(?:,(\d*))?\}/g)].reduce(
    (product, [, from = "", to = ""]) => product * Math.max(1, Number(from), Number(to)),
    1
  )

const repeatsMax = 100

/** The text of a pattern that compiles. */
export const PatternText = Schema.String.check(
  Schema.makeFilter((text: string) =>
    Option.isSome(compile(text))
      ? undefined
      : `Expected a regular expression of RE2 of at most ${patternLengthMax} characters`
  )
)
