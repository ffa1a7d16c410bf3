/**
 * Every line that the log can hold: its stable name, level and words, and the fields it may carry.
 *
 * Promises: a field that is not named here cannot be logged, so that no secret, header or body gets
 * into the log by being handed over with the rest; text is escaped and cut before it goes anywhere.
 *
 * Levels: a state that changes is `Info`, one that people should look at `Warn`, a fault of ours
 * `Error`, and what happens for each attempt `Debug`.
 */
import { type Cause, Effect, type LogLevel } from "effect"
import { safeText } from "./SafeText.ts"

/** A kind of line. */
export interface Kind {
  readonly level: Extract<LogLevel.LogLevel, "Debug" | "Info" | "Warn" | "Error">
  /** What the line says. */
  readonly says: string
  /** Comes again and again while something lasts, so that it is written ever more rarely. */
  readonly repeats?: true
}

/** The kinds of lines, by the name that their `event` is. */
export const kinds = {
  attempt_made: { level: "Debug", says: "An attempt was made" },
  circuit_opened: { level: "Info", says: "The circuit of a webhook opened: nothing is sent" },
  circuit_closed: { level: "Info", says: "The circuit of a webhook closed: deliveries go out" },
  delivery_exhausted: { level: "Info", says: "A delivery is exhausted" },
  webhook_failing: { level: "Warn", says: "A webhook is failing" },
  webhook_warning: { level: "Warn", says: "A webhook will be disabled if it keeps failing" },
  webhook_disabled: { level: "Warn", says: "A webhook is disabled" },
  webhook_recovered: { level: "Info", says: "A webhook has recovered" },
  webhook_paused: { level: "Info", says: "A webhook is paused" },
  webhook_resumed: { level: "Info", says: "A webhook is resumed" },
  webhook_deleted: { level: "Info", says: "A webhook is deleted" },
  hold_begun: { level: "Warn", says: "All sending is held" },
  hold_ended: { level: "Info", says: "Sending goes on" },
  hold_waiting: {
    level: "Warn",
    says: "Looking for a hold waits for the store",
    repeats: true
  },
  engine_waiting: { level: "Warn", says: "Another engine owns the deliveries, this one waits" },
  engine_owning: { level: "Info", says: "This engine owns the deliveries" },
  engine_lost: {
    level: "Warn",
    says: "The session that owns the deliveries was lost, another is made",
    repeats: true
  },
  engine_regained: { level: "Info", says: "This engine goes on owning the deliveries" },
  engine_recovered: { level: "Info", says: "Deliveries of an earlier run are due" },
  engine_stopping: { level: "Info", says: "Finishing attempts in flight" },
  guard_refused: { level: "Warn", says: "A name leads where requests may not go" },
  egress_failing: {
    level: "Warn",
    says: "The egress proxy fails, deliveries wait for it",
    repeats: true
  },
  egress_recovered: { level: "Info", says: "The egress proxy works again" },
  due_waiting: { level: "Warn", says: "Due deliveries wait for the store", repeats: true },
  settlements_waiting: { level: "Warn", says: "Attempts wait to be written", repeats: true },
  sweep_waiting: {
    level: "Warn",
    says: "Looking for lost deliveries waits for the store",
    repeats: true
  },
  due_put_off: {
    level: "Error",
    says: "Due deliveries could not be looked for and are put off",
    repeats: true
  },
  sweep_put_off: {
    level: "Error",
    says: "Looking for lost deliveries met a defect and is put off",
    repeats: true
  },
  messages_removed: { level: "Info", says: "Messages that were settled long ago are removed" },
  retention_waiting: {
    level: "Warn",
    says: "Removing old messages waits for the store",
    repeats: true
  },
  upkeep_waiting: { level: "Warn", says: "Upkeep waits for the store", repeats: true },
  erasure_waiting: {
    level: "Warn",
    says: "Removing a tenant's records waits for the store",
    repeats: true
  },
  notices_waiting: {
    level: "Warn",
    says: "Operational messages wait to be published",
    repeats: true
  },
  notice_lost: { level: "Error", says: "An operational message cannot be published" },
  redelivery_ended: { level: "Info", says: "A bulk redelivery has ended" },
  redelivery_put_off: {
    level: "Error",
    says: "A bulk redelivery is put off",
    repeats: true
  },
  delivery_put_off: {
    level: "Error",
    says: "A delivery could not be handled and is put off",
    repeats: true
  },
  lane_restarted: { level: "Error", says: "A lane met a defect and is restarted", repeats: true },
  listener_died: { level: "Error", says: "A listener of changes died", repeats: true },
  deadline_unkept: { level: "Error", says: "A deadline could not be kept", repeats: true },
  request_failed: { level: "Error", says: "A request failed", repeats: true },
  store_waiting: { level: "Debug", says: "A request found the store away", repeats: true },
  store_refused: { level: "Error", says: "The store refused a request", repeats: true },
  counting_waiting: {
    level: "Warn",
    says: "Counting attempts waits for the store",
    repeats: true
  },
  key_use_unnoted: { level: "Warn", says: "The use of an API key was not noted", repeats: true },
  secret_unreadable: { level: "Error", says: "A webhook's secret cannot be read" },
  schema_migrated: { level: "Info", says: "Migrated the database" },
  database_lossy: {
    level: "Warn",
    says: "Postgres may lose commits that it answered, on a loss of power"
  },
  failpoint_armed: { level: "Warn", says: "This process will kill itself, as a test asked it to" },
  directory_taken: {
    level: "Warn",
    says: "Took over the data directory of a process that has ended"
  },
  pglite_reopened: { level: "Error", says: "The embedded database ended and is opened again" },
  pglite_unclean: { level: "Warn", says: "The embedded database did not close cleanly" },
  pglite_unkept: {
    level: "Warn",
    says: "The embedded database was not looked after",
    repeats: true
  }
} as const satisfies Record<string, Kind>

/** The name of a kind of line. */
export type Event = keyof typeof kinds

/** All that a line may carry beside its event: ids, numbers, closed lists and reasons; no value of a user. */
const fieldTypes = {
  webhook: "text",
  tenant: "text",
  delivery: "text",
  redelivery: "text",
  attempt: "number",
  class: "text",
  status: "number",
  durationMs: "number",
  verdict: "text",
  failures: "number",
  share: "number",
  until: "text",
  count: "number",
  days: "number",
  epoch: "number",
  holder: "text",
  reason: "text",
  requestId: "text",
  method: "text",
  path: "text",
  migration: "text",
  directory: "text",
  pid: "number",
  host: "text",
  address: "text",
  rule: "text",
  secret: "text",
  what: "text"
} as const

/** The fields of a line, by name. */
export type Fields = {
  readonly [name in keyof typeof fieldTypes]?: (typeof fieldTypes)[name] extends "text"
    ? string
    : number | null
}

/** The names of the fields, for whoever writes lines out: any other annotation is left out. */
export const fieldNames: ReadonlySet<string> = new Set(Object.keys(fieldTypes))

/** Writes one line, with what caused it where something did. */
export const log = (
  event: Event,
  fields: Fields = {},
  cause?: Cause.Cause<unknown>
): Effect.Effect<void> => {
  const { level, says }: Kind = kinds[event]
  const safe: Record<string, unknown> = { event }
  for (const [name, value] of Object.entries(fields)) {
    safe[name] = typeof value === "string" ? safeText(value) : value
  }
  const line =
    cause === undefined ? Effect.logWithLevel(level)(says) : Effect.logWithLevel(level)(says, cause)
  return Effect.annotateLogs(line, safe)
}
