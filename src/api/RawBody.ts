/**
 * The body of a request that is a payload itself: read once, within a limit, as bytes.
 */
import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import { BodyTooLarge } from "../domain/Message.ts"
import { Unreadable, UnsupportedMediaType } from "./Problems.ts"

/** A payload that was read, with the content type that its sender named. */
export class RequestBytes extends Context.Service<
  RequestBytes,
  {
    readonly bytes: Uint8Array
    readonly contentType: string
  }
>()("posthaste/api/RequestBytes") {}

/** Reads the body before the endpoint sees it, and provides it. */
export class RawBody extends HttpApiMiddleware.Service<RawBody, { provides: RequestBytes }>()(
  "posthaste/api/RawBody",
  { error: [Unreadable, UnsupportedMediaType, BodyTooLarge] }
) {}
