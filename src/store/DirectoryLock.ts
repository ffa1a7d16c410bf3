/**
 * Gives a data directory to one process at a time, however the previous one ended.
 *
 * Promises: two processes never hold one directory, also when many race for what a dead one left;
 * a lock whose holder ended in any way, SIGKILL and reboot included, is taken over at once, also
 * from another container; a live holder is named. The lock ends with the scope.
 *
 * ```
 * posthaste.lock             who holds it: pid, its start time, boot, host and a token
 * posthaste.lock.<token>     a socket that listens while the holder lives
 * posthaste.lock.<token>.by  the one that succeeds the holder of <token>, which has ended
 * ```
 *
 * Each file appears whole, as a hard link to a finished one. A token has one successor, for its file
 * can be made once; only the successor replaces the lock, and takes the file away after that.
 *
 * **Gotchas** All processes must run on one machine: a lock of another boot counts as left behind.
 */
import { Effect, Schema } from "effect"
import type { Scope } from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"

/** Reports that a live process holds the directory. */
export class DirectoryLocked extends Schema.TaggedError<DirectoryLocked>()("DirectoryLocked", {
  directory: Schema.String,
  pid: Schema.Int,
  hostname: Schema.String
}) {
  /** Names the directory and its holder. */
  override get message(): string {
    return `${this.directory} is in use by process ${this.pid} on ${this.hostname}`
  }
}

/** Reports that the directory cannot be made, written or locked. */
export class DirectoryUnusable extends Schema.TaggedError<DirectoryUnusable>()(
  "DirectoryUnusable",
  { directory: Schema.String, detail: Schema.String }
) {
  /** Names the directory and what the system said. */
  override get message(): string {
    return `${this.directory} cannot be used: ${this.detail}`
  }
}

/** Holds a directory, which is made when it is missing, until the scope closes. */
export const acquire = (
  directory: string
): Effect.Effect<void, DirectoryLocked | DirectoryUnusable, Scope> =>
  Effect.gen(function* () {
    yield* attempt(directory, () => fs.mkdirSync(directory, { recursive: true, mode: 0o700 }))
    const lock = path.join(directory, lockName)
    const self = describeSelf()
    yield* Effect.acquireRelease(listen(lock, self), (server) => Effect.sync(() => server?.close()))
    const previous = yield* Effect.acquireRelease(take(directory, lock, self), () =>
      Effect.sync(() => {
        if (read(lock)?.token === self.token) remove(lock)
      })
    )
    if (previous === undefined) return
    yield* log("directory_taken", {
      directory,
      pid: previous.pid,
      host: previous.hostname
    })
  })

const lockName = "posthaste.lock"

interface Holder {
  readonly token: string
  readonly pid: number
  /** Ticks between boot and the start of the process: with the pid, a process that is no other. */
  readonly started: string
  readonly bootId: string
  /** Pids mean something within one namespace only. */
  readonly pidNamespace: string
  readonly hostname: string
}

const describeSelf = (): Holder => ({
  token: randomUUID(),
  pid: process.pid,
  started: inspect(process.pid)?.started ?? "",
  bootId: readText("/proc/sys/kernel/random/boot_id") ?? "",
  pidNamespace: quietly(() => fs.readlinkSync("/proc/self/ns/pid")) ?? "",
  hostname: os.hostname()
})

const socketOf = (lock: string, holder: Holder) => `${lock}.${holder.token}`
const successorOf = (lock: string, holder: Holder) => `${lock}.${holder.token}.by`

/** Races lost in a row before the directory counts as unusable. */
const triesMax = 1000

/** Takes the lock and answers the dead holder that it was taken from, if there was one. */
const take = Effect.fnUntraced(function* (directory: string, lock: string, self: Holder) {
  const own = `${lock}.${self.token}.new`
  const trying = <A>(f: () => A) => attempt(directory, f)
  yield* trying(() => write(own, self))
  return yield* Effect.gen(function* () {
    for (let tries = 0; tries < triesMax; tries++) {
      if (yield* trying(() => link(own, lock))) return undefined
      const chain = yield* trying(() => chainOf(lock))
      const last = chain.at(-1)
      if (last === undefined) continue
      if (yield* isAlive(lock, last, self)) {
        return yield* new DirectoryLocked({ directory, pid: last.pid, hostname: last.hostname })
      }
      if (yield* trying(() => succeed(lock, own, chain, self))) return last
    }
    return yield* new DirectoryUnusable({ directory, detail: `${lock} changes all the time` })
  }).pipe(Effect.ensuring(Effect.sync(() => remove(own))))
})

