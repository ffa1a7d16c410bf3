/**
 * JSON Schema, draft 2020-12, as people write it for their event types, within bounds that keep the
 * check of a message cheap.
 *
 * Taken are schemas without recursion, whose references stay inside of them. Patterns run in linear
 * time; a text longer than 8,192 characters meets none. `format` is a remark and checks nothing.
 * Nothing is ever fetched. The validator is Ajv, which nothing else imports.
 */
import { Option, Result, type Schema } from "effect"
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js"
import * as Pattern from "../domain/Pattern.ts"
import type { ProblemItem } from "../domain/Problem.ts"

/** Tells the first thing that is wrong with a value, as a pointer into it and a sentence. */
export type Validator = (value: unknown) => ProblemItem | null

/** The bounds of one schema. */
export const schemaLimits = {
  length: 32_768,
  depth: 32,
  /** Schemas in a schema, each as often as references lead to it. */
  size: 1_000,
  patterns: 20,
  uniqueItems: 1_000,
  patternReads: 8_192
} as const

/** Compiles a schema; fails with what is wrong with it, as a pointer into it. */
export const compile = (schema: Schema.JsonObject): Result.Result<Validator, ProblemItem> => {
  const unfit = judge(schema)
  if (unfit !== null) return Result.fail(unfit)
  return Result.mapError(
    Result.try(() => {
      const validate = ajv.compile(schema)
      // A schema that was replaced would stay with the validator for ever.
      ajv.removeSchema(schema)
      return (value: unknown) =>
        validate(value) ? null : itemOf(validate.errors?.[0], "Does not meet the schema")
    }),
    (error) => {
      ajv.removeSchema(schema)
      return itemOf(
        ajv.errors?.[0],
        error instanceof Error ? error.message.slice(0, 300) : "Expected a JSON Schema"
      )
    }
  )
}

const pattern = (text: string) => {
  const { test } = Option.getOrThrowWith(
    Pattern.compile(text),
    () => new Error("Expected patterns that are regular expressions of RE2")
  )
  return {
    test: (value: string) => value.length <= schemaLimits.patternReads && test(value),
    // Ajv tells patterns apart by this.
    toString: () => `pattern:${text}`
  }
}

const ajv = new Ajv2020({
  strict: false,
  validateFormats: false,
  inlineRefs: false,
  addUsedSchema: false,
  ownProperties: true,
  logger: false,
  code: { regExp: Object.assign(pattern, { code: "pattern" }) }
})

const itemOf = (error: ErrorObject | undefined, otherwise: string): ProblemItem => {
  if (error === undefined) return { pointer: "", message: otherwise }
  const { missingProperty, additionalProperty, unevaluatedProperty }: Record<string, unknown> =
    error.params
  const name = missingProperty ?? additionalProperty ?? unevaluatedProperty
  const at = typeof name === "string" ? `/${escaped(name)}` : ""
  return {
    pointer: `${error.instancePath}${at}`.slice(0, 512),
    message: sentence(error.message ?? otherwise)
  }
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1, 300)

const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1")

/** What a walk through a schema has met. */
interface Walk {
  readonly root: Schema.JsonObject
  /** Sizes of what was walked; undefined while it is being walked. */
  readonly sizes: Map<object, number | undefined>
  patterns: number
}

/** Finds what makes a schema unfit whatever it means: its size, its depth, what costs too much. */
const judge = (schema: Schema.JsonObject): ProblemItem | null => {
  if (JSON.stringify(schema).length > schemaLimits.length) {
    return { pointer: "", message: `Expected at most ${schemaLimits.length} characters` }
  }
  const size = sizeOf({ root: schema, sizes: new Map(), patterns: 0 }, schema, [])
  if (Result.isFailure(size)) return size.failure
  return size.success <= schemaLimits.size
    ? null
    : { pointer: "", message: `Expected at most ${schemaLimits.size} schemas with all references` }
}

type Path = ReadonlyArray<string>
type Size = Result.Result<number, ProblemItem>

const unfit = (path: Path, message: string): Result.Result<never, ProblemItem> =>
  Result.fail({ pointer: path.map((name) => `/${escaped(name)}`).join(""), message })

const sizeOf = (walk: Walk, node: object, path: Path): Size => {
  if (walk.sizes.has(node)) {
    const known = walk.sizes.get(node)
    return known === undefined ? unfit(path, "Expected no recursion") : Result.succeed(known)
  }
  if (path.length > schemaLimits.depth) {
    return unfit(path, `Expected at most ${schemaLimits.depth} levels`)
  }
  walk.sizes.set(node, undefined)
  const members = Object.entries(node)
  const refused = refusalOf(walk, new Map(members), path)
  if (refused !== null) return unfit([...path, refused.keyword], refused.message)
  let size = 1
  for (const [name, value] of members) {
    const at = [...path, name]
    const inner =
      name === "$ref" && typeof value === "string"
        ? sizeOfTarget(walk, value, at)
        : typeof value === "object" && value !== null && !holdsData.has(name)
          ? sizeOf(walk, value, at)
          : Result.succeed(0)
    if (Result.isFailure(inner)) return inner
    size += inner.success
  }
  walk.sizes.set(node, size)
  return Result.succeed(size)
}

const holdsData: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"])

const sizeOfTarget = (walk: Walk, reference: string, path: Path): Size => {
  const target = targetOf(walk.root, reference)
  return target === undefined
    ? unfit(path, "Expected a reference into this schema, such as #/$defs/address")
    : sizeOf(walk, target, path)
}

const targetOf = (root: Schema.JsonObject, reference: string): object | undefined => {
  if (reference !== "#" && !/^#\/[^%]*$/.test(reference)) return undefined
  let at: unknown = root
  for (const name of reference.split("/").slice(1)) {
    const key = name.replaceAll("~1", "/").replaceAll("~0", "~")
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined
    at = new Map<string, unknown>(Object.entries(at)).get(key)
  }
  return typeof at === "object" && at !== null ? at : undefined
}

const refusalOf = (
  walk: Walk,
  members: ReadonlyMap<string, unknown>,
  path: Path
): { readonly keyword: string; readonly message: string } | null => {
  for (const keyword of ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"]) {
    if (typeof members.get(keyword) === "string") return { keyword, message: "Expected $ref alone" }
  }
  if (path.length > 0 && typeof members.get("$id") === "string") {
    return { keyword: "$id", message: "Expected one $id, at the top" }
  }
  if (members.get("uniqueItems") === true) {
    const most = members.get("maxItems")
    if (typeof most !== "number" || most > schemaLimits.uniqueItems) {
      const message = `Expected maxItems of at most ${schemaLimits.uniqueItems} beside it`
      return { keyword: "uniqueItems", message }
    }
  }
  const patterned = members.get("patternProperties")
  walk.patterns +=
    (typeof members.get("pattern") === "string" ? 1 : 0) +
    (typeof patterned === "object" && patterned !== null ? Object.keys(patterned).length : 0)
  return walk.patterns > schemaLimits.patterns
    ? { keyword: "pattern", message: `Expected at most ${schemaLimits.patterns} patterns` }
    : null
}
