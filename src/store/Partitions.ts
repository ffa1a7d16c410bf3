/**
 * Prepares the daily partitions of messages and attempts before their day comes.
 *
 * Promises: any number of processes may do it at once and again; when nothing is missing it is one
 * look at the catalogue; a day that already has rows in the default partition stays there.
 *
 * Leaves to others: dropping partitions whose days are over (Retention), and coming back every day.
 */
import { DateTime, Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"

/** The tables that are partitioned by the day of a message, and the id that says the day. */
const tables = [
  { table: "message", id: "id" },
  { table: "attempt", id: "delivery_id" }
] as const

/** Days that are prepared, counted from today: yesterday is for clocks that disagree. */
const days = [-1, 0, 1, 2, 3]

const dayMs = 86_400_000

/** Creates what is missing for yesterday, today and the next three days in UTC. */
export const ensure: (now: number) => Effect.Effect<void, StoreError, SqlClient> = Effect.fn(
  "Partitions.ensure"
)(
  function* (now: number) {
    const sql = yield* SqlClient
    const wanted = days.flatMap((offset) =>
      tables.map((table) => partitionOf(table, Math.floor(now / dayMs) + offset))
    )
    const missing = yield* sql<{ readonly name: string }>`
    select name from unnest(${wanted.map(({ name }) => name)}::text[]) as wanted (name)
    where to_regclass(name) is null
  `
    const names = new Set(missing.map(({ name }) => name))
    for (const partition of wanted) if (names.has(partition.name)) yield* create(sql, partition)
  },
  Effect.mapError(StoreError.from("Partitions.ensure"))
)

/** A day in UTC: its first instant in epoch milliseconds, its first id, and that of the next day. */
export interface Day {
  readonly start: number
  readonly from: string
  readonly to: string
}

/** Finds the days that have a partition and ended by an instant in epoch milliseconds, oldest first. */
export const past: (before: number) => Effect.Effect<ReadonlyArray<Day>, SqlError, SqlClient> =
  Effect.fnUntraced(function* (before: number) {
    const sql = yield* SqlClient
    const rows = yield* sql<{ readonly day: string }>`
      select distinct substring(c.relname from '_p([0-9]{8})$') as day
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent in ('message'::regclass, 'attempt'::regclass)
        and c.relname ~ '_p[0-9]{8}$'
      order by day`
    return rows
      .map(({ day }) =>
        Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6)))
      )
      .filter((start) => start + dayMs <= before)
      .map((start) => ({ start, from: firstId(start), to: firstId(start + dayMs) }))
  })

/** The name of a table's partition for the UTC day of an instant in epoch milliseconds. */
export const nameOf = (table: "message" | "attempt", instant: number): string =>
  `${table}_p${DateTime.formatIsoDateUtc(DateTime.makeUnsafe(instant)).replaceAll("-", "")}`

/** The least UUIDv7 that an instant in epoch milliseconds can begin. */
export const firstId = (instant: number): string => {
  const hex = instant.toString(16).padStart(12, "0")
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

interface Partition {
  readonly table: string
  readonly id: string
  readonly name: string
  readonly from: string
  readonly to: string
}

const partitionOf = ({ id, table }: (typeof tables)[number], day: number): Partition => ({
  table,
  id,
  name: nameOf(table, day * dayMs),
  from: firstId(day * dayMs),
  to: firstId((day + 1) * dayMs)
})

/** Any number that no other user of advisory locks in this database takes. */
const advisoryLock = 7_460_002

const create = (sql: SqlClient, { from, id, name, table, to }: Partition) =>
  Effect.gen(function* () {
    const exec = (text: string) => sql.unsafe(text).unprepared
    // The default partition is locked meanwhile, and whoever needs it queues behind this.
    yield* exec("set local lock_timeout = '2s'")
    yield* sql`select pg_advisory_xact_lock(${advisoryLock})`
    const [found] = yield* sql.unsafe<{ readonly taken: boolean }>(`
      select to_regclass('${name}') is not null
        or exists (select from ${table}_default where ${id} >= '${from}' and ${id} < '${to}')
        as taken
    `)
    if (found?.taken === true) return
    yield* exec(
      `create table ${name} partition of ${table} for values from ('${from}') to ('${to}')`
    )
    reach("partition.created")
  }).pipe(
    sql.withTransaction,
    // A row of that day came into the default partition after the look at it.
    Effect.catchReason("SqlError", "ConstraintError", () => Effect.void)
  )