/** Replaces the lock of a chain whose last one is dead, or answers false to somebody faster. */
const succeed = (
  lock: string,
  own: string,
  chain: ReadonlyArray<Holder>,
  self: Holder
): boolean => {
  const claim = successorOf(lock, chain.at(-1)!)
  if (!link(own, claim)) return false
  reach("directory.claimed")
  // That its name was free says that nobody has succeeded yet, or that somebody is long done.
  const expected = [...chain, self].map(({ token }) => token).join()
  const found = chainOf(lock).map(({ token }) => token)
  if (found.join() !== expected) {
    remove(claim)
    return false
  }
  fs.renameSync(own, lock)
  reach("directory.replaced")
  for (const holder of chain) {
    remove(successorOf(lock, holder))
    remove(socketOf(lock, holder))
    remove(`${lock}.${holder.token}.new`)
  }
  return true
}

/** The holder in the lock, then its successor while it takes over, and so on. */
const chainOf = (lock: string): ReadonlyArray<Holder> => {
  const chain: Array<Holder> = []
  let next = read(lock)
  while (next !== undefined && !chain.includes(next)) {
    chain.push(next)
    next = read(successorOf(lock, next))
  }
  return chain
}

const isAlive = Effect.fnUntraced(function* (lock: string, holder: Holder, self: Holder) {
  if (holder.bootId !== self.bootId) return false
  // The kernel answers for the holder, whatever container it is in and however busy it is.
  const answer = yield* probe(socketOf(lock, holder))
  if (answer !== "unknown") return answer === "listening"
  if (holder.pidNamespace !== self.pidNamespace) return holder.hostname !== self.hostname
  const found = inspect(holder.pid)
  if (found === undefined) return false
  return found.started === undefined || holder.started === "" || found.started === holder.started
})

/** Looks a process up: undefined when there is none, or only what is left of one. */
const inspect = (pid: number): { readonly started: string | undefined } | undefined => {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat !== undefined) {
    // The name before it may hold anything, blanks and brackets included.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" || fields[0] === "X" ? undefined : { started: fields[19] }
  }
  try {
    process.kill(pid, 0)
    return { started: undefined }
  } catch (error) {
    return codeOf(error) === "EPERM" ? { started: undefined } : undefined
  }
}

/** The longest path of a socket that all systems take, in bytes. */
const socketPathMax = 103

/** Listens as proof of life; where a socket cannot be made, the pid has to do. */
const listen = (lock: string, self: Holder): Effect.Effect<net.Server | undefined> =>
  Effect.callback((resume) => {
    const file = socketOf(lock, self)
    if (Buffer.byteLength(file) > socketPathMax) return resume(Effect.succeed(undefined))
    const server = net.createServer((socket) => socket.destroy())
    server.on("error", () => resume(Effect.succeed(undefined)))
    server.listen(file, () => resume(Effect.succeed(server)))
    server.unref()
  })

const probe = (file: string): Effect.Effect<"listening" | "refused" | "unknown"> =>
  Effect.callback((resume) => {
    if (Buffer.byteLength(file) > socketPathMax) return resume(Effect.succeed("unknown"))
    const socket = net.connect(file)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("listening"))
    })
    socket.once("error", (error) => {
      resume(Effect.succeed(codeOf(error) === "ECONNREFUSED" ? "refused" : "unknown"))
    })
  })

const attempt = <A>(directory: string, f: () => A): Effect.Effect<A, DirectoryUnusable> =>
  Effect.try({
    try: f,
    catch: (error) =>
      new DirectoryUnusable({
        directory,
        detail: error instanceof Error ? error.message : String(error)
      })
  })

/** Writes a file and waits for the disk, so that a loss of power leaves no lock without words. */
const write = (file: string, holder: Holder): void => {
  const descriptor = fs.openSync(file, "wx", 0o600)
  try {
    fs.writeSync(descriptor, JSON.stringify(holder))
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Makes a file appear, or answers false when it is there already. */
const link = (from: string, to: string): boolean => {
  try {
    fs.linkSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false
    throw error
  }
}

const remove = (file: string): void => fs.rmSync(file, { force: true })

/** What stands in a file without sense was no lock of ours: nobody lives who wrote it. */
const unreadable: Holder = {
  token: "unreadable",
  pid: 0,
  started: "",
  bootId: "unreadable",
  pidNamespace: "",
  hostname: ""
}

const read = (file: string): Holder | undefined => {
  try {
    return decode(JSON.parse(fs.readFileSync(file, "utf8")))
  } catch (error) {
    const code = codeOf(error)
    if (code === "ENOENT") return undefined
    // With a code it comes from the system and must be told; without one, from the words.
    if (code !== undefined) throw error
    return unreadable
  }
}

const decode = Schema.decodeUnknownSync(
  Schema.Struct({
    token: Schema.NonEmptyString,
    pid: Schema.Int,
    started: Schema.String,
    bootId: Schema.String,
    pidNamespace: Schema.String,
    hostname: Schema.String
  })
)

const readText = (file: string): string | undefined => quietly(() => fs.readFileSync(file, "utf8"))

/** What other systems than Linux do not have, and what a mount may hide. */
const quietly = (f: () => string): string | undefined => {
  try {
    return f().trim()
  } catch {
    return undefined
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined
