/**
 * Lists of the API as the command line shows them: one page, and how to go on.
 */
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { answer, type Answer, type Column, table } from "./Print.ts"

/** How many rows of a list are wanted, as many as one page has at most. */
export const limit = (usual: number) =>
  Flag.Int("limit").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 250 }))),
    Flag.withDescription("How many at most"),
    Flag.withDefault(usual)
  )

/** One page of a list, and where the next one begins. */
export interface PageOf<A> {
  readonly data: ReadonlyArray<A>
  readonly nextCursor: string | null
}

/** Over how many of the last days a list goes; all of them when absent. */
export const days = (description: string) =>
  Flag.Finite("days").pipe(
    Flag.filter(
      (days) => days > 0,
      () => "expected a number of days above 0"
    ),
    Flag.withDescription(description),
    Flag.optional
  )

/** Prints a page as a table, or as its JSON. */
export const page = <A, E, R>(
  call: Effect.Effect<Answer<PageOf<A>>, E, R>,
  columns: ReadonlyArray<Column<A>>
) =>
  Effect.flatMap(call, (found) =>
    answer(found, ({ data, nextCursor }) =>
      Effect.andThen(
        table(columns, data),
        nextCursor === null ? Effect.void : Console.log("… and more: raise --limit")
      )
    )
  )

/** Keeps what flags were given of an input, as a query that leaves out the others. */
export const present = <Input extends Readonly<Record<string, unknown>>>(input: Input) =>
  Object.fromEntries(
    Object.entries(input).flatMap(([name, value]) =>
      Option.isOption(value) ? (Option.isSome(value) ? [[name, value.value]] : []) : [[name, value]]
    )
  ) as Present<Input>

/** An input without its `Option`s: what they held, where they held something. */
type Present<Input> = {
  readonly [
    Name in keyof Input as Input[Name] extends Option.Option<unknown> ? never : Name
  ]: Input[Name]
} & {
  readonly [
    Name in keyof Input as Input[Name] extends Option.Option<unknown> ? Name : never
  ]?: Input[Name] extends Option.Option<infer A> ? A : never
}
