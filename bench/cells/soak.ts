/** Whether it stays as it is for as long as one cares to look. */
import { type Cell, costsAtRate, loads, open, warmUp } from "../rig/Cell.ts"
import * as Cpu from "../rig/Cpu.ts"
import type { Connection } from "../rig/Database.ts"
import { monotonicMs } from "../rig/MonotonicClock.ts"
import { percentile, slope } from "../rig/Stats.ts"

/** Tables whose rows come and go with each delivery, so that they stay as large as what is owed. */
const churning = ["owed", "waiting", "webhook_health"]

/** Publishes at about half of the ceiling and watches memory, latency and the tables. */
export const soak: Cell = {
  name: "soak",
  asks: "Do memory, latency and tables stay level at half of the ceiling? Give --seconds and --rate.",
  run: async (bench) => {
    const rate = bench.options.rate ?? 2_500
    const seconds = bench.options.seconds ?? 25
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      await rig.webhook(0, open(bench.options.concurrency))
      await warmUp(rig)
      const memory: Array<readonly [minutes: number, mb: number]> = []
      const heap: Array<readonly [minutes: number, mb: number]> = []
      const beganAt = monotonicMs()
      const minutes = () => (monotonicMs() - beganAt) / 60_000
      const look = () => {
        memory.push([minutes(), Cpu.memoryMb(rig.service.pid()).now])
      }
      const tables: Array<Tables> = []
      const second = rig.connect()
      const lookAtTables = async () => {
        heap.push([minutes(), await heapMb(rig.service.baseUrl)])
        if (second !== null) tables.push({ minutes: minutes(), ...(await readTables(second)) })
      }
      const looking = setInterval(look, 1_000)
      const lookingAtTables = setInterval(() => void lookAtTables(), 5_000)
      const load = await bench.watch(rig, () => rig.load({ rate, seconds }))
      clearInterval(looking)
      clearInterval(lookingAtTables)
      look()
      await lookAtTables()
      await second?.close()
      return {
        figures: [
          { name: "messages", value: load.acknowledged },
          {
            name: "publish p99, ms",
            value: percentile(load.publishLatency, 99)
          },
          {
            name: "publish to receive p99, ms",
            value: percentile(load.deliveryLatency, 99)
          },
          { name: "publish to receive, worst, ms", value: percentile(load.deliveryLatency, 100) },
          { name: "memory of the service at the end, MB", value: memory.at(-1)?.[1] ?? 0 },
          // Its first half is growth to working size, of code and of heap.
          {
            name: "rise of memory in the second half, MB per minute",
            value: slope(secondHalf(memory))
          },
          // Of collected and not yet collected objects together, so that the low points tell.
          { name: "heap of the service, MB, lowest in the second half", value: lowest(heap) },
          {
            name: "rise of the heap in the second half, MB per minute",
            value: slope(secondHalf(heap))
          },
          ...figuresOf(tables),
          ...costsAtRate(load)
        ],
        details: [loads([[`${rate}/s`, load]])]
      }
    })
  }
}

/** What the churning tables hold that nobody needs, and what they and their indexes take on disk. */
interface Tables {
  readonly minutes: number
  readonly dead: number
  readonly kilobytes: number
}

/** Reads the heap from the service's own metrics. */
const heapMb = async (baseUrl: string): Promise<number> => {
  const text = await fetch(`${baseUrl}/metrics`).then((response) => response.text())
  return Number(/^posthaste_process_heap_bytes (\S+)$/m.exec(text)?.[1]) / 1_048_576
}

const lowest = (readings: ReadonlyArray<readonly [number, number]>): number =>
  Math.min(...secondHalf(readings).map(([, mb]) => mb))

const readTables = async (connection: Connection) => {
  const [row] = await connection.query<{ dead: number; kilobytes: number }>(
    `select coalesce(sum(n_dead_tup), 0)::float8 as dead,
       coalesce(sum(pg_total_relation_size(relid)), 0)::float8 / 1024 as kilobytes
     from pg_stat_user_tables where relname = any ($1)`,
    [churning]
  )
  return { dead: Number(row?.dead), kilobytes: Number(row?.kilobytes) }
}

const figuresOf = (tables: ReadonlyArray<Tables>) => {
  const half = secondHalf(tables)
  const highest = (of: (at: Tables) => number) => Math.max(0, ...half.map(of))
  return [
    { name: `dead rows in ${churning.join(", ")}, at most`, value: highest(({ dead }) => dead) },
    { name: "size of those tables, MB, at most", value: highest((at) => at.kilobytes) / 1024 },
    {
      name: "rise of that size in the second half, MB per minute",
      value: slope(half.map((at) => [at.minutes, at.kilobytes / 1024]))
    }
  ]
}

const secondHalf = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> =>
  list.slice(Math.floor(list.length / 2))
