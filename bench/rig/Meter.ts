/**
 * Reads what service and database have spent, before and after, and subtracts.
 */
import * as Cpu from "./Cpu.ts"
import type { Connection } from "./Database.ts"
import { monotonicMs } from "./MonotonicClock.ts"

/** What was spent between two readings. */
export interface Spent {
  readonly ms: number
  readonly serviceCpuMs: number
  /** NaN where the database is part of the service. */
  readonly postgresCpuMs: number
  /** CPU of everything else on the machine: publisher, receiver and strangers. */
  readonly otherCpuMs: number
  /** Statements that the database ran; NaN where it does not count them. */
  readonly statements: number
  /** Bytes of write-ahead log; NaN without a database server. */
  readonly walBytes: number
}

/** What is read. */
export interface Metered {
  readonly servicePid: number
  readonly postgresPid: number | null
  readonly connection: Connection | null
  readonly countsStatements: boolean
}

/** Takes a reading; the function it answers takes another one and tells the difference. */
export const start = async (metered: Metered): Promise<() => Promise<Spent>> => {
  const before = await read(metered)
  return async () => {
    const after = await read(metered)
    const serviceCpuMs = after.service - before.service
    const postgresCpuMs = after.postgres - before.postgres
    const known = serviceCpuMs + (Number.isNaN(postgresCpuMs) ? 0 : postgresCpuMs)
    return {
      ms: after.at - before.at,
      serviceCpuMs,
      postgresCpuMs,
      otherCpuMs: after.machine - before.machine - known,
      statements: after.statements - before.statements,
      walBytes: after.walBytes - before.walBytes
    }
  }
}

const read = async ({ connection, countsStatements, postgresPid, servicePid }: Metered) => {
  const counters = connection === null ? nothing : await readCounters(connection, countsStatements)
  return {
    ...counters,
    at: monotonicMs(),
    service: Cpu.processMs(servicePid),
    postgres: postgresPid === null ? Number.NaN : Cpu.treeMs(postgresPid),
    machine: Cpu.machineMs()
  }
}

const nothing = { statements: Number.NaN, walBytes: Number.NaN }

const readCounters = async (connection: Connection, countsStatements: boolean) => {
  const statements = countsStatements
    ? `select coalesce(sum(calls), 0) from pg_stat_statements
       where dbid = (select oid from pg_database where datname = current_database())
         and query not like '%pg_stat_statements%'`
    : "select 'NaN'"
  const [row] = await connection.query<{ statements: number; wal: number }>(
    `select (${statements})::float8 as statements,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal`
  )
  return { statements: Number(row?.statements), walBytes: Number(row?.wal) }
}
