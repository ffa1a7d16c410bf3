/**
 * Renders log lines: JSON and logfmt for machines, one line each; pretty for people at a terminal.
 */
import type { LogLine } from "./LogLine.ts"

/** Renders a line as one JSON object, its fields beside the words. */
const json = ({ cause, event, fields, level, message, timestamp }: LogLine): string =>
  JSON.stringify({
    timestamp,
    level,
    event,
    message,
    ...Object.fromEntries(fields),
    ...(cause === undefined ? {} : { cause })
  })

/** Renders a line as `name=value`, quoted where needed. */
const logfmt = ({ cause, event, fields, level, message, timestamp }: LogLine): string =>
  [
    ["timestamp", timestamp] as const,
    ["level", level] as const,
    ...(event === undefined ? [] : [["event", event] as const]),
    ["message", message] as const,
    ...fields,
    ...(cause === undefined ? [] : [["cause", cause] as const])
  ]
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(" ")

const quoted = (value: unknown): string => {
  const text = String(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)
}

/** Renders a line as people read it: time of day, level, words, fields, cause below. */
const pretty = ({ cause, fields, level, message, timestamp }: LogLine): string => {
  const rest = fields.map(([name, value]) => ` ${name}=${quoted(value)}`).join("")
  const head = `${timestamp.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${message}${rest}`
  return cause === undefined ? head : `${head}\n${cause.replaceAll(/^/gm, "    ")}`
}

/** The formats by name. */
export const formats = { json, logfmt, pretty } as const
