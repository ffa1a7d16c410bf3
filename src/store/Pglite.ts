/**
 * Runs Postgres inside this process, on a directory, behind the same client as a Postgres server.
 *
 * Promises: a commit that was answered is in the kernel, so it survives SIGKILL of this process
 * (not the loss of power: PGlite has no fsync); a directory either holds a whole database or none,
 * also when the very first start is killed; a database that ended itself (disk full, out of memory)
 * fails its statements as lost connections and is opened again by the next one.
 *
 * Leaves to others: that nobody else opens the directory (DirectoryLock), and what the background
 * processes of Postgres would do (PgliteUpkeep): there are none.
 *
 * **Gotchas** There is one session, so transactions exclude all other statements. A statement runs
 * to its end on the main thread: neither a timeout nor an interruption stops it, and nothing else
 * happens meanwhile. LISTEN is not supported.
 */
import type { PGlite } from "@electric-sql/pglite"
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, type Layer, Schema, Scheduler, Semaphore } from "effect"
import type { Scope } from "effect/Scope"
import type { SqlClient } from "effect/sql/SqlClient"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as PgliteStream from "./PgliteStream.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"

/** Where an embedded database lives. */
export interface Options {
  /** The directory of the database itself; its parents are made when they are missing. */
  readonly directory: string
}

/** Reports that the embedded database could not be made or opened. */
export class PgliteUnavailable extends Schema.TaggedError<PgliteUnavailable>()(
  "PgliteUnavailable",
  { directory: Schema.String, detail: Schema.String, cause: Schema.Defect() }
) {
  /** Names the directory and repeats what Postgres had to say. */
  override get message(): string {
    return `the embedded database in ${this.directory} cannot be opened: ${this.detail}`
  }
}

/** Opens the database of a directory, made on first use, and closes it with the scope. */
export const layer = (
  options: Options
): Layer.Layer<PgClient.PgClient | SqlClient, PgliteUnavailable> =>
  PgClient.layerFrom(
    Effect.gen(function* () {
      const backend = yield* make(options.directory)
      // The driver wraps it in its own error, which shows no more of it than a message.
      const orError = Effect.mapError(backend, ({ message }) => new Error(message))
      const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
      const run = Effect.runPromiseWith(yield* Effect.context())
      return yield* PgClient.make({
        stream: () =>
          PgliteStream.make({
            backend: () => run(orError),
            schedule: (task) => dispatcher.scheduleTask(task, 0)
          }),
        ssl: false,
        username: "postgres",
        database: "postgres",
        applicationName: "posthaste",
        connectTimeout: "30 seconds",
        // PGlite has one session; a second connection would read the first one's answers.
        maxConnections: 1,
        minConnections: 1,
        multiplex: true,
        multiplexConcurrency: 128
      }).pipe(Effect.mapError((error) => unavailable(options.directory, error)))
    })
  )

/**
 * The settings that differ from PGlite's own. `shared_buffers` is most of what an idle database
 * keeps resident; `max_wal_size` bounds what a checkpoint leaves behind for reuse. Plans keep to the
 * indexes, as they do on a server.
 */
const settings = [
  "shared_buffers=16MB",
  "min_wal_size=32MB",
  "max_wal_size=128MB",
  "enable_seqscan=off",
  "jit=off"
]

/** A database that failed to open is not tried again before this time has passed. */
const reopenAfterMs = 1000

interface Instance extends PgliteStream.Backend {
  readonly close: Effect.Effect<void>
}

const make = Effect.fnUntraced(function* (
  directory: string
): Effect.fn.Return<
  Effect.Effect<PgliteStream.Backend, PgliteUnavailable>,
  PgliteUnavailable,
  Scope
> {
  const clock = yield* Clock.Clock
  const one = yield* Semaphore.make(1)
  let instance = yield* open(directory)
  let failed: { readonly at: number; readonly error: PgliteUnavailable } | undefined
  yield* Effect.addFinalizer(() => Effect.suspend(() => instance.close))

  const reopen = Effect.gen(function* () {
    const now = clock.currentTimeMillisUnsafe()
    if (failed !== undefined && now - failed.at < reopenAfterMs) return yield* failed.error
    if (failed === undefined) {
      yield* log("pglite_reopened", {
        directory,
        reason: instance.ended()?.message ?? "it had ended"
      })
    }
    yield* instance.close
    instance = yield* Effect.tapError(open(directory), (error) =>
      Effect.sync(() => {
        failed = { at: now, error }
      })
    )
    failed = undefined
  })

  return one.withPermits(1)(
    Effect.gen(function* () {
      if (instance.ended() !== undefined) yield* reopen
      return instance
    })
  )
})

