/**
 * What the command line says of a failure, on one line or few, and with which exit code it ends.
 *
 * | code | meaning |
 * | --- | --- |
 * | 0 | done |
 * | 1 | failed, or refused |
 * | 64 | not understood: an unknown word or flag |
 * | 66 | what was named does not exist |
 * | 69 | no service, or no database, answers |
 * | 70 | did not stop in time |
 * | 75 | another process works on the database: try again later |
 * | 78 | a setting is wrong |
 * | 130 | interrupted twice |
 *
 * Source: sysexits.h.
 */
import * as CliError from "effect/cli/CliError"
import * as Predicate from "effect/Predicate"

/** What is printed, and the exit code. */
export interface Report {
  /** Null where the command line has printed it already. */
  readonly text: string | null
  readonly exitCode: number
}

/** Reports a failure. */
export const report = (error: unknown): Report =>
  CliError.isCliError(error)
    ? { text: null, exitCode: 64 }
    : { text: textOf(error), exitCode: exitCodeOf(error) }

const exitCodes: Readonly<Record<string, number>> = {
  ServiceUnreachable: 69,
  StoreUnavailable: 69,
  DatabaseUnavailable: 69,
  DeliveriesOwned: 75,
  DirectoryLocked: 75,
  SettingInvalid: 78
}

const exitCodeOf = (error: unknown): number => {
  const tag = property(error, "_tag")
  if (typeof tag === "string" && exitCodes[tag] !== undefined) return exitCodes[tag]
  return property(error, "status") === 404 ? 66 : 1
}

/** Words a problem by its title, its detail and the places that it names; all else by its message. */
const textOf = (error: unknown): string => {
  const [title, detail, errors] = [
    property(error, "title"),
    property(error, "detail"),
    property(error, "errors")
  ]
  if (typeof title !== "string") return String(property(error, "message") ?? error)
  const head = typeof detail === "string" ? `${title}: ${detail}` : title
  const places = Array.isArray(errors)
    ? errors.map((place) => `  ${property(place, "pointer")}: ${property(place, "message")}`)
    : []
  return [head, ...places].join("\n")
}

const property = (value: unknown, name: string): unknown =>
  Predicate.hasProperty(value, name) ? value[name] : undefined
