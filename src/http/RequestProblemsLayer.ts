/**
 * Turns what schemas say about a request into a problem that names each place.
 *
 * What they say about an answer of ours is a fault and stays one.
 */
import { Effect, SchemaIssue } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import type { HttpApiSchemaError } from "effect/http-api/HttpApiError"
import { InvalidInput, RequestProblems } from "../api/Problems.ts"
import type { ProblemItem } from "../domain/Problem.ts"

/** Answers 422 where a parameter, a header or a body does not fit its schema. */
export const RequestProblemsLayer = HttpApiMiddleware.layerSchemaErrorTransform(
  RequestProblems,
  (error) => Effect.fail(invalid(error) ?? error)
)

/** Builds the problem for an issue; `prefix` is where the value stands in the request. */
export const invalidInput = (issue: SchemaIssue.Issue, prefix = ""): InvalidInput =>
  new InvalidInput({
    errors: format(issue)
      .issues.slice(0, errorsMax)
      .map(({ path = [], message }) => ({ pointer: pointer(prefix, path), message }))
  })

/** Builds the problem for places of the body that no schema judges. */
export const invalidPlaces = (
  found: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly message: string }>
): InvalidInput =>
  new InvalidInput({
    errors: found
      .slice(0, errorsMax)
      .map(({ path, message }) => ({ pointer: pointer("", path), message }))
  })

/** Builds the problem for one place that no schema judges. */
export const invalidAt = (pointer: string, message: string): InvalidInput => {
  const error: ProblemItem = { pointer, message }
  return new InvalidInput({ errors: [error] })
}

/** The most errors that one answer names, and the longest pointer. */
const errorsMax = 100
const pointerLengthMax = 512

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const invalid = (error: HttpApiSchemaError): InvalidInput | undefined => {
  switch (error.kind) {
    case "Payload":
      return invalidInput(error.cause.issue)
    case "Query":
    case "Headers":
    case "Params":
      return invalidInput(error.cause.issue, `/${error.kind.toLowerCase()}`)
    case "Body":
    case "ResponseHeaders":
      return undefined
  }
}

type Segment = PropertyKey | { readonly key: PropertyKey }

/** RFC 6901. */
const pointer = (prefix: string, path: ReadonlyArray<Segment>): string =>
  path
    .map((segment) => String(typeof segment === "object" ? segment.key : segment))
    .reduce((text, key) => `${text}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, prefix)
    .slice(0, pointerLengthMax)
