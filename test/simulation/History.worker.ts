/**
 * Lives through the histories of the seeds that it is sent; each hundredth twice, as proof that a seed
 * repeats itself.
 */
import { Effect } from "effect"
import { parentPort } from "node:worker_threads"
import * as History from "./History.ts"
import type { Answer } from "./Workers.ts"

// Stores that are away for days fail thousands of times, and nobody reads where.
Error.stackTraceLimit = 0

const port = parentPort
port?.on("message", async (seed: number) => {
  const result = await Effect.runPromise(History.run(seed))
  const again = seed % 100 === 0 ? (await Effect.runPromise(History.run(seed))).hash : null
  const answer: Answer = { result, again }
  port.postMessage(answer)
})
