/**
 * Runs words of the command line as a user does: a process each, whose output and exit code count.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { adminKey, type Service } from "./Service.ts"

/** What a word came to. */
export interface Ran {
  readonly exitCode: number | null
  readonly output: string
  readonly errors: string
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** Makes a command line that runs with these environment variables and nothing else of ours. */
export const commandLine = (env: Readonly<Record<string, string>>) => {
  const begin = (words: ReadonlyArray<string>) =>
    spawn(process.execPath, [main, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ...env }
    })
  const run = async (...words: ReadonlyArray<string>): Promise<Ran> => {
    const child = begin(words)
    let output = ""
    let errors = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    await once(child, "close")
    return { exitCode: child.exitCode, output, errors }
  }
  return {
    run,
    /** Starts a word without waiting for its end. */
    start: (...words: ReadonlyArray<string>) => {
      const child = begin(words)
      const ended = once(child, "exit")
      return {
        pid: child.pid,
        kill: async () => {
          child.kill("SIGKILL")
          await ended
        }
      }
    },
    /** Runs a word that must succeed, and reads the JSON that it prints. */
    json: async (...words: ReadonlyArray<string>) => {
      const ran = await run(...words, "--output", "json")
      if (ran.exitCode !== 0) throw new Error(`${words.join(" ")}: ${ran.errors}${ran.output}`)
      return JSON.parse(ran.output)
    }
  }
}

/** The environment of a command line that talks to a service. */
export const beside = (service: Service) => ({
  POSTHASTE_URL: service.baseUrl,
  POSTHASTE_API_KEY: adminKey
})
