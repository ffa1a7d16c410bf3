/**
 * Reads and writes JSON so that numbers keep the digits they were written with, and neither depth
 * nor length is a danger.
 */

/** A number whose digits JavaScript would not print as they were written, such as 1.0. */
export class ExactNumber {
  readonly digits: string

  constructor(digits: string) {
    this.digits = digits
  }
}

/** Tells whether a value has members: an object or a list. */
export const hasMembers = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !(value instanceof ExactNumber)

/** Parses a body; undefined when it is no JSON in UTF-8. */
export const parse = (body: Uint8Array): unknown => {
  try {
    const text = decoder.decode(body)
    try {
      return JSON.parse(text, keepDigits)
    } catch {
      // A reviver descends by recursion and gives up on what is nested too deep; parsing does not.
      return JSON.parse(text)
    }
  } catch {
    return undefined
  }
}

/**
 * Writes a value for a template: text as it is, nothing for null and undefined, else JSON. What is
 * longer than `lengthMax` stays longer, though not as long as it was.
 */
export const textOf = (value: unknown, lengthMax: number): string =>
  value === null || value === undefined
    ? ""
    : typeof value === "string"
      ? value.slice(0, lengthMax + 1)
      : compact(value, lengthMax)

/** Writes a value as JSON without spaces, however deep it is; stops soon after `lengthMax`. */
export const compact = (value: unknown, lengthMax: number): string => {
  let out = ""
  const open: Array<Iterator<Token, undefined>> = [[{ value }].values()]
  for (let inner = open.at(-1); inner !== undefined; inner = open.at(-1)) {
    const { done, value: token } = inner.next()
    if (out.length > lengthMax) break
    if (done === true) open.pop()
    else if (typeof token === "string") out += token
    else if (hasMembers(token.value)) open.push(tokensOf(token.value, lengthMax))
    else out += scalar(token.value, lengthMax)
  }
  return out
}

const decoder = new TextDecoder("utf-8", { fatal: true })

const keepDigits = (_key: string, value: unknown, context?: { readonly source?: string }) =>
  typeof value === "number" && context?.source !== undefined && context.source !== String(value)
    ? new ExactNumber(context.source)
    : value

/** JSON text that is ready, or a value that is still to be written. */
type Token = string | { readonly value: unknown }

function* tokensOf(
  value: Readonly<Record<string, unknown>>,
  lengthMax: number
): Generator<Token, undefined> {
  const isList = Array.isArray(value)
  yield isList ? "[" : "{"
  let separator = ""
  for (const name of Object.keys(value)) {
    yield isList ? separator : `${separator}${scalar(name, lengthMax)}:`
    yield { value: value[name] }
    separator = ","
  }
  yield isList ? "]" : "}"
}

const scalar = (value: unknown, lengthMax: number): string =>
  value instanceof ExactNumber
    ? value.digits
    : typeof value === "string"
      ? JSON.stringify(value.slice(0, lengthMax))
      : String(value)
