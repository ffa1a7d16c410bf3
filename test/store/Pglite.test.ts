import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, References, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Pglite from "../../src/store/Pglite.ts"
import * as PgliteUpkeep from "../../src/store/PgliteUpkeep.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"

const inside = <A, E>(directory: string, effect: Effect.Effect<A, E, SqlClient>) =>
  Effect.provide(effect, Pglite.layer({ directory }), { local: true })

const writer = fileURLToPath(new URL("Pglite.writer.ts", import.meta.url))

/** Runs on an empty database that ends with the test. */
const inNew = <A, E>(test: Effect.Effect<A, E, SqlClient>) =>
  Effect.flatMap(EmptyPglite.directory, (directory) => inside(directory, test))

/** Writes in another process until `stop` says so of what was acknowledged, then kills it. */
const killedWriter = (directory: string, stop: (lines: ReadonlyArray<string>) => boolean) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [writer, directory], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let text = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      if (stop(text.split("\n"))) child.kill("SIGKILL")
    })
    await once(child, "close")
    // The last line may have been cut.
    return text.split("\n").slice(1, -1).map(BigInt)
  })

/** Starts a writer and kills it while it makes the database. */
const killedEarly = (directory: string) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [writer, directory], { stdio: "ignore" })
    const parent = path.dirname(directory)
    // The maker's own directory appears first.
    fs.mkdirSync(parent, { recursive: true })
    const watcher = fs.watch(parent)
    await once(watcher, "change")
    watcher.close()
    child.kill("SIGKILL")
    await once(child, "close")
    assert.isFalse(fs.existsSync(directory))
  })

