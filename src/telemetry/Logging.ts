/**
 * Where log lines go and how they look: JSON or logfmt for machines, pretty for a terminal.
 */
import { Layer, Logger, type LogLevel, References } from "effect"

/** How log lines look and which are written. */
export interface LoggingOptions {
  readonly format: "json" | "logfmt" | "pretty"
  readonly level: LogLevel.LogLevel
}

/** Replaces the loggers below by one in the given format. */
export const layer = (options: LoggingOptions) =>
  Layer.merge(
    Logger.layer([loggers[options.format]()]),
    Layer.succeed(References.MinimumLogLevel, options.level)
  )

const loggers = {
  json: () => Logger.consoleJson,
  logfmt: () => Logger.consoleLogFmt,
  pretty: () => Logger.consolePretty()
} as const
