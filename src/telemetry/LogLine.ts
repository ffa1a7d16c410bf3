/**
 * A log line before it is rendered: what may be shown of it, in the order in which it is shown.
 */
import { Cause, type Logger, References } from "effect"
import { type Event, fieldNames, kinds } from "./Log.ts"
import { safeText } from "./SafeText.ts"

/** One line. */
export interface LogLine {
  readonly timestamp: string
  readonly level: string
  /** Missing on lines of libraries. */
  readonly event: Event | undefined
  readonly message: string
  readonly fields: ReadonlyArray<readonly [name: string, value: unknown]>
  /** What it was caused by, several lines. */
  readonly cause: string | undefined
}

/** Reads a line from what a logger is given. */
export const of = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>): LogLine => {
  const annotations = fiber.getRef(References.CurrentLogAnnotations)
  const { span } = fiber.cache
  return {
    timestamp: date.toISOString(),
    level: logLevel.toLowerCase(),
    event: isEvent(annotations["event"]) ? annotations["event"] : undefined,
    message: safeText(textOf(message)),
    fields: [
      ...Object.entries(annotations)
        .filter(([name]) => fieldNames.has(name))
        .map(([name, value]) => [name, plain(value)] as const),
      ...(span?.sampled === true
        ? ([
            ["trace", span.traceId],
            ["span", span.spanId]
          ] as const)
        : [])
    ],
    cause: cause.reasons.length === 0 ? undefined : causeOf(cause)
  }
}

const isEvent = (name: unknown): name is Event => typeof name === "string" && name in kinds

/** The words of a line. What else was handed over with them may be anything, and is left out. */
const textOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => (part instanceof Error ? part.message : part))
    .filter((part) => typeof part === "string" || typeof part === "number")
    .join(" ")

const plain = (value: unknown): unknown =>
  typeof value === "string"
    ? safeText(value)
    : typeof value === "number" || typeof value === "boolean" || value === null
      ? value
      : "<not shown>"

const causeLinesMax = 20

const causeOf = (cause: Cause.Cause<unknown>): string =>
  Cause.pretty(cause)
    .split("\n", causeLinesMax)
    .map((line) => safeText(line, 300))
    .join("\n")
