/**
 * Lists as HTTP shows them: what one may ask of every list, and what every list answers.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodeCursor, pageLimit, type PageRequest } from "../domain/Page.ts"
import { Instant } from "./Instant.ts"
import { InvalidInput } from "./Problems.ts"

/** The query parameters that every list has. */
export const PageQuery = {
  limit: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: pageLimit.max })).annotate({
      description: `Rows in one page; ${pageLimit.default} when absent`
    })
  ),
  cursor: Schema.optionalKey(
    Schema.String.check(Schema.isMaxLength(256)).annotate({
      description:
        "`nextCursor` or `prevCursor` of another page. Where several filters meet, a page may be short, " +
        "even empty, and have a `nextCursor`: the list ends where that is null"
    })
  ),
  before: Schema.optionalKey(Instant),
  after: Schema.optionalKey(Instant)
}

/** Builds the schema of a page of something. */
export const PageOf = <S extends Schema.Top>(item: S) =>
  Schema.Struct({
    data: Schema.Array(item),
    nextCursor: Schema.NullOr(Schema.String),
    prevCursor: Schema.NullOr(Schema.String)
  })

/** What a list was asked for, as its query was decoded. */
export interface PageParameters {
  readonly limit?: number
  readonly cursor?: string
  /** Epoch milliseconds. */
  readonly before?: number
  /** Epoch milliseconds. */
  readonly after?: number
}

/** Reads the parameters of a list; fails when the cursor is not one of ours. */
export const pageRequest = (query: PageParameters): Result.Result<PageRequest, InvalidInput> => {
  const cursor = query.cursor === undefined ? Option.none() : decodeCursor(query.cursor)
  if (query.cursor !== undefined && Option.isNone(cursor)) {
    return Result.fail(
      new InvalidInput({
        errors: [{ pointer: "/query/cursor", message: "Expected a cursor that a page answered" }]
      })
    )
  }
  return Result.succeed({
    limit: query.limit ?? pageLimit.default,
    cursor: Option.getOrNull(cursor),
    before: query.before ?? null,
    after: query.after ?? null
  })
}
