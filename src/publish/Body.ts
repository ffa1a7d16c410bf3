/**
 * Makes the bytes that every receiver of a message gets: once, stored, signed and sent as they are.
 *
 * `data` goes in as the caller wrote it. Parsing and printing it again would change numbers such as
 * 1.0 or 12345678901234567890 and drop duplicate keys.
 */
import { DateTime } from "effect"
import type { Resource } from "../domain/Message.ts"
import type { MessageId } from "../domain/TypeId.ts"

/** Builds the JSON body of a message: `{"id","type","timestamp","data"}` and `resource` when given. */
export const jsonBody = (parts: {
  readonly id: MessageId
  readonly type: string
  /** Epoch milliseconds; `timestamp` says it in RFC 3339, UTC, with milliseconds. */
  readonly createdAt: number
  /** JSON text. */
  readonly data: string
  readonly resource: Resource | null
}): Uint8Array => {
  // Ids, types and timestamps are made of characters that JSON prints as they are.
  const head = `{"id":"${parts.id}","type":"${parts.type}","timestamp":"${timestampOf(parts.createdAt)}"`
  const resource =
    parts.resource === null
      ? ""
      : `,"resource":${JSON.stringify({ type: parts.resource.type, id: parts.resource.id })}`
  return Buffer.from(`${head},"data":${parts.data}${resource}}`)
}

let lastAt = NaN
let lastTimestamp = ""

/** Formats an instant; many messages come in one millisecond. */
const timestampOf = (at: number): string => {
  if (at !== lastAt) {
    lastTimestamp = DateTime.formatIso(DateTime.makeUnsafe(at))
    lastAt = at
  }
  return lastTimestamp
}
