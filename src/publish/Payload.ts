/**
 * What a message carries: JSON text as it was written, or bytes of any content type.
 */
import { isJson } from "../domain/ContentType.ts"

/** Bytes that are sent as they are. */
export interface RawBody {
  readonly contentType: string
  readonly bytes: Uint8Array
}

/** Makes the reader of a payload: it parses when it is asked first, and once. */
export const reader = (payload: string | RawBody): (() => unknown) => {
  let value: unknown
  let isRead = false
  return () => {
    if (!isRead) {
      isRead = true
      value = read(payload)
    }
    return value
  }
}

const read = (payload: string | RawBody): unknown => {
  try {
    if (typeof payload === "string") return JSON.parse(payload)
    return isJson(payload.contentType) ? JSON.parse(utf8.decode(payload.bytes)) : undefined
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })
