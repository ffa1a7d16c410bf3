/**
 * The outermost layer of every answer: the request's id, the headers that all answers have, and a
 * problem in place of whatever escaped.
 *
 * A caller's own `x-request-id` is kept when it is short and plain. Every problem carries the id; a
 * fault is logged with its cause under the same id, and its answer says nothing else.
 */
import { Cause, Clock, Effect } from "effect"
import {
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
  ProblemDetails
} from "effect/http"
import { InternalError, MethodNotAllowed, RouteNotFound, Unreadable } from "../api/Problems.ts"
import { BodyTooLarge } from "../domain/Message.ts"
import { Ids } from "../store/Ids.ts"
import { log } from "../telemetry/Log.ts"
import { Draining } from "./Draining.ts"
import { methodsAt } from "./Methods.ts"
import { RequestId } from "./RequestId.ts"
import * as RequestMetrics from "./RequestMetrics.ts"

/** Wraps every route of the router that it is built with. */
export const Edge = HttpRouter.middleware(
  Effect.gen(function* () {
    const ids = yield* Ids
    const draining = yield* Draining
    const clock = yield* Clock.Clock
    const measure = yield* RequestMetrics.make
    const newRequestId = Effect.map(
      ids.bytes(12),
      (bytes) => `req_${Buffer.from(bytes).toString("base64url")}`
    )
    const idOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<string> => {
      const given = request.headers["x-request-id"]
      return given !== undefined && /^[\w.:-]{1,64}$/.test(given)
        ? Effect.succeed(given)
        : newRequestId
    }
    const finished = (response: HttpServerResponse.HttpServerResponse, requestId: string) =>
      draining.begun()
        ? HttpServerResponse.setHeader(finish(response, requestId), "connection", "close")
        : finish(response, requestId)
    return (httpEffect) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        Effect.flatMap(idOf(request), (requestId) => {
          const begunAt = clock.currentTimeNanosUnsafe()
          const answer = (response: HttpServerResponse.HttpServerResponse) =>
            Effect.as(
              measure(request.method, response.status, begunAt),
              finished(response, requestId)
            )
          const answered = Effect.matchCauseEffect(httpEffect, {
            onSuccess: answer,
            onFailure: (cause) =>
              Cause.hasInterruptsOnly(cause)
                ? Effect.failCause(cause)
                : Effect.flatMap(escaped(cause, request, requestId), answer)
          })
          return Effect.provideService(answered, RequestId, requestId)
        })
      )
  }),
  { global: true }
)

/** Answers a failure that no endpoint declares. */
const escaped = (
  cause: Cause.Cause<unknown>,
  request: HttpServerRequest.HttpServerRequest,
  requestId: string
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const refusal = refusalOf(cause, request)
  return refusal !== undefined
    ? HttpServerRespondable.toResponse(refusal)
    : Effect.andThen(
        log(
          "request_failed",
          { requestId, method: request.method, path: pathOf(request.url) },
          cause
        ),
        HttpServerRespondable.toResponse(new InternalError())
      )
}

const refusalOf = (cause: Cause.Cause<unknown>, request: HttpServerRequest.HttpServerRequest) => {
  const error = Cause.squash(cause)
  if (!HttpServerError.isHttpServerError(error)) return undefined
  switch (error.reason._tag) {
    case "RouteNotFound": {
      const allow = methodsAt(pathOf(request.url))
      // The router finds nothing either where a part of the path is badly encoded.
      return allow.length === 0 || allow.includes(request.method)
        ? new RouteNotFound()
        : new MethodNotAllowed({ allow })
    }
    case "RequestParseError":
      return error.reason.reason === "BodyTooLarge" ? new BodyTooLarge() : new Unreadable()
    case "InternalError":
    case "ResponseError":
      return undefined
  }
}

const pathOf = (url: string): string => url.split(/[?#]/, 1)[0] ?? url

const finish = (
  response: HttpServerResponse.HttpServerResponse,
  requestId: string
): HttpServerResponse.HttpServerResponse =>
  response.headers["content-type"] === ProblemDetails.contentType
    ? problem(response, requestId)
    : HttpServerResponse.setHeaders(response, {
        ...(response.headers["cache-control"] === undefined ? headers : sniffless),
        "x-request-id": requestId
      })

const sniffless = { "x-content-type-options": "nosniff" } as const
/** Of answers that do not say themselves how long they may be kept. */
const headers = { ...sniffless, "cache-control": "no-store" } as const

/** Adds the id to a problem's members, and says in headers what HTTP wants said there. */
const problem = (
  response: HttpServerResponse.HttpServerResponse,
  requestId: string
): HttpServerResponse.HttpServerResponse => {
  if (response.body._tag !== "Uint8Array") return response
  const members: Members = JSON.parse(new TextDecoder().decode(response.body.body))
  const { type, title, status, detail, code, ...rest } = members
  const ordered = { type, title, status, detail, code, ...rest, requestId }
  return HttpServerResponse.text(JSON.stringify(ordered), {
    status: response.status,
    contentType: ProblemDetails.contentType,
    headers: {
      ...headers,
      "x-request-id": requestId,
      ...(members.allow === undefined ? {} : { allow: members.allow.join(", ") }),
      ...(members.retryAfterSeconds === undefined
        ? {}
        : { "retry-after": String(members.retryAfterSeconds) }),
      ...(response.status === 401 ? { "www-authenticate": "Bearer" } : {})
    }
  })
}

/** The members of our problems that go first, or have a header of their own. */
interface Members {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly code: string
  readonly allow?: ReadonlyArray<string>
  readonly retryAfterSeconds?: number
}
