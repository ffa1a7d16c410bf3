/**
 * Lives through many histories on several cores, each core taking the next seed when it is free.
 */
import { Worker } from "node:worker_threads"
import type { Result } from "./History.ts"

/** What a worker answers: the history of a seed, and its hash when it was lived through again. */
export interface Answer {
  readonly result: Result
  readonly again: number | null
}

/** Runs seeds from `from` on, until `onResult` answers false. */
export const run = async (options: {
  readonly script: URL
  readonly workers: number
  readonly from: number
  readonly seeds: number
  readonly onResult: (answer: Answer) => boolean
}): Promise<void> => {
  const { from, onResult, script, seeds, workers } = options
  let next = from
  let goesOn = true
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const worker = new Worker(script)
      try {
        while (goesOn && next < from + seeds) {
          const seed = next++
          const answer = await ask(worker, seed)
          if (goesOn) goesOn = onResult(answer)
        }
      } finally {
        await worker.terminate()
      }
    })
  )
}

const ask = (worker: Worker, seed: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    worker.once("error", reject)
    worker.once("message", (answer: Answer) => {
      worker.removeListener("error", reject)
      resolve(answer)
    })
    worker.postMessage(seed)
  })
