/**
 * Answers requests that never become one: headers that are too large or too slow, and bytes that are
 * no HTTP. They get a problem too, and their connection closes, so that nothing after them on it can
 * be taken for a request of somebody else.
 */
import { randomBytes } from "node:crypto"
import { type Server, ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"

/** Makes a server answer what it cannot read. */
export const answerClientErrors = (server: Server): Server =>
  server.on("clientError", (error: Error, socket) => {
    if (!socket.writable || isAnswered(socket)) return socket.destroy()
    return socket.end(answer(codeOf(error)), () => socket.destroy())
  })

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : ""

/** Tells whether an answer is under way, which another one would only spoil. */
const isAnswered = (socket: Duplex): boolean => {
  const current: unknown = Reflect.get(socket, "_httpMessage")
  return current instanceof ServerResponse && current.headersSent
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly title: string
}

const unreadable: Refusal = {
  status: 400,
  code: "unreadable_request",
  title: "This is no HTTP/1.1 request"
}

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: "headers_too_large",
    title: "The path and the headers are larger than 16 KiB"
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: "chunk_extensions_too_large",
    title: "The chunk extensions are too large"
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: "request_timeout",
    title: "The request took too long to arrive"
  }
}

const answer = (reason: string): string => {
  const { code, status, title } = refusals[reason] ?? unreadable
  const requestId = `req_${randomBytes(12).toString("base64url")}`
  const type = `urn:posthaste:problem:${code}`
  const body = JSON.stringify({ type, title, status, code, requestId })
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    "cache-control: no-store",
    "x-content-type-options: nosniff",
    "connection: close",
    "",
    body
  ].join("\r\n")
}
