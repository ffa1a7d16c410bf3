/**
 * Reads a request's body as bytes. Its content type must be said, because receivers are told it; one
 * that says UTF-8, as all JSON does, must be that.
 */
import { Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpServerRequest } from "effect/http"
import { UnsupportedMediaType, Unreadable } from "../api/Problems.ts"
import { RawBody, RequestBytes } from "../api/RawBody.ts"
import { isJson } from "../domain/ContentType.ts"
import { readBytes, refusedEncoding } from "./JsonBodyLayer.ts"

/** Provides each endpoint that takes bytes with the body. */
export const RawBodyLayer = Layer.effect(
  RawBody,
  Effect.gen(function* () {
    const bytesMax = Number((yield* HttpIncomingMessage.MaxBodySize) ?? Infinity)
    const body = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const contentType = request.headers["content-type"]?.trim() ?? ""
      if (!isContentType.test(contentType)) return yield* contentTypeNeeded
      const encoding = refusedEncoding(request.headers)
      if (encoding !== undefined) return yield* encoding
      const bytes = yield* readBytes(request, bytesMax)
      if (saysUtf8(contentType) && !isUtf8(bytes)) {
        return yield* new Unreadable({ detail: "The body is not UTF-8, which its type says" })
      }
      return RequestBytes.of({ bytes, contentType })
    })
    return (httpEffect) =>
      Effect.flatMap(body, (read) => Effect.provideService(httpEffect, RequestBytes, read))
  })
)

const contentTypeNeeded = new UnsupportedMediaType({
  detail: "Name the content-type of the payload; receivers are told it"
})

/** A media type with parameters: RFC 9110, section 8.3.1. */
const isContentType = /^(?=.{1,256}$)[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\x20-\x7e]*)?$/

const saysUtf8 = (contentType: string): boolean =>
  isJson(contentType) || /;\s*charset\s*=\s*"?utf-8"?\s*(?:;|$)/i.test(contentType)

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    utf8.decode(bytes)
    return true
  } catch {
    return false
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })
