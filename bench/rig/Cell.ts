/**
 * What a cell is: one question, asked once per run, and answered with figures.
 */
import { columns, type Figure, plain } from "./Table.ts"
import type { Ground } from "./Ground.ts"
import type { Load } from "./Load.ts"
import type { Options } from "./Options.ts"
import type { Inserts } from "./Reference.ts"
import type { Rig, RigOptions } from "./Rig.ts"
import { percentile } from "./Stats.ts"

/** A question with a name. */
export interface Cell {
  readonly name: string
  /** The question, as one sentence. */
  readonly asks: string
  readonly run: (bench: Bench) => Promise<Outcome>
}

/** What a cell is given. */
export interface Bench {
  readonly options: Options
  /** The Postgres server of this run. */
  readonly ground: () => Promise<Ground>
  /** Builds a rig, uses it and takes it down. */
  readonly withRig: <A>(options: RigOptions, use: (rig: Rig) => Promise<A>) => Promise<A>
  /** Marks what is profiled when `--profile` was given. */
  readonly watch: <A>(rig: Rig, measure: () => Promise<A>) => Promise<A>
}

/** A figure of one run. */
export interface Measured extends Omit<Figure, "values"> {
  readonly value: number
}

/** What one run of a cell found. */
export interface Outcome {
  readonly figures: ReadonlyArray<Measured>
  /** Further tables and lines to print below. */
  readonly details?: ReadonlyArray<string>
}

/** Settings of webhooks that shall not run into limits that are not in question. */
export const open = (concurrency: number) => ({ concurrency, circuit: { failures: 1000 } })

/** CPU of the service and of Postgres in seconds per 1,000 deliveries. */
export const cpuSeconds = (load: Load): number => {
  const { postgresCpuMs, serviceCpuMs } = load.spent
  return (serviceCpuMs + (Number.isNaN(postgresCpuMs) ? 0 : postgresCpuMs)) / load.deliveries
}

/** What deliveries cost where the engine has all it can do, and whether all arrived. */
export const costs = (load: Load, inserts?: Inserts): ReadonlyArray<Measured> => {
  const [cpu, statements, wal, ...rest] = costsAtRate(load)
  return [
    { ...cpu, target: { atMost: 0.2 }, ...beside("raw inserts, Postgres", inserts?.postgresUs) },
    { ...statements, target: { atMost: 0.1 } },
    { ...wal, ...beside("raw inserts", inserts?.walBytes) },
    ...rest
  ]
}

/**
 * What deliveries cost at a rate below the ceiling, and whether all arrived. No target: with little to
 * share a commit with, a message has one of its own.
 */
export const costsAtRate = (
  load: Load
): readonly [cpu: Measured, statements: Measured, wal: Measured, ...ReadonlyArray<Measured>] => [
  { name: "CPU, service + Postgres, s per 1,000 deliveries", value: cpuSeconds(load) },
  { name: "SQL statements per delivery", value: load.spent.statements / load.deliveries },
  { name: "WAL per delivery, KB", value: load.spent.walBytes / load.deliveries / 1000 },
  ...losses(load)
]

/** Makes a reference of thousandths, if there is one. */
const beside = (name: string, thousandths: number | undefined) =>
  thousandths === undefined ? {} : { reference: { name, value: thousandths / 1000 } }

/** Whether all arrived, and once. */
export const losses = (load: Load): ReadonlyArray<Measured> => [
  { name: "lost", value: load.lost, target: { atMost: 0 } },
  { name: "duplicates", value: load.duplicates, target: { atMost: 0 } }
]

/**
 * Shows loads beside each other: rates, latencies, connections that the service opened, and how many
 * cores each process used.
 */
export const loads = (named: ReadonlyArray<readonly [name: string, load: Load]>): string =>
  columns([
    [
      "load",
      "published/s",
      "refused",
      "delivered/s",
      "publish p50",
      "p99 ms",
      "arrival p50",
      "p99 ms",
      "dialled",
      "cores: service",
      "postgres",
      "publisher",
      "receiver",
      "strangers"
    ],
    ...named.map(([name, load]) => {
      const { ms, otherCpuMs, postgresCpuMs, serviceCpuMs } = load.spent
      const harnessMs = load.published.cpuMs + load.received.cpuMs
      const cores = (cpuMs: number) =>
        Number.isNaN(cpuMs) ? "-" : (Math.max(0, cpuMs) / ms).toFixed(2)
      return [
        name,
        plain(load.publishedPerSecond),
        String(load.refused),
        plain(load.deliveredPerSecond),
        plain(percentile(load.publishLatency, 50)),
        plain(percentile(load.publishLatency, 99)),
        plain(percentile(load.deliveryLatency, 50)),
        plain(percentile(load.deliveryLatency, 99)),
        String(load.received.connections),
        cores(serviceCpuMs),
        cores(postgresCpuMs),
        cores(load.published.cpuMs),
        cores(load.received.cpuMs),
        cores(otherCpuMs - harnessMs)
      ]
    })
  ])

/** Publishes for a while before anything is measured, so that code is compiled and caches are full. */
export const warmUp = async (rig: Rig, plan: { types?: number; copies?: number } = {}) => {
  const { copies = 1 } = plan
  // As many deliveries whatever the fan-out.
  await rig.load({ ...plan, rate: Math.ceil(2_000 / copies), seconds: 2, quietMs: 3_000 })
}
