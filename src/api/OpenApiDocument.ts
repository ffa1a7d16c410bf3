/**
 * Completes the OpenAPI document that is derived from the schemas with what they cannot say.
 */
import { tenantHeader } from "./Authorization.ts"

/** Any JSON, as documents are made of. */
type Json =
  | { readonly [key: string]: Json }
  | ReadonlyArray<Json>
  | string
  | number
  | boolean
  | null

/**
 * Completes a document.
 *
 * **Details**
 *
 * Whole numbers in a query are documented as integers, not as the text they travel in. Answers may
 * gain keys, so only inputs forbid others. Problems lose the suffix that marks their encoded form.
 * Endpoints with a key take the header that names a tenant, and 429 and 503 say when to come back.
 */
export const complete = (document: Record<string, unknown>): Record<string, unknown> => {
  const named: string = JSON.stringify(document).replaceAll(
    /"(#\/components\/schemas\/)?([A-Z]\w+)Encoded"/g,
    '"$1$2"'
  )
  return JSON.parse(named, function (key: string, value: Json): Json {
    if (!isObject(value)) return value
    if (key === "schemas")
      return mapValues(value, (schema, name) => (isInput(name) ? schema : open(schema)))
    if (key === "responses")
      return mapValues(value, (response, status) => answer(open(response), status))
    if (isObject(value.responses ?? null)) return operation(value)
    return schemaOf(value)
  })
}

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const mapValues = (
  object: { readonly [key: string]: Json },
  f: (value: Json, key: string) => Json
): Json => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)]))

const isInput = (name: string): boolean => /^(?!Invalid)\w+(?:Input|Patch)$/.test(name)

/** Lets a schema, at any depth, have more keys than it names. */
const open = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(open)
  if (!isObject(value)) return value
  const { additionalProperties, ...rest } = value
  return mapValues(
    additionalProperties === undefined || additionalProperties === false
      ? rest
      : { ...rest, additionalProperties },
    open
  )
}

const answer = (response: Json, status: string): Json =>
  isObject(response) && (status === "429" || status === "503")
    ? { ...response, headers: { "retry-after": { schema: { type: "integer" } } } }
    : response

const operation = (value: { readonly [key: string]: Json }): Json => {
  const secured = Array.isArray(value.security) && value.security.length > 0
  const parameters = Array.isArray(value.parameters) ? value.parameters : []
  return secured ? { ...value, parameters: [...parameters, tenantParameter] } : value
}

const tenantParameter: Json = {
  name: tenantHeader,
  in: "header",
  required: false,
  description: "The tenant that an admin key acts for, by id or uid; `default` when absent",
  schema: { type: "string" }
}

const schemaOf = (value: { readonly [key: string]: Json }): Json => {
  const { pattern } = value
  if (value.type === "string" && typeof pattern === "string" && pattern.startsWith(numberPattern)) {
    return { ...without(value, ["pattern"]), type: "integer" }
  }
  // The bounds of every whole number in JavaScript say nothing about this one.
  return value.type === "integer" && value.minimum === Number.MIN_SAFE_INTEGER
    ? without(value, ["minimum", "maximum"])
    : value
}

/** How the pattern begins that schemas give to a number in a query. */
const numberPattern = "^[+-]?(?:\\d"

const without = (
  value: { readonly [key: string]: Json },
  keys: ReadonlyArray<string>
): { readonly [key: string]: Json } =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
