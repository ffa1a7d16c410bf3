/**
 * Where log lines go and how they look: JSON or logfmt for machines, pretty for a terminal.
 *
 * A line that repeats while an outage lasts is written ever more rarely; see `Throttle`.
 */
import { Console, Effect, Layer, Logger, type LogLevel, References } from "effect"
import { type Kind, kinds } from "./Log.ts"
import { formats } from "./LogFormat.ts"
import * as LogLine from "./LogLine.ts"
import * as Throttle from "./Throttle.ts"

/** How log lines look and which are written. */
export interface LoggingOptions {
  readonly format: keyof typeof formats
  readonly level: LogLevel.LogLevel
  /** Where lines go: to `error` where the standard output is what a command answers. `output` by default. */
  readonly to?: "output" | "error"
}

/** Replaces the loggers below by one in the given format, on the console. */
export const layer = (options: LoggingOptions) =>
  Layer.merge(
    Layer.unwrap(
      Effect.sync(() => Logger.layer([make(formats[options.format], options.to ?? "output")]))
    ),
    Layer.succeed(References.MinimumLogLevel, options.level)
  )

/** Makes a logger that renders lines and writes them to the console. */
const make = (
  format: (line: LogLine.LogLine) => string,
  to: "output" | "error"
): Logger.Logger<unknown, void> => {
  const throttle = Throttle.make()
  return Logger.make((options) => {
    const line = LogLine.of(options)
    const standsFor = isRepeating(line) ? throttle(line.event, options.date.getTime()) : 1
    if (standsFor === null) return
    const fields =
      standsFor === 1 ? line.fields : [...line.fields, ["repeated", standsFor] as const]
    const console = options.fiber.getRef(Console.Console)
    console[to === "error" ? "error" : "log"](format({ ...line, fields }))
  })
}

/** Holds back in another logger what repeats, as the console's does. */
export const throttled = (logger: Logger.Logger<unknown, void>): Logger.Logger<unknown, void> => {
  const throttle = Throttle.make()
  return Logger.make((options) => {
    const line = LogLine.of(options)
    if (isRepeating(line) && throttle(line.event, options.date.getTime()) === null) return
    // Lines of libraries may hold anything; only their words leave, in the form that is safe.
    logger.log({ ...options, message: line.message })
  })
}

const isRepeating = (
  line: LogLine.LogLine
): line is LogLine.LogLine & { event: keyof typeof kinds } => {
  if (line.event === undefined) return false
  const kind: Kind = kinds[line.event]
  return kind.repeats === true
}
