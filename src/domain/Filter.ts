/**
 * Conditions on the payload of a message, written in JSON, that say which messages a webhook wants.
 *
 * ```
 *   condition = { key: condition | scalar, … , "$and" | "$or": [condition, …], "$not": condition }
 *             | { "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte": scalar, "$in" | "$nin": [scalar, …],
 *                 "$exists": boolean, "$startsWith": text, "$regex": pattern, "$not": condition }
 * ```
 *
 * All members of a condition have to hold. A key is a member of the payload, or a path with dots.
 * Numbers compare with numbers and texts with texts; an array matches where one of its first 100
 * elements does. A missing key matches `$exists: false`, `$ne` and `$nin` and nothing else, `$not` of
 * something else neither. A `$regex` reads at most 8,192 characters of a value.
 *
 * Size, depth and patterns are bounded when a filter is written, so trying one is cheap.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  all,
  any,
  type Clause,
  definite,
  elementsMax,
  isObject,
  leaf,
  member,
  missing,
  not,
  type Path,
  someOf
} from "./Clause.ts"
import * as Pattern from "./Pattern.ts"

/** A filter that was compiled. */
export interface Compiled {
  /** Tries a payload; answers the first clause that did not hold as an RFC 6901 pointer, or null. */
  readonly failing: (data: unknown) => string | null
}

/** The bounds of one filter. */
export const filterLimits = {
  length: 16_384,
  clauses: 100,
  depth: 10,
  patterns: 4,
  values: 100,
  textLength: 1_024,
  elements: elementsMax,
  patternReads: 8_192
} as const

/** Where a filter says what no filter can, and what is wrong. */
export interface FilterProblem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** Compiles a filter; fails with the first thing that is wrong. */
export const compile = (filter: unknown): Result.Result<Compiled, FilterProblem> => {
  const found = parse({ clauses: 0, patterns: 0 }, filter, [])
  return Result.isFailure(found)
    ? Result.fail(found.failure)
    : Result.succeed({
        failing: (data) => {
          const failure = found.success(data)
          return failure === null ? null : failure.at
        }
      })
}

/** Any JSON that is a filter. */
export const Filter = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter((filter) => {
    if (JSON.stringify(filter).length > filterLimits.length) {
      return `Expected at most ${filterLimits.length} characters in all`
    }
    const compiled = compile(filter)
    return Result.isSuccess(compiled)
      ? undefined
      : { path: compiled.failure.path, issue: compiled.failure.message }
  })
)
export type Filter = typeof Filter.Type

type Parsed = Result.Result<Clause, FilterProblem>

/** Counts what a filter may have only so much of. */
interface Count {
  clauses: number
  patterns: number
}

const wrong = (path: Path, message: string) => Result.fail({ path, message })

const parse = (count: Count, filter: unknown, path: Path): Parsed => {
  if (path.length > filterLimits.depth) {
    return wrong(path, `Expected at most ${filterLimits.depth} levels`)
  }
  if (!isObject(filter)) {
    return isScalar(filter)
      ? operator(count, "$eq", filter, path)
      : wrong(path, "Expected a value or a condition; lists stand after $in")
  }
  const keys = Object.keys(filter)
  if (keys.length === 0) return wrong(path, "Expected at least one condition")
  const clauses: Array<Clause> = []
  for (const key of keys) {
    const at = [...path, key]
    if (!isScalar(key)) return wrong(path, "Expected shorter names without NUL characters")
    if (++count.clauses > filterLimits.clauses) {
      return wrong(at, `Expected at most ${filterLimits.clauses} conditions in all`)
    }
    const clause = key.startsWith("$")
      ? operator(count, key, filter[key], at)
      : Result.map(parse(count, filter[key], at), (inner) => member(key, inner))
    if (Result.isFailure(clause)) return clause
    clauses.push(clause.success)
  }
  return Result.succeed(clauses.length === 1 ? clauses[0]! : all(clauses))
}

