/**
 * What a stored message says, read for the formats that say it in another way.
 *
 * A published message is `{"id","type","timestamp","data"}`; of a raw message in JSON the whole
 * body is the data.
 */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import { isJson } from "../../domain/ContentType.ts"
import type { OutgoingMessage } from "../../store/DeliveryQueue.ts"
import { hasMembers, parse } from "./JsonText.ts"

/** A message, read. */
export interface Content {
  readonly id: string
  readonly type: string
  /** RFC 3339, UTC, with milliseconds. */
  readonly timestamp: string
  readonly resource: { readonly type: string; readonly id: string } | null
  /** What `JsonText.parse` answers. */
  readonly data: unknown
}

/** Reads a message for a format; refused when its body is no JSON. */
export const read = (message: OutgoingMessage, format: string): Result.Result<Content, Refused> => {
  const body = isJson(message.contentType) ? parse(message.body) : undefined
  if (body === undefined) {
    return refuse(`The format ${format} needs a body of JSON, and this message has none.`)
  }
  const envelope = hasMembers(body) && body["id"] === message.id && "data" in body ? body : null
  const resource = envelope?.["resource"]
  return Result.succeed({
    id: message.id,
    type: message.type,
    timestamp: DateTime.formatIso(DateTime.makeUnsafe(message.createdAt)),
    resource: hasMembers(resource)
      ? { type: String(resource["type"]), id: String(resource["id"]) }
      : null,
    data: envelope === null ? body : envelope["data"]
  })
}

/** Finds what a template's placeholder names; undefined where the message has no such thing. */
export const valueAt = (content: Content, path: string): unknown => {
  switch (path) {
    case "id":
      return content.id
    case "type":
      return content.type
    case "timestamp":
      return content.timestamp
    case "resource.type":
      return content.resource?.type
    case "resource.id":
      return content.resource?.id
    case "data":
      return content.data
    default:
      return memberAt(content.data, path.slice("data.".length))
  }
}

/** Says why no request can be made of a message: one sentence, without what the message holds. */
export const refuse = (detail: string): Result.Result<never, Refused> =>
  Result.fail({ _tag: "Refused", rule: "format", detail })

/** Walks down a dotted path. A name that holds dots itself is found too, the longest one first. */
const memberAt = (value: unknown, path: string): unknown => {
  if (!hasMembers(value)) return undefined
  if (Object.hasOwn(value, path)) return value[path]
  for (let dot = path.lastIndexOf("."); dot > 0; dot = path.lastIndexOf(".", dot - 1)) {
    const name = path.slice(0, dot)
    const found = Object.hasOwn(value, name)
      ? memberAt(value[name], path.slice(dot + 1))
      : undefined
    if (found !== undefined) return found
  }
  return undefined
}
