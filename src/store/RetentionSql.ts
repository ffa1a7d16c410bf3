/**
 * Retention in Postgres or PGlite: a day's partitions are dropped whole, and what is in the way of
 * that is removed row by row.
 *
 * ```
 * day is over ──► surveyed ──► few messages are kept    they move to the default partition,
 *                    │                                  and the day is dropped
 *                    └───────► many are                 the others are deleted in batches
 * ```
 *
 * A partition is dropped under a lock that waits for a tenth of a second at most, since all who
 * publish wait behind it. Rows are deleted under locks that a redelivery takes too, so no message goes
 * while one of its deliveries is opened again.
 */
import { Duration, Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { fromUuid } from "../domain/TypeId.ts"
import { instant, int, uuid, uuids } from "./Parameters.ts"
import * as Partitions from "./Partitions.ts"
import * as RetentionRows from "./RetentionRows.ts"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"

/** Messages of a day that may move for the day to be dropped, and their bytes. */
const keptMax = { messages: 1_000, bytes: 16 * 1_048_576 }

/** Attempts that one step of a survey reads. */
const surveyRows = 20_000

/** Ad-hoc webhooks that one look finds. */
const unusedRows = 1_000

/** Rests after a step for several times as long as it took, as others waited for it meanwhile. */
const paced =
  (times: number) =>
  <A, E, R>(step: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Effect.timed(step), ([took, result]) =>
      Effect.as(Effect.sleep(Duration.clamp(Duration.times(took, times), restBounds)), result)
    )

const restBounds = { minimum: Duration.millis(20), maximum: Duration.seconds(10) }
const pacedRows = paced(3)
/** All who publish wait for the drop of a partition, so that leaves them alone for longer. */
const pacedDrop = paced(9)

/** Makes a `Retention.RetentionStore` over a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const rows = RetentionRows.make(sql)

  /** Finds the messages of a day that must stay; null when they are too many to move. */
  const survey = Effect.fnUntraced(function* (day: Partitions.Day, before: number) {
    const kept = new Set<string>()
    const isMany = () => kept.size > keptMax.messages
    const open = yield* sql<{ readonly id: string }>`
      select distinct message_of(delivery_id) as id from (
        (select delivery_id from owed
          where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)})
        union all
        (select delivery_id from waiting
          where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)}
          limit ${int(keptMax.messages * 10)})
        union all
        (select delivery_id from cancelled
          where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)}
            and cancelled_at > ${instant(before)}
          limit ${int(keptMax.messages * 10)})
        union all
        (select delivery_id from blocked_key
          where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)})
      ) as open limit ${int(keptMax.messages + 1)}`
    for (const { id } of open) kept.add(id)
    let last = { delivery_id: day.from, number: 0 }
    while (!isMany()) {
      const [step] = yield* pacedRows(sql<Step>`
        with step as materialized (
          select delivery_id, number,
            settled is not null
              and started_at + duration_ms * interval '1 millisecond' > ${instant(before)} as young
          from attempt
          where (delivery_id, number) > (${uuid(last.delivery_id)}, ${int(last.number)})
            and delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)}
          order by delivery_id, number limit ${int(surveyRows)}
        ), last as (
          select delivery_id, number from step order by delivery_id desc, number desc limit 1
        )
        select last.delivery_id, last.number, array(
          select distinct message_of(delivery_id) from step where young
          limit ${int(keptMax.messages + 1)}
        ) as young
        from last`)
      if (step === undefined) break
      for (const id of step.young) kept.add(id)
      last = step
    }
    if (isMany()) return null
    const ids = [...kept]
    const [size] = yield* sql<{ readonly bytes: number }>`
      select coalesce(sum(pg_column_size(body)), 0)::float8 as bytes from message
      where id = any (${uuids(ids)})`
    return size!.bytes > keptMax.bytes ? null : ids
  })

  /** Drops a day's partition of a table, and moves what is kept; false when something came between. */
  const drop = (day: Partitions.Day, table: "message" | "attempt", kept: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const name = Partitions.nameOf(table, day.start)
      const exec = (text: string) => sql.unsafe(text).unprepared
      yield* exec("set local lock_timeout = '100ms'")
      const [found] = yield* sql<{ readonly exists: boolean }>`
        select exists (
          select from pg_inherits where inhrelid = to_regclass(${name})
        ) as exists`
      if (found?.exists !== true) return true
      yield* exec(`alter table ${table} detach partition ${name}`)
      reach("retention.detached")
      if (table === "message") {
        // Nobody opens a delivery of the day any more: that reads its message.
        const [opened] = yield* sql<{ readonly exists: boolean }>`
          select exists (
            select from waiting
            where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)}
              and message_of(delivery_id) <> all (${uuids(kept)})
            union all
            select from owed
            where delivery_id >= ${uuid(day.from)} and delivery_id < ${uuid(day.to)}
              and message_of(delivery_id) <> all (${uuids(kept)})
          ) as exists`
        if (opened!.exists) return yield* Effect.fail(openedMeanwhile)
      }
      const key = table === "message" ? "id" : "delivery_id"
      yield* sql`
        insert into ${sql(table)} select p.*
        from unnest(${uuids(kept)}) as k (id) cross join lateral (
          select * from ${sql(name)}
          where ${sql(key)} >= k.id and ${sql(key)} <= (left(k.id::text, 32) || 'ffff')::uuid
        ) p`
      reach("retention.dropping")
      yield* exec(`drop table ${name}`)
      return true
    }).pipe(
      sql.withTransaction,
      Effect.catchIf(
        (error) => error === openedMeanwhile,
        () => Effect.succeed(false)
      ),
      Effect.retry({ while: isLockTimeout, schedule: Schedule.spaced("1 second"), times: 20 })
    )

  const removeDay = Effect.fnUntraced(function* (day: Partitions.Day, before: number) {
    const kept = yield* survey(day, before)
    reach("retention.surveyed")
    if (kept !== null && (yield* pacedDrop(drop(day, "message", kept)))) {
      reach("retention.messages")
      yield* pacedDrop(drop(day, "attempt", kept))
      reach("retention.attempts")
      return { days: 1, messages: 0 }
    }
    return { days: 0, messages: yield* rows.remove(day.from, day.to, before, pacedRows) }
  })

  const removeSettled = Effect.fn("Retention.removeSettled")(
    function* (before: number) {
      let days = 0
      let messages = 0
      yield* rows.removeBlocks
      for (const day of yield* Partitions.past(before)) {
        const removed = yield* removeDay(day, before)
        days += removed.days
        messages += removed.messages
      }
      const [first] = yield* rows.oldestOfDefault
      if (first !== undefined && first.id < Partitions.firstId(before)) {
        messages += yield* rows.remove(first.id, Partitions.firstId(before), before, pacedRows)
      }
      yield* rows.removeJobs(before)
      reach("retention.jobs")
      yield* rows.removeCancelled(Partitions.firstId(before), before, pacedRows)
      return { days, messages }
    },
    Effect.provideService(SqlClient, sql),
    Effect.mapError(StoreError.from("Retention.removeSettled"))
  )

  const unused = (before: number) =>
    Effect.map(
      sql<{ readonly id: string }>`
        select w.id from webhook w
        where w.ad_hoc and w.created_at < ${instant(before)}
          and not exists (select from owed where webhook_id = w.id)
          and not exists (select from waiting where webhook_id = w.id)
          and not exists (select from cancelled where webhook_id = w.id)
          and not exists (select from attempt where webhook_id = w.id and settled = 'delivered')
          and not exists (select from attempt where webhook_id = w.id and settled = 'exhausted')
        order by w.id limit ${int(unusedRows)}`,
      (found) => found.map(({ id }) => fromUuid("webhook", id))
    ).pipe(Effect.mapError(StoreError.from("Retention.unused")))

  const retries = Effect.map(
    sql<{ readonly retry: unknown }>`
      select distinct settings -> 'retry' as retry from webhook`,
    (found) => found.map(({ retry }) => retry)
  ).pipe(Effect.mapError(StoreError.from("Retention.retries")))

  return { removeSettled, unused, retries }
})

interface Step {
  readonly delivery_id: string
  readonly number: number
  readonly young: ReadonlyArray<string>
}

/** Undoes the transaction that was to drop a day. */
const openedMeanwhile = "a delivery was opened" as const

const isLockTimeout = (error: unknown): boolean =>
  isSqlError(error) &&
  (error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError")
