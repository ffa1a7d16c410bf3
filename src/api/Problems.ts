/**
 * Refusals that belong to HTTP alone, and the middleware that declares them for endpoints.
 *
 * A pointer names a place in the body (`/url`); a query parameter or a header is named below
 * `/query` and `/headers`.
 */
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Schema from "effect/Schema"
import { Overloaded } from "../domain/Message.ts"
import { problem, ProblemItem } from "../domain/Problem.ts"

/** The request is readable but says something that it may not; `errors` names each place. */
export class InvalidInput extends problem<InvalidInput>()(
  "InvalidInput",
  { code: "invalid_input", status: 422, title: "The input is invalid" },
  { errors: Schema.Array(ProblemItem) }
) {}

/** The body is not UTF-8, not JSON, or nested too deeply. */
export class Unreadable extends problem<Unreadable>()("Unreadable", {
  code: "unreadable",
  status: 400,
  title: "The body cannot be read"
}) {}

/** The body is of another media type, or encoded. */
export class UnsupportedMediaType extends problem<UnsupportedMediaType>()("UnsupportedMediaType", {
  code: "unsupported_media_type",
  status: 415,
  title: "The body must be application/json, not encoded"
}) {}

/** Nothing is at this path. */
export class RouteNotFound extends problem<RouteNotFound>()("RouteNotFound", {
  code: "route_not_found",
  status: 404,
  title: "Nothing is at this path"
}) {}

/** The path exists, with other methods. */
export class MethodNotAllowed extends problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  { code: "method_not_allowed", status: 405, title: "The path takes other methods" },
  { allow: Schema.Array(Schema.String) }
) {}

/** The store could not be reached or asked for patience. Nothing is known to be written. */
export class StoreUnavailable extends problem<StoreUnavailable>()(
  "StoreUnavailable",
  { code: "store_unavailable", status: 503, title: "The store is unavailable; try again" },
  { retryAfterSeconds: Schema.Int }
) {}

/** A fault of ours. The log has its cause under the request's id. */
export class InternalError extends problem<InternalError>()("InternalError", {
  code: "internal_error",
  status: 500,
  title: "Something went wrong here"
}) {}

/** Declares what any endpoint may answer: input that its schemas refuse, too much, and faults of ours. */
export class RequestProblems extends HttpApiMiddleware.Service<RequestProblems>()(
  "posthaste/api/RequestProblems",
  { error: [InvalidInput, InternalError, Overloaded, StoreUnavailable] }
) {}
