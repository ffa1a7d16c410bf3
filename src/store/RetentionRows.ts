/**
 * Removing old messages one by one, in batches: where a day cannot be dropped, and in the default
 * partitions.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { instant, int, uuid, uuids } from "./Parameters.ts"
import { reach } from "../telemetry/Failpoint.ts"

/** Messages, or cancelled deliveries, that one step looks at. */
const stepRows = 1_000

/** Rests after a step. */
export type Paced = <A, E, R>(step: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Makes the hands that remove rows. */
export const make = (sql: SqlClient) => {
  /** Removes a batch of messages above an id; answers how many, and the last that was looked at. */
  const step = (above: string, to: string, before: number) =>
    Effect.gen(function* () {
      // Whoever opens a delivery again locks its message: from here on it waits, and then finds none.
      const locked = yield* sql<{ readonly id: string }>`
        select id from message where id > ${uuid(above)} and id < ${uuid(to)}
        order by id limit ${int(stepRows)} for update skip locked`
      const first = locked[0]
      if (first === undefined) return null
      reach("retention.locked")
      const last = locked.at(-1)!
      const within = sql`delivery_id > ${uuid(first.id)}
        and delivery_id <= (left(${last.id}, 32) || 'ffff')::uuid`
      const [row] = yield* sql<{ readonly removed: number }>`
        with kept as materialized (
          select message_of(delivery_id) as id from owed where ${within}
          union select message_of(delivery_id) from waiting where ${within}
          union select message_of(delivery_id) from blocked_key where ${within}
          union select message_of(delivery_id) from cancelled
            where ${within} and cancelled_at > ${instant(before)}
          union select message_of(delivery_id) from attempt
            where ${within} and settled is not null
              and started_at + duration_ms * interval '1 millisecond' > ${instant(before)}
        ), gone as materialized (
          select id from unnest(${uuids(locked.map(({ id }) => id))}) as m (id)
          except select id from kept
        ), tried as (
          delete from attempt
          where ${within} and message_of(delivery_id) in (select id from gone)
        ), ended as (
          delete from cancelled
          where ${within} and message_of(delivery_id) in (select id from gone)
        ), removed as (
          delete from message
          where id >= ${uuid(first.id)} and id <= ${uuid(last.id)}
            and id in (select id from gone)
          returning 1
        )
        select count(*)::int4 as removed from removed`
      return { removed: row!.removed, last: locked.length < stepRows ? null : last.id }
    }).pipe(sql.withTransaction)

  /** Removes what was settled by `before` of the messages in a range of ids; answers how many. */
  const remove = Effect.fnUntraced(function* (
    from: string,
    to: string,
    before: number,
    paced: Paced
  ) {
    let removed = 0
    let above: string | null = justBelow(from)
    while (above !== null) {
      const done: { readonly removed: number; readonly last: string | null } | null = yield* paced(
        step(above, to, before)
      )
      reach("retention.removed")
      removed += done?.removed ?? 0
      above = done?.last ?? null
    }
    return removed
  })

  /** Removes what was cancelled by `before` of messages that are gone, below an id. */
  const removeCancelled = Effect.fnUntraced(function* (to: string, before: number, paced: Paced) {
    let above: string | null = "00000000-0000-0000-0000-000000000000"
    while (above !== null) {
      const [row]: ReadonlyArray<{ readonly last: string | null }> = yield* paced(sql<{
        readonly last: string | null
      }>`
        with step as materialized (
          select delivery_id, cancelled_at from cancelled
          where delivery_id > ${uuid(above)} and delivery_id < ${uuid(to)}
          order by delivery_id limit ${int(stepRows)}
        ), ended as (
          delete from cancelled c using step
          where c.delivery_id = step.delivery_id and step.cancelled_at <= ${instant(before)}
            and not exists (select from message where id = message_of(step.delivery_id))
        )
        select (select delivery_id from step offset ${int(stepRows - 1)}) as last`)
      above = row?.last ?? null
    }
  })

  /** Removes blocks of webhooks that were deleted while an attempt of theirs was written down. */
  const removeBlocks = sql`
    delete from blocked_key b where not exists (select from webhook where id = b.webhook_id)`

  /** Removes jobs that were finished by `before`, some at a time. */
  const removeJobs = (before: number) =>
    sql`
      delete from redelivery where id in (
        select id from redelivery where finished_at <= ${instant(before)}
        order by id limit ${int(stepRows)}
      )`

  return {
    remove,
    removeBlocks,
    removeJobs,
    removeCancelled,
    oldestOfDefault: sql<{ readonly id: string }>`
      select id from message_default order by id limit 1`
  }
}

/** The greatest UUID below another one that ends in two zero bytes, as ids of messages do. */
const justBelow = (id: string): string => {
  const value = BigInt(`0x${id.replaceAll("-", "")}`) - 1n
  const hex = (value < 0n ? 0n : value).toString(16).padStart(32, "0")
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20)
  ].join("-")
}
