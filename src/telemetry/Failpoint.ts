/**
 * Steps at which a test may kill this process: what a power switch does, at a place of one's choosing.
 *
 * `reach` does nothing unless the step was armed, which only `POSTHASTE_FAILPOINT` does: one comparison
 * with `undefined`. `test/process/failpoints.test.ts` kills the service at every one of them.
 */
import { Effect } from "effect"
import { log } from "./Log.ts"

/** Every step, by the part that passes it. A name stands in one place of the code and nowhere else. */
export const failpoints = [
  // Opening.
  "directory.claimed",
  "directory.replaced",
  "pglite.made",
  "keyfile.written",
  "keyfile.placed",
  "database.opened",
  "migration.locked",
  "migration.ran",
  "migration.recorded",
  "migration.committed",
  "ownership.locked",
  "ownership.taken",
  "partition.created",
  "upkeep.prepared",
  "upkeep.expired",
  "recovery.begun",
  "recovery.committed",
  "recovery.planned",
  "firststart.tenant",
  "firststart.key_written",
  "firststart.key_placed",
  "firststart.key_taken",
  // Publishing.
  "publish.judged",
  "publish.reserved",
  "publish.written",
  "publish.rejected",
  "publish.committed",
  "publish.handed",
  "publish.repeated",
  "publish.answering",
  "publish.batch_committed",
  "publish.batch_answering",
  // Sending.
  "send.taken",
  "send.dispatching",
  "send.status",
  "send.ended",
  "send.answered",
  "send.pulled",
  "send.parking",
  "send.parked",
  "send.expired",
  "send.roused",
  "send.cancelled",
  "send.redelivered",
  "send.resumed",
  "send.held",
  "send.released",
  // Settling.
  "settle.decided",
  "settle.writing",
  "settle.committed",
  "settle.announced",
  "settle.written",
  "settle.forgotten",
  "settle.stopping",
  "notice.pulled",
  "notice.published",
  "notice.removed",
  // What people change.
  "webhook.written",
  "webhook.committed",
  "erasure.retired",
  "erasure.emptied",
  "erasure.purged",
  "redelivery.created",
  "redelivery.stepped",
  "redelivery.ended",
  "rotation.read",
  "rotation.secrets",
  "rotation.parts",
  // Keeping in shape.
  "retention.surveyed",
  "retention.detached",
  "retention.dropping",
  "retention.messages",
  "retention.attempts",
  "retention.locked",
  "retention.removed",
  "retention.jobs",
  // Ending.
  "shutdown.begun",
  "shutdown.draining",
  "shutdown.drained",
  "shutdown.closing"
] as const

/** The name of a step. */
export type Failpoint = (typeof failpoints)[number]

/** A step, and at which time of passing it the process ends. */
export interface Armed {
  readonly name: Failpoint
  readonly hit: number
}

let armed: { readonly name: Failpoint; left: number } | undefined

/** Ends this process at once, without a word to anybody, if this step is the armed one. */
export const reach = (name: Failpoint): void => {
  if (armed !== undefined) pass(armed, name)
}

const pass = (at: { readonly name: Failpoint; left: number }, name: Failpoint): void => {
  if (at.name === name && --at.left === 0) process.kill(process.pid, "SIGKILL")
}

/** Reads `name` or `name:hit`; undefined when there is no such step. */
export const parse = (text: string): Armed | undefined => {
  const [, name, hit = "1"] = /^([a-z_.]+)(?::([1-9]\d{0,8}))?$/.exec(text) ?? []
  const found = failpoints.find((one) => one === name)
  return found === undefined ? undefined : { name: found, hit: Number(hit) }
}

/** Arms a step for the rest of this process's life, and says so in the log. */
export const arm = ({ hit, name }: Armed): Effect.Effect<void> =>
  Effect.suspend(() => {
    armed = { name, left: hit }
    return log("failpoint_armed", { what: `${name}:${hit}` })
  })
