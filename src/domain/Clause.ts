/**
 * What a filter is made of: clauses over a value that may be missing.
 *
 * Three-valued: a clause holds, does not, or asks for a key that is missing, which nothing turns into
 * an answer but another clause beside it.
 */

/** Why a value does not match: a clause says no, or it asks for a key that is missing. */
export interface Failure {
  readonly at: string
  readonly isMissing: boolean
}

/** Tries a value, which is `missing` where there is none; null when it matches. */
export type Clause = (value: unknown) => Failure | null

/** Where in a filter a clause stands. */
export type Path = ReadonlyArray<string>

/** The elements of an array that are looked at. */
export const elementsMax = 100

/** Stands for the value of a key that is not there. */
export const missing = Symbol("missing")

/** Makes a clause that a missing value fails without an answer. */
export const leaf = (path: Path, holds: (value: unknown) => boolean): Clause => {
  const no: Failure = { at: pointerOf(path), isMissing: false }
  const unknown: Failure = { at: no.at, isMissing: true }
  return (value) => (value === missing ? unknown : holds(value) ? null : no)
}

/** Makes a clause that answers for a missing value too. */
export const definite = (path: Path, holds: (value: unknown) => boolean): Clause => {
  const no: Failure = { at: pointerOf(path), isMissing: false }
  return (value) => (holds(value) ? null : no)
}

/** Asks of a member what `inner` asks. */
export const member = (key: string, inner: Clause): Clause => {
  const path = key.split(".")
  return (value) => inner(memberAt(value, key, path))
}

/** Asks for all of them, as three-valued logic has it: what one denies, no missing key leaves open. */
export const all =
  (clauses: ReadonlyArray<Clause>): Clause =>
  (value) => {
    let first: Failure | null = null
    for (const clause of clauses) {
      const failure = clause(value)
      if (failure === null) continue
      if (!failure.isMissing) return failure
      first ??= failure
    }
    return first
  }

/** Asks for one of them. */
export const any = (path: Path, clauses: ReadonlyArray<Clause>): Clause => {
  const at = pointerOf(path)
  return (value) => {
    let isMissing = false
    for (const clause of clauses) {
      const failure = clause(value)
      if (failure === null) return null
      isMissing ||= failure.isMissing
    }
    return { at, isMissing }
  }
}

/** Asks for the contrary; a missing key stays one. */
export const not = (path: Path, inner: Clause): Clause => {
  const at = pointerOf(path)
  return (value) => {
    const failure = inner(value)
    if (failure === null) return { at, isMissing: false }
    return failure.isMissing ? { at, isMissing: true } : null
  }
}

/** Lets an array match where one of its first elements does. */
export const someOf =
  (holds: (value: unknown) => boolean) =>
  (value: unknown): boolean => {
    if (!Array.isArray(value)) return holds(value)
    const length = Math.min(value.length, elementsMax)
    for (let i = 0; i < length; i++) if (holds(value[i])) return true
    return false
  }

/** Finds a member by its whole name, or else by the path that its dots make. */
const memberAt = (value: unknown, key: string, path: Path): unknown => {
  if (isObject(value) && Object.hasOwn(value, key)) return value[key]
  if (path.length === 1) return missing
  let at = value
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return missing
    at = at[name]
  }
  return at
}

/** Tells what has members. */
export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** RFC 6901. */
const pointerOf = (path: Path): string =>
  path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
