/**
 * What the machine and the harness can do at this moment without the service: the same requests sent
 * straight to the receiver, and plain batched inserts of the same bytes. Every figure of the service
 * is read beside these, because a busy machine slows both.
 */
import { data } from "./Body.ts"
import * as Cpu from "./Cpu.ts"
import { connect } from "./Database.ts"
import type { Ground } from "./Ground.ts"
import { monotonicMs } from "./MonotonicClock.ts"
import type { Rig } from "./Rig.ts"
import { percentile } from "./Stats.ts"

/** The harness without the service between. */
export interface Direct {
  readonly requestsPerSecond: number
  /** Publisher's and receiver's CPU per request, in microseconds. */
  readonly publisherUs: number
  readonly receiverUs: number
}

/** Latency of the harness without the service between, in milliseconds. */
export interface DirectLatency {
  readonly answerP50: number
  readonly answerP99: number
  readonly arrivalP50: number
  readonly arrivalP99: number
}

/** Plain inserts: batches of 100 on two connections, a uuid key and a bytea. */
export interface Inserts {
  readonly rowsPerSecond: number
  /** Postgres's CPU per row, in microseconds. */
  readonly postgresUs: number
  readonly walBytes: number
}

/** Measures how many requests a second go straight from the publisher to the receiver. */
export const measureDirect = async (
  rig: Rig,
  options: { readonly connections: number; readonly bytes?: number }
): Promise<Direct> => {
  const bytes = options.bytes ?? 1000
  const load = await rig.direct({ rate: null, seconds: 2, connections: options.connections, bytes })
  return {
    requestsPerSecond: load.publishedPerSecond,
    publisherUs: (load.published.cpuMs / load.acknowledged) * 1000,
    receiverUs: (load.received.cpuMs / load.acknowledged) * 1000
  }
}

/** Measures latency straight from the publisher to the receiver at a rate. */
export const measureDirectLatency = async (rig: Rig, rate: number): Promise<DirectLatency> => {
  const load = await rig.direct({ rate, seconds: 2 })
  return {
    answerP50: percentile(load.publishLatency, 50),
    answerP99: percentile(load.publishLatency, 99),
    arrivalP50: percentile(load.deliveryLatency, 50),
    arrivalP99: percentile(load.deliveryLatency, 99)
  }
}

/** Measures how many rows a second plain inserts write, for two seconds. */
export const measureInserts = async (ground: Ground, bytes = 1000): Promise<Inserts> => {
  const url = await ground.createDatabase()
  const connections = [connect(url), connect(url)]
  const [first] = connections
  await first!.query("create table reference (id uuid primary key, body bytea not null)")
  const body = Buffer.from(data(bytes))
  const bodies = Array.from({ length: 100 }, () => body)
  let next = 0
  const insertUntil = async (end: number, connection: (typeof connections)[number]) => {
    let rows = 0
    while (monotonicMs() < end) {
      const ids = bodies.map(() => ascendingUuid(next++))
      await connection.query(
        "insert into reference (id, body) select * from unnest($1::uuid[], $2::bytea[])",
        [ids, bodies]
      )
      rows += bodies.length
    }
    return rows
  }
  const insertFor = async (ms: number) => {
    const end = monotonicMs() + ms
    const rows = await Promise.all(connections.map((connection) => insertUntil(end, connection)))
    return rows.reduce((sum, count) => sum + count, 0)
  }
  const wal = async () => {
    const [row] = await first!.query<{ wal: number }>(
      "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal"
    )
    return row?.wal ?? 0
  }
  await insertFor(500)
  const before = { at: monotonicMs(), cpu: Cpu.treeMs(ground.postgres.pid), wal: await wal() }
  const rows = await insertFor(2_000)
  const ms = monotonicMs() - before.at
  const cpuMs = Cpu.treeMs(ground.postgres.pid) - before.cpu
  const walBytes = (await wal()) - before.wal
  await Promise.all(connections.map((connection) => connection.close()))
  await ground.dropDatabase(url)
  return {
    rowsPerSecond: (rows / ms) * 1000,
    postgresUs: (cpuMs / rows) * 1000,
    walBytes: walBytes / rows
  }
}

/** Makes version 7 UUIDs that ascend by one, as the service's do. */
const ascendingUuid = (number: number): string => {
  const hex = number.toString(16).padStart(12, "0")
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
