/**
 * The body of a request that has one: read once, within a limit, as JSON.
 */
import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import { BodyTooLarge } from "../domain/Message.ts"
import { Unreadable, UnsupportedMediaType } from "./Problems.ts"

/** A body that was read: UTF-8, valid JSON, not nested too deeply. */
export class RequestBody extends Context.Service<
  RequestBody,
  {
    readonly bytes: Uint8Array
    /** The same as text; empty when the request has no body. */
    readonly text: string
    /** The same parsed; undefined when the request has no body. */
    readonly json: unknown
    /** The text of one member of the top-level object, exactly as it was written. */
    readonly slice: (key: string) => string | undefined
  }
>()("posthaste/api/RequestBody") {}

/** Reads the body before the endpoint's schemas see it, and provides it. */
export class JsonBody extends HttpApiMiddleware.Service<JsonBody, { provides: RequestBody }>()(
  "posthaste/api/JsonBody",
  { error: [Unreadable, UnsupportedMediaType, BodyTooLarge] }
) {}