describe("Pglite", () => {
  it.live(
    "keeps statements, refusals and transactions of many fibers apart",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient
        yield* sql`create table mixed (id int primary key, text text not null)`
        const write = (n: number) =>
          Effect.gen(function* () {
            const rows = yield* sql<{ readonly id: number }>`
            insert into mixed values (${n}, ${`row ${n}`}) returning id
          `
            assert.deepStrictEqual(rows, [{ id: n }])
            const again = yield* Effect.flip(sql`insert into mixed values (${n}, 'again')`)
            assert.strictEqual(again.reason._tag, "UniqueViolation")
            if (n % 5 > 0) return
            const inner = sql`update mixed set text = 'gone' where id = ${n}`
            const half = Effect.andThen(inner, Effect.fail(n))
            assert.strictEqual(yield* Effect.flip(sql.withTransaction(half)), n)
          })
        yield* Effect.forEach(Array.from(Array(500).keys()), write, {
          concurrency: 100,
          discard: true
        })
        const [all] = yield* sql`
        select count(*)::int as rows, count(*) filter (where text = 'row ' || id)::int as whole
        from mixed
      `
        assert.deepStrictEqual(all, { rows: 500, whole: 500 })
      }).pipe(inNew),
    60_000
  )

  it.live(
    "opens again with what was written, after an end by scope and by SIGKILL",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* EmptyPglite.temporary, "deeper", "data")
        // Killed while it is made: nothing half-made is taken for a database.
        yield* killedEarly(directory)
        const acknowledged = new Set<bigint>()
        for (const count of [5, 500, 2000]) {
          const ids = yield* killedWriter(directory, (lines) => lines.length > count)
          for (const id of ids) acknowledged.add(id)
        }
        const rows = yield* inside(
          directory,
          Effect.flatMap(SqlClient, (sql) => sql<{ readonly id: bigint }>`select id from kept`)
        )
        const kept = new Set(rows.map(({ id }) => id))
        assert.isAbove(acknowledged.size, 2000)
        assert.deepStrictEqual(
          [...acknowledged].filter((id) => !kept.has(id)),
          []
        )
      }),
    60_000
  )

  it.live(
    "carries large values both ways, and results of many pieces",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient
        const body = Buffer.alloc(5_000_000, "body ")
        const [row] = yield* sql<{ readonly body: Uint8Array }>`select ${body}::bytea as body`
        assert.isTrue(body.equals(row!.body))
        const rows = yield* sql<{ readonly n: number }>`select n from generate_series(1, 50000) n`
        assert.strictEqual(rows.length, 50_000)
        assert.strictEqual(rows.at(-1)?.n, 50_000)
      }).pipe(inNew),
    60_000
  )

  it.live(
    "leaves nothing open when a transaction is interrupted",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient
        yield* sql`create table if not exists halves (n int)`
        const written = yield* Deferred.make<void>()
        const half = sql`insert into halves values (1)`.pipe(
          Effect.andThen(Deferred.succeed(written, undefined)),
          Effect.andThen(Effect.never),
          sql.withTransaction
        )
        const fiber = yield* Effect.forkChild(half)
        yield* Deferred.await(written)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* sql`select n from halves`, [])
      }).pipe(inNew),
    60_000
  )

  it.live(
    "fails what runs when it ends itself, and is opened again by the next statement",
    () =>
      Effect.gen(function* () {
        const directory = yield* EmptyPglite.directory
        const test = Effect.gen(function* () {
          const sql = yield* SqlClient
          yield* sql`create table kept as select 7 as n`
          // Without a place for its log Postgres panics, as on a full disk.
          fs.renameSync(path.join(directory, "pg_wal"), path.join(directory, "moved"))
          const write = Effect.forEach(
            [1, 2, 3],
            () => Effect.exit(sql`insert into kept select generate_series(1, 400000)`),
            { concurrency: "unbounded" }
          )
          for (const exit of yield* write) assert.isTrue(Exit.isFailure(exit))
          const ask = sql`select n from kept`.pipe(Effect.mapError(StoreError.from("test")))
          assert.isTrue((yield* Effect.flip(ask)).isRetryable)
          fs.renameSync(path.join(directory, "moved"), path.join(directory, "pg_wal"))
          const rows = yield* Effect.retry(ask, {
            while: (error) => error.isRetryable,
            schedule: Schedule.spaced("100 millis")
          })
          assert.deepStrictEqual(rows, [{ n: 7 }])
        })
        yield* inside(directory, test).pipe(
          Effect.provideService(References.MinimumLogLevel, "None")
        )
      }),
    60_000
  )

  it.live(
    "says why a directory cannot be opened",
    () =>
      Effect.gen(function* () {
        const directory = yield* EmptyPglite.temporary
        fs.writeFileSync(path.join(directory, "PG_VERSION"), "12\n")
        const error = yield* Effect.flip(inside(directory, Effect.void))
        assert.match(error.message, /cannot be opened: ./)
      }),
    60_000
  )
})

describe("PgliteUpkeep", () => {
  it.live(
    "checkpoints a long log and vacuums what has changed much, and else does nothing",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient
        const sizes = sql<{ readonly log: bigint; readonly dead: bigint }>`
        select
          (select (pg_current_wal_insert_lsn() - redo_lsn)::bigint from pg_control_checkpoint()) as log,
          (select n_dead_tup from pg_stat_user_tables where relname = 'churn') as dead
      `
        yield* sql`create table churn (n int, body text)`
        yield* sql`insert into churn select n, repeat('x', 900) from generate_series(1, 80000) n`
        yield* sql`delete from churn`
        // Statistics arrive between statements, at most once a second.
        const before = yield* Effect.repeat(sizes, { until: ([row]) => row!.dead > 0n })
        assert.isAbove(Number(before[0]!.log), 64 * 1_048_576)
        yield* PgliteUpkeep.checkpoint(sql)
        assert.isBelow(Number((yield* sizes)[0]!.log), 1_048_576)
        yield* PgliteUpkeep.vacuum(sql)
        yield* Effect.repeat(sizes, { until: ([row]) => row!.dead === 0n })
      }).pipe(inNew),
    60_000
  )
})
