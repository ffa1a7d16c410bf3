/**
 * Does for an embedded database what the background processes of a Postgres server do, for PGlite
 * has none: without checkpoints the write-ahead log would grow for ever and a start after a kill
 * would read all of it, and without vacuum the tables would.
 *
 * Promises: looks every few seconds, and does at most one piece of work at a time, since everything
 * else waits meanwhile. What fails is logged and tried again.
 */
import { Cause, Effect, Layer, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { log } from "../telemetry/Log.ts"

/** Log written since the last checkpoint, in bytes, that asks for the next. */
const checkpointBytes = 64 * 1_048_576

/** Rows changed since the last vacuum that ask for one: this many and a fifth of the table. */
const vacuumRows = 1000

/** Transactions after which a table's rows must be frozen; Postgres stops at two thousand million. */
const freezeAge = 200_000_000

/** Looks after the database until the scope closes. */
export const layer: Layer.Layer<never, never, SqlClient> = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* SqlClient
    yield* Effect.andThen(vacuum(sql), checkpoint(sql)).pipe(
      Effect.catch((error) => log("pglite_unkept", {}, Cause.fail(error))),
      Effect.repeat(Schedule.spaced("5 seconds")),
      Effect.forkScoped
    )
  })
)

/** Writes the changed pages out when much has been logged. */
export const checkpoint = Effect.fnUntraced(function* (sql: SqlClient) {
  const [row] = yield* sql<{ readonly due: boolean }>`
    select pg_current_wal_insert_lsn() - redo_lsn > ${checkpointBytes} as due
    from pg_control_checkpoint()
  `
  if (row?.due === true) yield* sql`checkpoint`.unprepared
})

/** Vacuums and analyzes the table that needs it most, if one does. */
export const vacuum = Effect.fnUntraced(function* (sql: SqlClient) {
  const [table] = yield* sql<{ readonly name: string }>`
    select c.oid::regclass::text as name
    from pg_class c
    join pg_stat_all_tables s on s.relid = c.oid
    where c.relkind in ('r', 'm')
      and (
        greatest(s.n_dead_tup, s.n_ins_since_vacuum / 5, s.n_mod_since_analyze)
          > ${vacuumRows} + 0.2 * greatest(c.reltuples, 0)
        or age(c.relfrozenxid) > ${freezeAge}
      )
    order by age(c.relfrozenxid) > ${freezeAge} desc, s.n_dead_tup desc, s.n_mod_since_analyze desc
    limit 1
  `
  if (table !== undefined) yield* sql.unsafe(`vacuum (analyze) ${table.name}`).unprepared
})
