/**
 * Makes the bytes that every receiver of a message gets: once, stored, signed and sent as they are.
 *
 * `data` goes in as the caller wrote it. Parsing and printing it again would change numbers such as
 * 1.0 or 12345678901234567890 and drop duplicate keys.
 */
import type { Resource } from "../domain/Message.ts"
import type { MessageId } from "../domain/TypeId.ts"

const encoder = new TextEncoder()

/** Builds the JSON body of a message: `{"id","type","timestamp","data"}` and `resource` when given. */
export const jsonBody = (parts: {
  readonly id: MessageId
  readonly type: string
  /** RFC 3339, UTC, with milliseconds. */
  readonly timestamp: string
  /** JSON text. */
  readonly data: string
  readonly resource: Resource | null
}): Uint8Array => {
  // Ids, types and timestamps are made of characters that JSON prints as they are.
  const head = `{"id":"${parts.id}","type":"${parts.type}","timestamp":"${parts.timestamp}"`
  const resource =
    parts.resource === null
      ? ""
      : `,"resource":${JSON.stringify({ type: parts.resource.type, id: parts.resource.id })}`
  return encoder.encode(`${head},"data":${parts.data}${resource}}`)
}