const open = (directory: string): Effect.Effect<Instance, PgliteUnavailable> =>
  Effect.tryPromise({
    try: async () => {
      if (!fs.existsSync(path.join(directory, "PG_VERSION"))) await create(directory)
      const { PGlite } = await import("@electric-sql/pglite")
      return watch(await start(PGlite, directory))
    },
    catch: (cause) => unavailable(directory, cause)
  }).pipe(Effect.uninterruptible)

/**
 * Makes the database beside its place and moves it there, so that half of one is never opened. A
 * child process does it, because initdb leaves 200 MB behind that only a process's end gives back.
 * Its directory has a name of its own: a child whose parent was killed may still be writing.
 */
const create = async (directory: string): Promise<void> => {
  const parent = path.dirname(directory)
  const prefix = `${path.basename(directory)}.new-`
  fs.mkdirSync(parent, { recursive: true, mode: 0o700 })
  for (const name of fs.readdirSync(parent)) {
    if (name.startsWith(prefix)) fs.rmSync(path.join(parent, name), { recursive: true })
  }
  const unfinished = fs.mkdtempSync(path.join(parent, prefix))
  const module = import.meta.resolve("@electric-sql/pglite")
  const child = ["--input-type=module", "--eval", initialize, module, unfinished]
  await new Promise<void>((resolve, reject) => {
    // None of the variables of a program that embeds us, which may name hooks or a debugger.
    execFile(process.execPath, child, { env: {} }, (error, _, said) => {
      if (error === null) resolve()
      else reject(said === "" ? error : new Error(said))
    })
  })
  reach("pglite.made")
  fs.renameSync(unfinished, directory)
}

const initialize = `
  try {
    const { PGlite } = await import(process.argv[1])
    const database = await PGlite.create(process.argv[2])
    await database.close()
  } catch (error) {
    process.stderr.write(error.message)
    process.exit(1)
  }
`

interface Started {
  readonly database: PGlite
  /** What Postgres said last of a failure. */
  readonly reason: () => string | undefined
}

const start = async (Pglite: typeof PGlite, directory: string): Promise<Started> => {
  let said: string | undefined
  const parameters = settings.flatMap((setting) => ["-c", setting])
  try {
    const database = await Pglite.create({
      dataDir: directory,
      startParams: [...Pglite.defaultStartParams, ...parameters],
      onStderr: (line) => {
        said = /(?:FATAL|PANIC): +(.*)/.exec(line)?.[1] ?? said
        return false
      }
    })
    return { database, reason: () => said }
  } catch (cause) {
    throw said === undefined ? cause : new Error(said)
  }
}

/**
 * Makes an end of the database visible. PGlite swallows what its WebAssembly throws and would call
 * the dead module for ever: after a PANIC the next statement never returns.
 */
const watch = ({ database, reason }: Started): Instance => {
  const module = database.Module
  const { _PostgresMainLoopOnce, stackRestore } = module
  const { _PostgresSendReadyForQueryIfNecessary, _pgl_pq_flush } = module
  let ended: Error | undefined
  const end = (cause: unknown) => {
    ended ??= new Error(reason() ?? String(cause))
  }
  module._PostgresMainLoopOnce = () => {
    try {
      _PostgresMainLoopOnce()
    } catch (cause) {
      if (!isPostgresError(cause)) end(cause)
      throw cause
    }
  }
  // PGlite restores the stack in the handler that swallows, the one place to leave its loop from.
  module.stackRestore = (pointer) => {
    if (ended !== undefined) throw ended
    return stackRestore(pointer)
  }
  module._PostgresSendReadyForQueryIfNecessary = () => {
    if (ended === undefined) _PostgresSendReadyForQueryIfNecessary()
  }
  module._pgl_pq_flush = () => {
    if (ended === undefined) _pgl_pq_flush()
  }

  return {
    ended: () => ended,
    exec: (messages) => {
      const chunks: Array<Uint8Array> = []
      // Without a sync of its file system this runs to the end before it returns its promise, and
      // there is nothing to sync: files are written as they change.
      database
        .execProtocolRawStream(messages, {
          syncToFs: false,
          // The bytes belong to WebAssembly and change after the call.
          onRawData: (bytes) => void chunks.push(bytes.slice())
        })
        .catch(end)
      return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    },
    close: Effect.suspend(() =>
      ended === undefined
        ? Effect.promise(() => database.close())
        : Effect.sync(() => module.FS.quit())
    ).pipe(Effect.catchCause((cause) => log("pglite_unclean", {}, cause)))
  }
}

/** An error of a statement jumps to the main loop by this exit status; anything else is an end. */
const isPostgresError = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "status" in cause && cause.status === 100

const unavailable = (directory: string, cause: unknown): PgliteUnavailable =>
  new PgliteUnavailable({
    directory,
    detail: cause instanceof Error ? cause.message : String(cause),
    cause
  })
