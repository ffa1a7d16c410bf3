/**
 * Shows where a process's time went, from a CPU profile of V8: by function, by package, and by the
 * line of src/ that had it done.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { columns } from "./Table.ts"

/** The part of a `.cpuprofile` that is read. */
interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
    readonly children?: ReadonlyArray<number>
  }>
  /** Microseconds of the monotonic clock. */
  readonly startTime: number
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

/** Milliseconds of the monotonic clock. */
export interface Span {
  readonly beganAt: number
  readonly endedAt: number
}

/** Reads the profile that a process left in a directory, and prints its tables for a span of time. */
export const report = (directory: string, pid: number, span: Span): string => {
  const file = fs.readdirSync(directory).find((name) => name.split(".")[3] === String(pid))
  if (file === undefined) return "  the service left no profile"
  const profile: CpuProfile = JSON.parse(fs.readFileSync(path.join(directory, file), "utf8"))
  const weights = weigh(profile, span)
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map<number, number>()
  for (const node of profile.nodes) {
    for (const child of node.children ?? []) parents.set(child, node.id)
  }

  const byFunction = new Map<string, number>()
  const byPackage = new Map<string, number>()
  const byCause = new Map<string, number>()
  let busy = 0
  for (const [id, us] of weights) {
    const frame = nodes.get(id)!.callFrame
    if (frame.functionName === "(idle)") continue
    busy += us
    add(byFunction, nameOf(frame), us)
    add(byPackage, packageOf(frame), us)
    let at: number | undefined = id
    while (at !== undefined && !isOurs(nodes.get(at)!.callFrame)) at = parents.get(at)
    add(
      byCause,
      at === undefined ? "(nothing of src/ on the stack)" : nameOf(nodes.get(at)!.callFrame),
      us
    )
  }
  const seconds = (span.endedAt - span.beganAt) / 1000
  return [
    `  busy ${((busy / 1e6 / seconds) * 100).toFixed(0)} % of one core for ${seconds.toFixed(1)} s`,
    table("by package, self time", byPackage, busy, 20),
    table("by function, self time", byFunction, busy, 25),
    table("by nearest function of src/ on the stack", byCause, busy, 25)
  ].join("\n\n")
}

type Frame = CpuProfile["nodes"][number]["callFrame"]

/** Adds up the microseconds of each node within the span. */
const weigh = (profile: CpuProfile, span: Span): Map<number, number> => {
  const weights = new Map<number, number>()
  let at = profile.startTime
  for (let i = 0; i < profile.samples.length; i++) {
    const us = profile.timeDeltas[i] ?? 0
    at += us
    if (at >= span.beganAt * 1000 && at <= span.endedAt * 1000) {
      weights.set(profile.samples[i]!, (weights.get(profile.samples[i]!) ?? 0) + us)
    }
  }
  return weights
}

const root = new URL("../../", import.meta.url).href

const isOurs = (frame: Frame): boolean => frame.url.startsWith(`${root}src/`)

const fileOf = (frame: Frame): string =>
  frame.url
    .replace(root, "")
    .replace(/^.*node_modules\/(?=[^/])/, "")
    .replace("/dist/", "/")

const nameOf = (frame: Frame): string => {
  const name = frame.functionName === "" ? "(anonymous)" : frame.functionName
  return frame.url === "" ? name : `${name}  ${fileOf(frame)}:${frame.lineNumber + 1}`
}

const packageOf = (frame: Frame): string => {
  const file = fileOf(frame)
  if (file === "") return frame.functionName.startsWith("(") ? frame.functionName : "(native)"
  if (file.startsWith("node:")) return `node: ${file.split("/")[1] ?? file}`
  if (file.startsWith("src/")) return file.split("/").slice(0, 2).join("/")
  const parts = file.split("/")
  return file.startsWith("@")
    ? parts.slice(0, 2).join("/")
    : parts.slice(0, parts[0] === "effect" ? 2 : 1).join("/")
}

const add = (sums: Map<string, number>, name: string, us: number) => {
  sums.set(name, (sums.get(name) ?? 0) + us)
}

const table = (title: string, sums: Map<string, number>, all: number, rows: number): string =>
  columns([
    [title, "ms", "%"],
    ...[...sums]
      .sort(([, a], [, b]) => b - a)
      .slice(0, rows)
      .map(([name, us]) => [name, (us / 1000).toFixed(0), ((us / all) * 100).toFixed(1)])
  ])
