/**
 * Counts what only the store knows, for the metrics: what is owed, since when, and how webhooks stand.
 *
 * Promises: asked ever so often, the store is asked every five seconds at most; what is counted is
 * bounded, so that a backlog of millions costs no more than one of 100,000, and is estimated from
 * there on. A store that is away is no failure here: its gauge says so and the others stay.
 */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Metrics from "../telemetry/Metrics.ts"
import * as ProcessMetrics from "../telemetry/ProcessMetrics.ts"
import { earliest } from "./EarliestSql.ts"
import { instant, int } from "./Parameters.ts"

/** Brings the gauges up to date that only the store and the process know. */
export class Census extends Context.Service<
  Census,
  {
    /** Brings the gauges of the store and of the process up to date. */
    readonly refresh: Effect.Effect<void>
  }
>()("posthaste/store/Census") {
  /** Counts in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    Census,
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const readProcess = yield* ProcessMetrics.make
      const readStore = count(sql).pipe(
        Effect.timeout(answersWithin),
        Effect.flatMap((counts) => Effect.andThen(show(counts), Metric.update(Metrics.storeUp, 1))),
        Effect.catchCause(() => Metric.update(Metrics.storeUp, 0))
      )
      return Census.of({
        refresh: yield* Effect.cachedWithTTL(Effect.andThen(readProcess, readStore), keptFor)
      })
    })
  )
}

const keptFor = "5 seconds"
const answersWithin = "2 seconds"

/** Rows that are counted one by one. */
const countedRows = 100_000

/** What the store holds at a moment. */
export interface Counts {
  readonly enabled: number
  readonly paused: number
  readonly disabled: number
  readonly open: number
  readonly halfOpen: number
  readonly pending: number
  readonly waiting: number
  readonly held: number
  readonly due: number
  /** Epoch milliseconds since when the oldest that could go out is due, or null. */
  readonly oldestDueAt: number | null
  readonly active: number
  readonly idle: number
}

interface Row {
  readonly enabled: number
  readonly paused: number
  readonly disabled: number
  readonly open: number
  readonly half_open: number
  readonly owed: number
  readonly fresh: number
  readonly waiting: number
  readonly stopped: number
  readonly due: number
  readonly share: number
  readonly oldest_due_at: Date | null
  readonly active: number
  readonly idle: number
}

/**
 * Counts everything in one statement.
 *
 * **Details**
 *
 * The earliest delivery of each webhook is found by jumping along the index, as the agenda does; the
 * rest is read webhook by webhook until the bound. How much more there is, the planner's statistics
 * say.
 */
export const count = Effect.fnUntraced(function* (sql: SqlClient, countedMax = countedRows) {
  const now = yield* Clock.currentTimeMillis
  const bound = int(countedMax)
  const [row] = yield* sql<Row>`
    with recursive ${earliest(sql)}, standing as (
      select w.id, w.status, h.circuit_open_until as until
      from webhook w left join webhook_health h on h.webhook_id = w.id
    ), backlog as (
      select e.webhook_id, e.due_at,
        s.status = 'enabled' and (s.until is null or s.until <= ${instant(now)}) as flows,
        s.status <> 'enabled' or s.until is not null as held
      from earliest e join standing s on s.id = e.webhook_id
    ), counted as materialized (
      select b.held, b.flows and t.due_at <= ${instant(now)} as due, t.attempts = 0 as fresh
      from backlog b join lateral (
        select due_at, attempts from waiting where webhook_id = b.webhook_id order by due_at
        limit ${bound}
      ) t on true
      limit ${bound}
    ), webhooks as (
      select
        count(*) filter (where status = 'enabled') as enabled,
        count(*) filter (where status = 'paused') as paused,
        count(*) filter (where status = 'disabled') as disabled,
        count(*) filter (where until > ${instant(now)}) as open,
        count(*) filter (where until <= ${instant(now)}) as half_open
      from standing
    ), deliveries as (
      select count(*) as counted, count(*) filter (where due) as due,
        count(*) filter (where held) as stopped,
        count(*) filter (where fresh and not held) as fresh
      from counted
    ), sessions as (
      select count(*) filter (where state = 'active') as active,
        count(*) filter (where state like 'idle%') as idle
      from pg_stat_activity
      where application_name like 'posthaste%' and datname = current_database()
    )
    select w.enabled::float8, w.paused::float8, w.disabled::float8, w.open::float8,
      w.half_open::float8, s.active::float8, s.idle::float8,
      (select count(*) from (select from owed limit ${bound}) o)::float8 as owed,
      d.fresh::float8 as fresh, (d.counted - d.stopped - d.fresh)::float8 as waiting, d.stopped::float8 as stopped,
      d.due::float8 as due,
      case when d.counted < ${bound} then 1
        else greatest(1, (
          select reltuples::float8 from pg_class where oid = 'waiting'::regclass
        ) / ${bound}) end::float8 as share,
      (select min(due_at) from backlog where flows and due_at <= ${instant(now)}) as oldest_due_at
    from webhooks w, deliveries d, sessions s`
  return countsOf(row!)
})

const countsOf = (row: Row): Counts => ({
  enabled: row.enabled,
  paused: row.paused,
  disabled: row.disabled,
  open: row.open,
  halfOpen: row.half_open,
  pending: row.owed + Math.round(row.fresh * row.share),
  waiting: Math.round(row.waiting * row.share),
  held: Math.round(row.stopped * row.share),
  due: Math.round(row.due * row.share),
  oldestDueAt: row.oldest_due_at?.getTime() ?? null,
  active: row.active,
  idle: row.idle
})

const show = Effect.fnUntraced(function* (counts: Counts) {
  const now = yield* Clock.currentTimeMillis
  const { circuits, connections, deliveriesOpen, webhooks } = Metrics
  yield* Metric.update(webhooks.enabled, counts.enabled)
  yield* Metric.update(webhooks.paused, counts.paused)
  yield* Metric.update(webhooks.disabled, counts.disabled)
  yield* Metric.update(circuits.open, counts.open)
  yield* Metric.update(circuits.half_open, counts.halfOpen)
  yield* Metric.update(deliveriesOpen.pending, counts.pending)
  yield* Metric.update(deliveriesOpen.waiting, counts.waiting)
  yield* Metric.update(deliveriesOpen.held, counts.held)
  yield* Metric.update(Metrics.backlogDue, counts.due)
  const since = counts.oldestDueAt ?? now
  yield* Metric.update(Metrics.backlogOldest, Math.max(0, now - since) / 1_000)
  yield* Metric.update(connections.active, counts.active)
  yield* Metric.update(connections.idle, counts.idle)
})
