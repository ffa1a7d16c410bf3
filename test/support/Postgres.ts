/**
 * Starts throw-away PostgreSQL servers from the binaries on this machine. Each has its own
 * directory and port, listens on 127.0.0.1 only, trusts every connection, and can be killed and
 * started again to test what survives. A server ends with the process that started it.
 *
 * Creating databases on a server is left to TestDatabase.ts.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

/** Chooses how a test server runs. */
export interface PostgresOptions {
  /** Waits for the disk at each commit, as in production. Default false: only the server's own death is survived, not the machine's. */
  readonly fsync?: boolean
  /** An existing directory that the server's own is made in. Default: the one for temporary files. */
  readonly parent?: string
  /** Further settings, by their names in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A running test server. */
export interface Postgres {
  /** Connects as superuser to the database `postgres`. */
  readonly url: string
  readonly port: number
  readonly dataDir: string
  /** The postmaster's process id; changes with `restart`. */
  readonly pid: number
  readonly isRunning: () => boolean
  /** Ends the server at once and removes its files. */
  readonly stop: () => Promise<void>
  /** Sends a signal to the postmaster and, if it is one that ends it, waits until it has ended. */
  readonly kill: (signal: NodeJS.Signals) => Promise<void>
  /** Ends the server if it still runs, and starts it again on the same port and data. */
  readonly restart: () => Promise<void>
}

/** Says that no PostgreSQL server is installed here, and how to install one. */
export class PostgresNotInstalled extends Error {
  constructor() {
    super(
      "This test needs PostgreSQL (initdb and postgres in /usr/lib/postgresql/*/bin or on PATH). " +
        "Install it with `apt-get install postgresql`, or set POSTHASTE_TEST_POSTGRES_URL to a " +
        "superuser's URL of a server that may be filled with test databases."
    )
  }
}

/** Starts a server and resolves once it accepts connections. Rejects with `PostgresNotInstalled`. */
export const startPostgres = async (options: PostgresOptions = {}): Promise<Postgres> => {
  const bin = findBinaries()
  const account = serverAccount()
  const home = fs.mkdtempSync(path.join(options.parent ?? os.tmpdir(), "posthaste-postgres-"))
  const dataDir = path.join(home, "data")
  const context: Context = { bin, account, home, dataDir, options }
  let running: Running | undefined

  const end = async (signal: NodeJS.Signals) => {
    if (running === undefined) return
    running.child.kill(signal)
    await running.ended
    running = undefined
  }
  // SIGQUIT is the server's immediate shutdown: it ends its children too.
  const onExit = () => running?.child.kill("SIGQUIT")

  try {
    if (account !== undefined) fs.chownSync(home, account.uid, account.gid)
    await initialize(context)
    running = await launchOnFreePort(context)
  } catch (error) {
    fs.rmSync(home, { recursive: true, force: true })
    throw error
  }
  process.once("exit", onExit)
  const port = running.port

  return {
    url: `postgres://${superuser}@127.0.0.1:${port}/postgres`,
    port,
    dataDir,
    get pid() {
      if (running?.child.pid === undefined) throw new Error("The test server is not running.")
      return running.child.pid
    },
    isRunning: () => running !== undefined && running.child.exitCode === null,
    stop: async () => {
      process.removeListener("exit", onExit)
      await end("SIGQUIT")
      fs.rmSync(home, { recursive: true, force: true })
    },
    kill: async (signal) => {
      if (survived.has(signal)) running?.child.kill(signal)
      else await end(signal)
    },
    restart: async () => {
      await end("SIGINT")
      running = await relaunch(context, port)
    }
  }
}

interface Account {
  readonly uid: number
  readonly gid: number
}

interface Context {
  readonly bin: string
  readonly account: Account | undefined
  readonly home: string
  readonly dataDir: string
  readonly options: PostgresOptions
}

interface Running {
  readonly child: ChildProcess
  readonly port: number
  readonly ended: Promise<unknown>
}

class LaunchFailed extends Error {}

const superuser = "posthaste"
const survived: ReadonlySet<NodeJS.Signals> = new Set(["SIGSTOP", "SIGCONT", "SIGHUP", "SIGUSR1"])
const launchesMax = 100

/** Prefers the newest version that Debian's packages installed, then what PATH offers. */
const findBinaries = (): string => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian) : []
  const candidates = [
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${debian}/${version}/bin`),
    ...(process.env["PATH"] ?? "").split(path.delimiter)
  ]
  const found = candidates.find((directory) =>
    ["initdb", "postgres"].every((name) => fs.existsSync(path.join(directory, name)))
  )
  if (found === undefined) throw new PostgresNotInstalled()
  return found
}

/** PostgreSQL refuses to run as root, so root lends it the account of the package, or `nobody`. */
const serverAccount = (): Account | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const accounts = fs.readFileSync("/etc/passwd", "utf8").split("\n")
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(":") ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error("PostgreSQL cannot run as root, and there is no account postgres or nobody.")
}

const spawnAsServer = (context: Context, command: string, args: ReadonlyArray<string>) =>
  spawn(command, args, {
    ...context.account,
    cwd: context.home,
    env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" },
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Keeps the last lines a process printed, to show them if it fails. */
const collectOutput = (child: ChildProcess) => {
  let output = ""
  const onData = (chunk: Buffer) => {
    output = (output + chunk.toString("utf8")).slice(-16_384)
  }
  child.stdout?.on("data", onData)
  child.stderr?.on("data", onData)
  return () => output
}

const initialize = async (context: Context): Promise<void> => {
  const child = spawnAsServer(context, path.join(context.bin, "initdb"), [
    `--pgdata=${context.dataDir}`,
    `--username=${superuser}`,
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync"
  ])
  const output = collectOutput(child)
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`initdb ended with code ${code}:\n${output()}`)
}

const launchOnFreePort = async (context: Context): Promise<Running> => {
  for (let launches = 1; ; launches++) {
    try {
      return await launch(context, await freePort())
    } catch (error) {
      // Another process may take the port between the look and the launch.
      const taken =
        error instanceof LaunchFailed && error.message.includes("Address already in use")
      if (!taken || launches === 5) throw error
    }
  }
}

const relaunch = async (context: Context, port: number): Promise<Running> => {
  for (let launches = 1; ; launches++) {
    try {
      return await launch(context, port)
    } catch (error) {
      // After SIGKILL the orphaned backends hold the shared memory until they notice.
      if (!(error instanceof LaunchFailed) || launches === launchesMax) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

const launch = async (context: Context, port: number): Promise<Running> => {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 200,
    shared_buffers: "64MB",
    fsync: context.options.fsync === true ? "on" : "off",
    full_page_writes: context.options.fsync === true ? "on" : "off",
    lc_messages: "C",
    timezone: "UTC",
    ...context.options.settings
  }
  const command = [
    path.join(context.bin, "postgres"),
    `-D${context.dataDir}`,
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  ]
  const child = spawnAsServer(context, ...withParentsFate(command))
  const output = collectOutput(child)
  const ended = once(child, "close")
  const ready = new Promise<void>((resolve) => {
    child.stderr?.on("data", () => {
      if (output().includes("database system is ready to accept connections")) resolve()
    })
  })
  const failed = ended.then(([code]) => {
    throw new LaunchFailed(`PostgreSQL ended at its start with code ${code}:\n${output()}`)
  })
  await Promise.race([ready, failed])
  // From here on an end is the test's wish.
  failed.catch(() => undefined)
  return { child, port, ended }
}

/** Lets the kernel end the server when its parent dies, even by SIGKILL, where setpriv can ask for it. */
const withParentsFate = (command: ReadonlyArray<string>): [string, ReadonlyArray<string>] => {
  const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find((file) => fs.existsSync(file))
  return setpriv === undefined
    ? [String(command[0]), command.slice(1)]
    : [setpriv, ["--pdeathsig", "QUIT", "--", ...command]]
}

const freePort = async (): Promise<number> => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("No TCP port was given.")
  return address.port
}
