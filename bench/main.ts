/**
 * Measures: `npm run bench` runs every cell, `npm run bench -- throughput latency` those. Each prints
 * a table and writes nothing else. See README.md in this folder.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { deadneighbour } from "./cells/deadneighbour.ts"
import { drain } from "./cells/drain.ts"
import { failing1, failing20 } from "./cells/failing.ts"
import { fanout10 } from "./cells/fanout10.ts"
import { heldsnapshot } from "./cells/heldsnapshot.ts"
import { latency } from "./cells/latency.ts"
import { lists } from "./cells/lists.ts"
import { micro } from "./cells/micro.ts"
import { million } from "./cells/million.ts"
import { payload16k } from "./cells/payload16k.ts"
import { pglite } from "./cells/pglite.ts"
import { receivers100 } from "./cells/receivers100.ts"
import { restart } from "./cells/restart.ts"
import { retention } from "./cells/retention.ts"
import { slow50, slow500 } from "./cells/slow.ts"
import { soak } from "./cells/soak.ts"
import { throughput } from "./cells/throughput.ts"
import type { Bench, Cell, Outcome } from "./rig/Cell.ts"
import { loadAverages } from "./rig/Cpu.ts"
import { type Ground, startGround } from "./rig/Ground.ts"
import { monotonicMs } from "./rig/MonotonicClock.ts"
import { type Options, readOptions } from "./rig/Options.ts"
import * as Profile from "./rig/Profile.ts"
import { makeRig } from "./rig/Rig.ts"
import { median } from "./rig/Stats.ts"
import { type Figure, figures } from "./rig/Table.ts"

const cells: ReadonlyArray<Cell> = [
  throughput,
  latency,
  payload16k,
  receivers100,
  fanout10,
  slow50,
  slow500,
  failing1,
  failing20,
  deadneighbour,
  drain,
  million,
  pglite,
  restart,
  retention,
  heldsnapshot,
  soak,
  lists,
  micro
]

let ground: Promise<Ground> | undefined

const main = async (): Promise<void> => {
  const options = readOptions(process.argv.slice(2))
  const known = new Set(cells.map((cell) => cell.name))
  const unknown = options.cells.find((name) => !known.has(name))
  if (unknown !== undefined) {
    throw new Error(`There is no cell "${unknown}"; there are ${[...known].join(", ")}.`)
  }
  const chosen = cells.filter(
    (cell) => options.cells.length === 0 || options.cells.includes(cell.name)
  )
  const [cpu] = os.cpus()
  console.log(`${os.availableParallelism()} cores, ${cpu?.model.trim()}, Node ${process.version}`)
  let failed = 0
  for (const cell of chosen) {
    try {
      await run(cell, options)
    } catch (error) {
      failed++
      console.log(`\n${cell.name} could not be measured`, error)
    }
  }
  process.exitCode = failed === 0 ? 0 : 1
}

const run = async (cell: Cell, options: Options) => {
  console.log(`\n${cell.name}  ${cell.asks}\n`)
  const profiles: Array<string> = []
  const before = loadAverages()
  const beganAt = monotonicMs()
  const outcomes: Array<Outcome> = []
  for (let i = 0; i < options.runs; i++) outcomes.push(await cell.run(benchOf(options, profiles)))
  console.log(figures(merge(outcomes)))
  for (const detail of outcomes.at(-1)?.details ?? []) console.log(`\n${detail}`)
  for (const profile of profiles) console.log(`\n${profile}`)
  const seconds = ((monotonicMs() - beganAt) / 1000).toFixed(0)
  console.log(
    `\n  ${options.runs} run${options.runs === 1 ? "" : "s"}, ${seconds} s; ` +
      `load average ${before} before, ${loadAverages()} after`
  )
}

/** Puts the values of all runs together; a reference is the median of theirs. */
const merge = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Figure> =>
  (outcomes[0]?.figures ?? []).map(({ name, reference, target }, i) => {
    const same = outcomes.map((outcome) => outcome.figures[i]!)
    const value = median(same.map((one) => one.reference?.value ?? Number.NaN))
    return {
      name,
      values: same.map((one) => one.value),
      ...(target === undefined ? {} : { target }),
      ...(reference === undefined ? {} : { reference: { ...reference, value } })
    }
  })

const benchOf = (options: Options, profiles: Array<string>): Bench => {
  let watched: { readonly pid: number; readonly span: Profile.Span } | undefined
  return {
    options,
    ground: () => (ground ??= startGround()),
    withRig: async (rigOptions, use) => {
      const profileDir = options.profile
        ? fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-profile-"))
        : undefined
      const rig = await makeRig({ ...rigOptions, profileDir })
      try {
        return await use(rig)
      } finally {
        await rig.close()
        if (profileDir !== undefined) {
          if (watched !== undefined) {
            profiles.push(Profile.report(profileDir, watched.pid, watched.span))
          }
          watched = undefined
          fs.rmSync(profileDir, { recursive: true, force: true })
        }
      }
    },
    watch: async (rig, measure) => {
      const pid = rig.service.pid()
      const beganAt = monotonicMs()
      const value = await measure()
      watched = { pid, span: { beganAt, endedAt: monotonicMs() } }
      return value
    }
  }
}

try {
  await main()
} finally {
  await (await ground)?.stop()
}
