/**
 * Brings the database to the schema of this version, forward only.
 *
 * Promises: each migration commits wholly or not at all, together with the row that records it, so a
 * kill leaves the schema before or after it; processes that start at the same time run each
 * migration once; a database that knows more migrations than this version is left untouched.
 *
 * Leaves to others: making migrations that old and new versions can both live with. A statement that
 * refuses to run in a transaction (create index concurrently) does not fit in here.
 */
import { Clock, Effect, Layer, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { readFile } from "node:fs/promises"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"

/** A migration that this version knows. */
export interface Migration {
  readonly id: number
  readonly name: string
}

/** A migration, and when it ran in epoch milliseconds: null while it is pending. */
export interface MigrationStatus extends Migration {
  readonly appliedAt: number | null
}

/** Reports that migrating cannot go on: the schema is of a later version, or a file is missing. */
export class MigrationError extends Schema.TaggedError<MigrationError>()("MigrationError", {
  reason: Schema.Literals(["SchemaTooNew", "Unreadable"]),
  detail: Schema.String
}) {
  /** Says which migration stands in the way. */
  override get message(): string {
    return this.detail
  }
}

const files = [
  "0001_initial",
  "0002_publishing",
  "0003_hold",
  "0004_auth",
  "0005_tenants",
  "0006_routing",
  "0007_redelivery",
  "0008_notices",
  "0009_ordering",
  "0010_lists",
  "0012_configured",
  "0013_ad_hoc",
  "0014_audit",
  "0015_limits"
]

const known: ReadonlyArray<Migration> = files.map((file) => ({
  id: Number(file.slice(0, 4)),
  name: file.slice(5)
}))

/** Runs what is pending, in order, and answers what this call ran. */
export const run: Effect.Effect<
  ReadonlyArray<Migration>,
  StoreError | MigrationError,
  SqlClient
> = Effect.gen(function* () {
  const ran: Array<Migration> = []
  while (true) {
    const migration = yield* runNext.pipe(
      Effect.retry({ while: isLockTimeout, schedule: Schedule.spaced("1 second"), times: 30 }),
      Effect.mapError(StoreError.from("Migrations.run"))
    )
    if (migration === undefined) return ran
    reach("migration.committed")
    yield* log("schema_migrated", { migration: fileOf(migration) })
    ran.push(migration)
  }
})

/** Lists the migrations of this version, in order, with the time at which each ran. */
export const status: Effect.Effect<
  ReadonlyArray<MigrationStatus>,
  StoreError,
  SqlClient
> = Effect.gen(function* () {
  const sql = yield* SqlClient
  const [table] = yield* sql<{ readonly exists: boolean }>`
    select to_regclass('posthaste_migration') is not null as exists
  `
  const applied = new Map<number, number>()
  if (table?.exists === true) {
    const rows = yield* sql<{ readonly id: number; readonly appliedAt: Date }>`
      select id, applied_at as "appliedAt" from posthaste_migration
    `
    for (const { appliedAt, id } of rows) applied.set(id, appliedAt.getTime())
  }
  return known.map((migration) => ({
    ...migration,
    appliedAt: applied.get(migration.id) ?? null
  }))
}).pipe(Effect.mapError(StoreError.from("Migrations.status")))

/** Runs what is pending before the layers above are built. */
export const layer: Layer.Layer<never, StoreError | MigrationError, SqlClient> =
  Layer.effectDiscard(run)

/** Any number that no other user of advisory locks in this database takes. */
const advisoryLock = 7_460_001

/** Runs the first pending migration in a transaction, and answers it. */
const runNext: Effect.Effect<Migration | undefined, SqlError | MigrationError, SqlClient> =
  Effect.gen(function* () {
    const sql = yield* SqlClient
    const exec = (text: string) => sql.unsafe(text).unprepared
    const body = Effect.gen(function* () {
      // Both waits are long: for another starter's migrations, and for a migration of large tables.
      yield* exec("set local statement_timeout = 0")
      yield* exec("set local lock_timeout = 0")
      yield* sql`select pg_advisory_xact_lock(${advisoryLock})`
      reach("migration.locked")
      yield* exec(`create table if not exists posthaste_migration (
      id integer primary key,
      name text not null,
      applied_at timestamptz not null
    )`)
      const rows = yield* sql<{ readonly id: number; readonly name: string }>`
      select id, name from posthaste_migration order by id
    `
      const unknown = rows.find((row) => !known.some(({ id }) => id === row.id))
      if (unknown !== undefined) {
        return yield* new MigrationError({
          reason: "SchemaTooNew",
          detail: `the database holds migration ${fileOf(unknown)}, which this version does not know: run a newer version`
        })
      }
      const next = known.find(({ id }) => !rows.some((row) => row.id === id))
      if (next === undefined) return undefined
      const text = yield* read(next)
      // Old versions that are still running would queue behind a migration that waits for a lock.
      yield* exec("set local lock_timeout = '2s'")
      yield* exec(script(text))
      reach("migration.ran")
      const now = yield* Clock.currentTimeMillis
      yield* sql`
      insert into posthaste_migration (id, name, applied_at)
      values (${next.id}, ${next.name}, to_timestamp(${now}::float8 / 1000))
    `
      reach("migration.recorded")
      return next
    })
    return yield* sql.withTransaction(body)
  })

/**
 * One statement that runs all statements of a file: the server itself finds where each ends, which
 * the wire protocol does only for queries without parameters, and this driver has none of those.
 */
const script = (text: string): string =>
  `do $posthaste_do$ begin execute $posthaste_file$${text}$posthaste_file$; end $posthaste_do$`

const fileOf = ({ id, name }: Migration): string => `${String(id).padStart(4, "0")}_${name}`

/** The folder lies beside src/ and, in the published package, beside dist/. */
const read = (migration: Migration): Effect.Effect<string, MigrationError> =>
  Effect.tryPromise({
    try: () =>
      readFile(new URL(`../../migrations/${fileOf(migration)}.sql`, import.meta.url), "utf8"),
    catch: () =>
      new MigrationError({
        reason: "Unreadable",
        detail: `the file of migration ${fileOf(migration)} cannot be read`
      })
  })

const isLockTimeout = (error: unknown): boolean =>
  isSqlError(error) &&
  (error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError")
