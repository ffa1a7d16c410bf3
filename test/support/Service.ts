/**
 * Runs the service as a child process, the way a user does, and talks to it over HTTP. It can be
 * killed at any instant and started again on the same data. A child ends with the test run.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

/** The admin key of every service started here. */
export const adminKey = "phk_test_0123456789abcdefghijklmnopqrstuvwxyz"

/** The key ring of every service started on Postgres here. */
export const secretKeys = `test:${Buffer.alloc(32, 7).toString("base64")}`

/** What a service runs on. */
export interface ServiceOptions {
  /** Postgres; absent: embedded, in `dataDir`. */
  readonly databaseUrl?: string
  /** A directory to keep; absent: a fresh one with an empty database, removed by `remove`. */
  readonly dataDir?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A service that can be started, killed and started again. */
export interface Service {
  readonly baseUrl: string
  readonly dataDir: string
  readonly pid: () => number
  /** All that the process printed since it was last started. */
  readonly output: () => string
  /**
   * Starts it, with more environment where that is given, and resolves once it is ready; answers the
   * milliseconds that took.
   */
  readonly start: (env?: Readonly<Record<string, string | undefined>>) => Promise<number>
  readonly isRunning: () => boolean
  /** Waits until the process has ended by itself; answers the signal that ended it, if one did. */
  readonly ended: () => Promise<NodeJS.Signals | null>
  /** Sends a signal and waits until the process has ended; answers its exit code, if it had one. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>
  /** Sends a request with the admin key and reads the JSON answer. */
  readonly call: (method: string, path: string, body?: unknown) => Promise<Answer>
  /** Ends it and removes the data directory it made. */
  readonly remove: () => Promise<void>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // The shape is the caller's business: these are assertions on an HTTP contract.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

const children = new Set<ChildProcess>()
process.once("exit", () => children.forEach((child) => child.kill("SIGKILL")))

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** Reads the log of a service that writes JSON, a record for each line. */
export const linesOf = (service: Service): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  service
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))

/** Prepares a service on a free port; `start` starts it. */
export const makeService = async (options: ServiceOptions = {}): Promise<Service> => {
  const dataDir = options.dataDir ?? fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-service-"))
  if (options.dataDir === undefined && options.databaseUrl === undefined) {
    // Only here, as loading it takes as long as many a test.
    const { copyEmptyPglite } = await import("./EmptyPglite.ts")
    await copyEmptyPglite(path.join(dataDir, "pglite"))
  }
  const port = await freePort()
  const baseUrl = `http://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  let ended: Promise<NodeJS.Signals | null> = Promise.resolve(null)
  let output = ""

  const start = async (env: Readonly<Record<string, string | undefined>> = {}) => {
    const begun = performance.now()
    output = ""
    const started = spawn(process.execPath, [main, "serve"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        POSTHASTE_PORT: String(port),
        POSTHASTE_DATA_DIR: dataDir,
        POSTHASTE_ADMIN_KEY: adminKey,
        POSTHASTE_ALLOW_HTTP: "true",
        POSTHASTE_ALLOW_NETWORKS: "127.0.0.0/8",
        ...(options.databaseUrl === undefined
          ? {}
          : {
              POSTHASTE_DATABASE_URL: options.databaseUrl,
              POSTHASTE_SECRET_KEYS: secretKeys
            }),
        ...options.env,
        ...env
      }
    })
    child = started
    children.add(started)
    started.once("exit", () => children.delete(started))
    ended = once(started, "exit").then(([, signal]) => signal)
    started.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    started.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
    while (true) {
      if (started.exitCode !== null || started.signalCode !== null) {
        throw new Error(`the service ended while it started:\n${output}`)
      }
      const ready = await fetch(`${baseUrl}/health/ready`).then(
        (response) => response.arrayBuffer().then(() => response.ok),
        () => false
      )
      if (ready) return performance.now() - begun
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const end = async (signal: NodeJS.Signals) => {
    const running = child
    if (running === undefined || running.exitCode !== null) return running?.exitCode ?? null
    running.kill(signal)
    await ended
    child = undefined
    return running.exitCode
  }

  return {
    baseUrl,
    dataDir,
    pid: () => child?.pid ?? 0,
    output: () => output,
    start,
    isRunning: () => child !== undefined && child.exitCode === null && child.signalCode === null,
    ended: () => ended,
    end,
    call: async (method, at, body) => {
      const response = await fetch(`${baseUrl}${at}`, {
        method,
        headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        json: text === "" ? undefined : JSON.parse(text)
      }
    },
    remove: async () => {
      await end("SIGKILL")
      if (options.dataDir === undefined) fs.rmSync(dataDir, { recursive: true, force: true })
    }
  }
}

/** Reads a process's resident memory, in bytes. */
export const residentBytes = (pid: number): number => {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
}

/** Finds a port that nothing listens on. */
export const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}
