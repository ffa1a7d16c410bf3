/**
 * Lets only what is on a list into spans: no header, query, URL or text of a user.
 */
import { Cause, Exit, Tracer } from "effect"
import { safeText } from "./SafeText.ts"

/** The attributes that a span may have. */
const allowed: ReadonlySet<string> = new Set([
  "http.request.method",
  "http.response.status_code",
  "http.route",
  "db.system.name",
  "db.operation.name",
  "posthaste.message",
  "posthaste.webhook",
  "posthaste.delivery",
  "posthaste.attempt",
  "posthaste.class"
])

/** A tracer whose spans hold nothing else, and say of a failure its kind and a safe message. */
export const only = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    ...tracer,
    span: (options) => {
      const span = tracer.span(options)
      const attribute = span.attribute.bind(span)
      const end = span.end.bind(span)
      span.attribute = (key, value) => {
        if (allowed.has(key)) attribute(key, typeof value === "string" ? safeText(value) : value)
      }
      span.event = ignored
      span.end = (endTime, exit) => end(endTime, Exit.isSuccess(exit) ? exit : safe(exit.cause))
      return span
    }
  })

/** Events are what somebody said on the way, such as log lines, which have a way of their own. */
const ignored = (): void => {}

const safe = (cause: Cause.Cause<unknown>): Exit.Exit<never, Error> => {
  if (Cause.hasInterruptsOnly(cause)) return Exit.interrupt()
  const squashed = Cause.squash(cause)
  const error = new Error(safeText(squashed instanceof Error ? squashed.message : "failed"))
  error.name = squashed instanceof Error ? squashed.name : "Failure"
  error.stack = error.name
  return Exit.fail(error)
}
