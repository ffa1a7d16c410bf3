/**
 * Puts the data of a message into a URL: values for the placeholders in its path and query, and a
 * parameter for each member of `data` that no placeholder used.
 *
 * ```
 * https://example.com/users/{data.user_id}/seen?src={type}
 *   with the data {"user_id": "u 1", "n": 5, "tags": ["a", "b"]} is
 * https://example.com/users/u%201/seen?src=invoice.paid&n=5&tags=a&tags=b
 * ```
 *
 * Parameters come in the order of `data`; names that are whole numbers come first, as JavaScript
 * sorts them. Members of objects have dotted names of at most 32 parts, elements of lists repeat
 * the name, what is nested deeper or within lists is JSON, null is empty. Data without names makes
 * no parameters. A name that the URL's query has already is left out: what the owner wrote stands.
 *
 * A value never changes anything but itself: it is percent-encoded to unreserved characters, a path
 * segment that would become empty, `.` or `..` refuses the message, and what comes out is parsed
 * again and compared. Placeholders before the path are refused.
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import { hasTemplateBeforePath, urlBytesMax } from "../../domain/Format.ts"
import { urlPartsOf } from "../../domain/Template.ts"
import { type Content, refuse, valueAt } from "./Content.ts"
import { hasMembers, textOf } from "./JsonText.ts"

/** Makes the URL of a message; refused when it would be unusable or longer than 8 KiB. */
export const target = (content: Content, template: URL): Result.Result<URL, Refused> => {
  if (hasTemplateBeforePath(template)) {
    return refuse("The URL has a placeholder before its path, where a value may not stand.")
  }
  const used = new Set<string>()
  const filled = (component: string): string =>
    urlPartsOf(component)
      .map((part) => {
        if (typeof part === "string") return part
        used.add(part.path)
        return encode(textOf(valueAt(content, part.path), urlBytesMax))
      })
      .join("")

  const segments = template.pathname.split("/").map((segment) => {
    const written = filled(segment)
    return { written, isUnusable: written !== segment && unusable.test(written) }
  })
  if (segments.some(({ isUnusable }) => isUnusable)) {
    return refuse("A value for the URL's path is missing, empty or a step to another path.")
  }
  const path = segments.map(({ written }) => written).join("/")
  const fixed = filled(template.search)
  const parameters = parametersOf(content.data, used, new Set(template.searchParams.keys()))
  if (parameters === undefined) return tooLong
  const query = [fixed.slice(1), ...parameters].filter((part) => part !== "").join("&")
  const search = query === "" ? "" : `?${query}`
  const text = template.origin + path + search
  if (text.length > urlBytesMax) return tooLong
  const url = URL.parse(text)
  return url !== null &&
    url.origin === template.origin &&
    url.pathname === path &&
    url.search === search &&
    url.hash === ""
    ? Result.succeed(url)
    : refuse("The values of this message make the URL unusable.")
}

const tooLong = refuse(
  `The URL with the values of this message is longer than ${urlBytesMax} bytes.`
)

/** What a value may not make of a path segment: nothing, or a step that a parser would take. */
const unusable = /^(?:(?:\.|%2e){1,2})?$/i

/** Writes each parameter as `name=value`; undefined once they are longer than a URL may be. */
const parametersOf = (
  data: unknown,
  used: ReadonlySet<string>,
  taken: ReadonlySet<string>
): ReadonlyArray<string> | undefined => {
  if (!hasMembers(data) || Array.isArray(data) || used.has("data")) return []
  const parameters: Array<string> = []
  let length = 0
  const add = (name: string, value: unknown) => {
    const parameter = `${encode(name)}=${encode(textOf(value, urlBytesMax))}`
    parameters.push(parameter)
    length += parameter.length + 1
  }
  const descend = (name: string, value: unknown, depth: number) => {
    if (length > urlBytesMax || used.has(`data.${name}`) || taken.has(name)) return
    if (Array.isArray(value)) {
      for (let at = 0; at < value.length && length <= urlBytesMax; at++) add(name, value[at])
    } else if (hasMembers(value) && depth < depthMax) {
      for (const member of Object.keys(value))
        descend(`${name}.${member}`, value[member], depth + 1)
    } else {
      add(name, value)
    }
  }
  for (const name of Object.keys(data)) descend(name, data[name], 1)
  return length > urlBytesMax ? undefined : parameters
}

/** How many names a dotted name is made of; objects below are JSON. */
const depthMax = 32

/** Percent-encodes all but the unreserved characters of RFC 3986. */
const encode = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  )
