/**
 * Reads from /proc what processes have cost. Times are milliseconds of CPU, in steps of ten.
 */
import * as fs from "node:fs"

const tickMs = 10

/** Reads the CPU of a process with all its threads. */
export const processMs = (pid: number): number => {
  const [own] = times(pid)
  return own
}

/**
 * Reads the CPU of a process and of its children, those included that have ended: so a server's cost
 * stays whole when its backends come and go.
 */
export const treeMs = (pid: number): number => {
  const [own, ended] = times(pid)
  return own + ended + children(pid).reduce((sum, child) => sum + processMs(child), 0)
}

/** Reads how busy the machine was in all, and how much was taken from it by its host. */
export const machineMs = (): number => {
  const fields = fs.readFileSync("/proc/stat", "utf8").split("\n")[0]!.split(/\s+/).map(Number)
  // user, nice, system, irq, softirq and steal; not idle and iowait.
  return [1, 2, 3, 6, 7, 8].reduce((sum, i) => sum + (fields[i] ?? 0), 0) * tickMs
}

/** Reads a process's resident memory in MB, now and at its highest. */
export const memoryMb = (pid: number): { readonly now: number; readonly peak: number } => {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  const mb = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
  return { now: mb("VmRSS"), peak: mb("VmHWM") }
}

/** Reads the load averages of one and of five minutes. */
export const loadAverages = (): string =>
  fs.readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 2).join(" ")

/** Own and ended children's user and system time. */
const times = (pid: number): [own: number, ended: number] => {
  let stat: string
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    // Ended between listing and reading; its parent has its time now.
    return [0, 0]
  }
  // A process's name may hold spaces and brackets, so fields count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const field = (number: number) => Number(fields[number - 3]) * tickMs
  return [field(14) + field(15), field(16) + field(17)]
}

const children = (pid: number): ReadonlyArray<number> => {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    return text.split(" ").filter(Boolean).map(Number)
  } catch {
    return []
  }
}
