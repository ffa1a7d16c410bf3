/**
 * Lives through many histories on several cores, each core taking the next seed when it is free.
 */
import { Worker } from "node:worker_threads"
import { broken, type Result } from "./History.ts"

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
      let worker = new Worker(script)
      try {
        while (goesOn && next < from + seeds) {
          const seed = next++
          const answer = await ask(worker, seed)
          if (answer === null) {
            await worker.terminate()
            worker = new Worker(script)
          }
          if (goesOn)
            goesOn = onResult(answer ?? { result: broken(seed, "stands still"), again: null })
        }
      } finally {
        await worker.terminate()
      }
    })
  )
}

/** Null when there is no answer for so long that the history turns in a circle. */
const ask = (worker: Worker, seed: number): Promise<Answer | null> =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => end(null), answerMs)
    const end = (answer: Answer | null) => {
      clearTimeout(late)
      // Only ours: a worker hears its thread by listeners of its own.
      worker.off("message", end).off("error", reject)
      resolve(answer)
    }
    worker.once("error", reject)
    worker.once("message", end)
    worker.postMessage(seed)
  })

/** Many times as long as the longest history takes, also on a busy machine. */
const answerMs = 300_000
