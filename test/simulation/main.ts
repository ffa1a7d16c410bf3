/**
 * Runs simulations: `npm run simulate -- --seeds 2000` lives through 2,000 histories on all cores and
 * prints the rate and what broke a promise; `--from N` begins elsewhere. `--seed N` prints all that
 * happens in one. `--planted` plants each known bug in a copy of the sources and tells how soon it is
 * caught. Exits with 1 when a promise was broken, or a planted bug was not caught.
 */
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import type { Result } from "./History.ts"
import { inCopy } from "./Planting.ts"
import { planted } from "./planted.ts"
import * as Workers from "./Workers.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    planted: { type: "boolean", default: false },
    only: { type: "string" }
  }
})
const from = Number(values.from)
const seeds = Number(values.seeds)

const one = async (seed: number): Promise<void> => {
  const { run } = await import("./History.ts")
  const { lines, violations } = await Effect.runPromise(run(seed, true))
  for (const line of lines) console.log(line)
  process.exitCode = violations.length === 0 ? 0 : 1
}

const many = async (): Promise<void> => {
  const begunAt = performance.now()
  const failed: Array<Result> = []
  const total = { seeds: 0, messages: 0, requests: 0, engines: 0, hours: 0 }
  let unsteady = 0
  await Workers.run({
    script: new URL("./History.worker.ts", import.meta.url),
    workers: availableParallelism(),
    from,
    seeds,
    onResult: ({ result, again }) => {
      total.seeds++
      total.messages += result.messages
      total.requests += result.requests
      total.engines += result.engines
      total.hours += result.spanMs / 3_600_000
      if (again !== null && again !== result.hash) {
        unsteady++
        console.log(`seed ${result.seed}: ${result.hash} and then ${again}`)
      }
      if (result.violations.length > 0) {
        failed.push(result)
        console.log(`seed ${result.seed}: ${result.violations.slice(0, 3).join("; ")}`)
        console.log(`  npm run simulate -- --seed ${result.seed}`)
      }
      if (total.seeds % 500 === 0) console.log(`${total.seeds} seeds`)
      return true
    }
  })
  const tookS = (performance.now() - begunAt) / 1_000
  console.log(
    `${total.seeds} seeds in ${tookS.toFixed(0)} s (${(total.seeds / tookS).toFixed(1)} a second): ` +
      `${total.engines} engines, ${total.messages} messages kept, ${total.requests} requests, ` +
      `${total.hours.toFixed(0)} hours; ${failed.length} broke a promise, ${unsteady} were not repeatable`
  )
  process.exitCode = failed.length + unsteady === 0 ? 0 : 1
}

const plant = async (): Promise<void> => {
  let missed = 0
  for (const bug of planted) {
    if (values.only !== undefined && bug.name !== values.only) continue
    const begunAt = performance.now()
    const caught = await inCopy(bug, async (root) => {
      let found: Result | undefined
      let tried = 0
      await Workers.run({
        script: new URL(`file://${root}/test/simulation/History.worker.ts`),
        workers: availableParallelism(),
        from,
        seeds,
        onResult: ({ result }) => {
          tried++
          if (result.violations.length > 0 && (found === undefined || result.seed < found.seed)) {
            found = result
          }
          return found === undefined
        }
      })
      return { found, tried }
    })
    const tookS = ((performance.now() - begunAt) / 1_000).toFixed(0)
    if (caught.found === undefined) missed++
    console.log(
      caught.found === undefined
        ? `| ${bug.name} | not in ${caught.tried} | ${tookS} s | |`
        : `| ${bug.name} | ${caught.tried} | ${tookS} s | ` +
            `${caught.found.seed}: ${caught.found.violations[0]} |`
    )
  }
  process.exitCode = missed === 0 ? 0 : 1
}

if (values.seed !== undefined) await one(Number(values.seed))
else if (values.planted) await plant()
else await many()