const operator = (count: Count, name: string, operand: unknown, path: Path): Parsed => {
  switch (name) {
    case "$and":
    case "$or":
      return many(count, operand, path, name === "$and" ? all : (clauses) => any(path, clauses))
    case "$not":
      return Result.map(parse(count, operand, path), (inner) => not(path, inner))
    case "$exists":
      return typeof operand === "boolean"
        ? Result.succeed(definite(path, (value) => (value !== missing) === operand))
        : wrong(path, "Expected true or false")
    case "$eq":
      return isScalar(operand)
        ? Result.succeed(
            leaf(
              path,
              someOf((value) => value === operand)
            )
          )
        : wrong(path, scalarExpected)
    case "$ne": {
      if (!isScalar(operand)) return wrong(path, scalarExpected)
      const equals = someOf((value) => value === operand)
      return Result.succeed(definite(path, (value) => !equals(value)))
    }
    case "$in":
    case "$nin":
      return oneOf(name, operand, path)
    case "$gt":
      return order(operand, path, (a, b) => a > b)
    case "$gte":
      return order(operand, path, (a, b) => a >= b)
    case "$lt":
      return order(operand, path, (a, b) => a < b)
    case "$lte":
      return order(operand, path, (a, b) => a <= b)
    case "$startsWith":
      return typeof operand === "string" && isScalar(operand)
        ? Result.succeed(
            leaf(
              path,
              someOf((value) => typeof value === "string" && value.startsWith(operand))
            )
          )
        : wrong(path, "Expected a text")
    case "$regex":
      return regex(count, operand, path)
    default:
      return wrong(path, `Expected one of ${operators.join(" ")}`)
  }
}

/** Every operator there is. */
export const operators = [
  "$eq",
  "$ne",
  "$gt",
  "$gte",
  "$lt",
  "$lte",
  "$in",
  "$nin",
  "$exists",
  "$and",
  "$or",
  "$not",
  "$startsWith",
  "$regex"
] as const

const many = (
  count: Count,
  operand: unknown,
  path: Path,
  join: (clauses: ReadonlyArray<Clause>) => Clause
): Parsed => {
  if (!Array.isArray(operand) || operand.length === 0) {
    return wrong(path, "Expected a list of conditions")
  }
  const clauses: Array<Clause> = []
  for (const [i, one] of operand.entries()) {
    const clause = parse(count, one, [...path, String(i)])
    if (Result.isFailure(clause)) return clause
    clauses.push(clause.success)
  }
  return Result.succeed(join(clauses))
}

const oneOf = (name: "$in" | "$nin", operand: unknown, path: Path): Parsed => {
  if (
    !Array.isArray(operand) ||
    operand.length === 0 ||
    operand.length > filterLimits.values ||
    !operand.every(isScalar)
  ) {
    return wrong(path, `Expected a list of 1 to ${filterLimits.values} values`)
  }
  const values = new Set<unknown>(operand)
  const has = someOf((value) => values.has(value))
  return Result.succeed(name === "$in" ? leaf(path, has) : definite(path, (value) => !has(value)))
}

const order = (
  operand: unknown,
  path: Path,
  holds: (a: string | number, b: string | number) => boolean
): Parsed =>
  (typeof operand === "number" || typeof operand === "string") && isScalar(operand)
    ? Result.succeed(
        leaf(
          path,
          someOf(
            (value) =>
              (typeof value === "number" || typeof value === "string") &&
              typeof value === typeof operand &&
              holds(value, operand)
          )
        )
      )
    : wrong(path, "Expected a number or a text")

const regex = (count: Count, operand: unknown, path: Path): Parsed => {
  const pattern = typeof operand === "string" ? Pattern.compile(operand) : Option.none()
  if (Option.isNone(pattern)) {
    return wrong(
      path,
      `Expected a regular expression of RE2 of at most ${Pattern.patternLengthMax} characters`
    )
  }
  if (++count.patterns > filterLimits.patterns) {
    return wrong(path, `Expected at most ${filterLimits.patterns} patterns in all`)
  }
  const { test } = pattern.value
  const read = (value: unknown) => {
    let left: number = filterLimits.patternReads
    return someOf((one) => {
      if (typeof one !== "string" || left <= 0) return false
      const text = one.slice(0, left)
      left -= text.length
      return test(text)
    })(value)
  }
  return Result.succeed(leaf(path, read))
}

const scalarExpected = "Expected a text, a number, true, false or null"

/** Values that compare. Text is such that any store keeps it. */
const isScalar = (value: unknown): value is string | number | boolean | null =>
  value === null ||
  typeof value === "boolean" ||
  (typeof value === "number" && Number.isFinite(value)) ||
  (typeof value === "string" &&
    value.length <= filterLimits.textLength &&
    value.isWellFormed() &&
    !value.includes("\0"))
