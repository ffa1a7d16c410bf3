/**
 * Reads a request's body: media type, size, UTF-8, JSON and depth, in this order.
 *
 * The size limit is the server's (`HttpIncomingMessage.MaxBodySize`). A body that announces more is
 * refused before a byte of it is read.
 */
import { Effect, Layer } from "effect"
import {
  type Headers,
  HttpIncomingMessage,
  type HttpServerError,
  HttpServerRequest
} from "effect/http"
import { JsonBody, RequestBody } from "../api/JsonBody.ts"
import { Unreadable, UnsupportedMediaType } from "../api/Problems.ts"
import { BodyTooLarge } from "../domain/Message.ts"
import { scan, slice } from "./JsonSlice.ts"

/** The deepest nesting of arrays and objects that is read. */
export const depthMax = 64

/** Provides each endpoint that takes a body with the body. */
export const JsonBodyLayer = Layer.effect(
  JsonBody,
  Effect.gen(function* () {
    const bytesMax = Number((yield* HttpIncomingMessage.MaxBodySize) ?? Infinity)
    const body = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      read(request, bytesMax)
    )
    return (httpEffect) =>
      Effect.flatMap(body, (read) => Effect.provideService(httpEffect, RequestBody, read))
  })
)

/** Refuses what the headers tell is not to be read. */
const refusal = (headers: Headers.Headers): UnsupportedMediaType | undefined => {
  if (!isJson(headers["content-type"])) {
    return new UnsupportedMediaType({ detail: "Send content-type: application/json" })
  }
  return refusedEncoding(headers)
}

/** Refuses a body that comes encoded. */
export const refusedEncoding = (headers: Headers.Headers): UnsupportedMediaType | undefined =>
  headers["content-encoding"] === undefined || headers["content-encoding"] === "identity"
    ? undefined
    : new UnsupportedMediaType({ detail: "Send the body without content-encoding" })

/** Reads a whole body, unless it is larger than so many bytes. */
export const readBytes = (
  request: HttpServerRequest.HttpServerRequest,
  bytesMax: number
): Effect.Effect<Uint8Array, Unreadable | BodyTooLarge> =>
  Number(request.headers["content-length"]) > bytesMax
    ? Effect.fail(tooLarge(bytesMax))
    : Effect.mapBoth(request.arrayBuffer, {
        onFailure: (error) =>
          isTooLarge(error)
            ? tooLarge(bytesMax)
            : new Unreadable({ detail: "The body ended before its announced length" }),
        onSuccess: (buffer) => new Uint8Array(buffer)
      })

const read = (
  request: HttpServerRequest.HttpServerRequest,
  bytesMax: number
): Effect.Effect<RequestBody["Service"], Unreadable | UnsupportedMediaType | BodyTooLarge> => {
  const refused = refusal(request.headers)
  return refused !== undefined
    ? Effect.fail(refused)
    : Effect.flatMap(readBytes(request, bytesMax), (bytes) => {
        const body = parse(bytes)
        return body instanceof Unreadable ? Effect.fail(body) : Effect.succeed(body)
      })
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const parse = (bytes: Uint8Array): RequestBody["Service"] | Unreadable => {
  if (bytes.length === 0) return { bytes, text: "", json: undefined, slice: () => undefined }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return new Unreadable({ detail: "The body is not UTF-8" })
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return new Unreadable({ detail: "The body is not JSON" })
  }
  const found = scan(text)
  return found.depth > depthMax
    ? new Unreadable({ detail: `The body is nested deeper than ${depthMax} levels` })
    : { bytes, text, json, slice: (key) => slice(text, found, key) }
}

/** JSON is what the type says, or what is taken for granted when none is said. */
const isJson = (contentType: string | undefined): boolean =>
  contentType === undefined ||
  contentType === "application/json" ||
  /^\s*application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(contentType)

const tooLarge = (bytesMax: number) =>
  new BodyTooLarge({ detail: `The body is larger than ${bytesMax} bytes` })

const isTooLarge = (error: HttpServerError.HttpServerError): boolean =>
  error.reason._tag === "RequestParseError" && error.reason.reason === "BodyTooLarge"
