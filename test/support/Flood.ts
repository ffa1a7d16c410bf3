/**
 * Offers a service more than it can take, from a process of its own, at a rate that does not follow the
 * answers.
 */
import { spawn } from "node:child_process"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"

/** What to send, where, and how fast. */
export interface FloodPlan {
  readonly port: number
  readonly path: string
  readonly key: string
  readonly body: string
  readonly connections: number
  /** Requests that one connection may have under way, once all have one. */
  readonly pipelined: number
  /** Requests a second, due at even times. */
  readonly perSecond: number
  readonly lastsMs: number
}

/** What came of it. Times are in milliseconds from when a request was due to its whole answer. */
export interface Flooded {
  readonly sent: number
  /** Requests that were due in the time and found no room on any connection. */
  readonly late: number
  /** How long sending took. */
  readonly lastedMs: number
  /** The ids of what was answered with 202. */
  readonly accepted: ReadonlyArray<string>
  readonly acceptedMs: ReadonlyArray<number>
  /** Of what was refused with 429 or 503, as a problem that says when to come back. */
  readonly refusedMs: ReadonlyArray<number>
  /** The first answers that were neither, and connections that broke. */
  readonly wrong: ReadonlyArray<string>
}

const child = fileURLToPath(new URL("./Flood.child.ts", import.meta.url))

/** Sends all of it, and waits for the answers. */
export const flood = async (plan: FloodPlan): Promise<Flooded> => {
  const sender = spawn(process.execPath, [child, JSON.stringify(plan)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  process.once("exit", () => sender.kill("SIGKILL"))
  const flooded: Flooded = JSON.parse(await text(sender.stdout))
  return flooded
}
