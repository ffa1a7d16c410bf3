/**
 * Runs a program that embeds the engine, and tells what that changed in its process.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"

/** A use of an environment variable, and whose code it was: a file of ours or a package. */
export interface EnvironmentUse {
  readonly name: string
  readonly how: "read" | "written"
  readonly by: string
}

/** What became of the host's process. */
export interface HostReport {
  /** How it ended by itself, or the signal that had to end it. */
  readonly exit: number | NodeJS.Signals | null
  /** What differs from before: while the engine is there, or the library only imported, and after. */
  readonly during: ReadonlyArray<string>
  readonly after: ReadonlyArray<string>
  readonly environment: ReadonlyArray<EnvironmentUse>
  /** Flags that V8 was given. */
  readonly flags: ReadonlyArray<string>
  /** Rejections and exceptions that nobody handled, and warnings of Node. */
  readonly complaints: ReadonlyArray<string>
  /** What would have kept the process running, besides what it began with. */
  readonly open: ReadonlyArray<string>
  /** Whether the part of undici was loaded that sets the global dispatcher. */
  readonly undiciGlobal: boolean
  /** How many requests reached the host's receiver. */
  readonly received: number
  /** What it wrote besides. */
  readonly said: string
}

/** What the line begins with that is the report. */
export const reportMark = "report: "

const child = fileURLToPath(new URL("./Host.child.ts", import.meta.url))

/**
 * Runs a host until it ends by itself, and ends it when that takes too long after its report. `import`
 * loads the library and no more, `run` has an engine over a new data directory deliver two messages, and
 * `plant` does what neither may.
 */
export const host = async (
  what: "import" | "run" | "plant",
  dataDir: string,
  endMs: number
): Promise<HostReport> => {
  const running = spawn(process.execPath, [child, what, dataDir], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] }
  })
  const kill = () => running.kill("SIGKILL")
  process.once("exit", kill)
  const ended = new Promise<HostReport["exit"]>((resolve) =>
    running.once("exit", (code, signal) => resolve(code ?? signal))
  )
  const errors = text(running.stderr)
  let timer: NodeJS.Timeout | undefined
  let report: Omit<HostReport, "exit" | "said"> | undefined
  let said = ""
  for await (const line of createInterface(running.stdout)) {
    if (line.startsWith(reportMark)) {
      report = JSON.parse(line.slice(reportMark.length))
      timer = setTimeout(kill, endMs)
    } else said += `${line}\n`
  }
  const exit = await ended
  clearTimeout(timer)
  process.removeListener("exit", kill)
  said += await errors
  if (report === undefined) throw new Error(`no report, ended with ${exit}: ${said}`)
  return { ...report, exit, said }
}
