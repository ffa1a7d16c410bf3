/**
 * The numbers of tenants and webhooks in Postgres.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import {
  type Backlog,
  backlogMax,
  recentMax,
  type Tally,
  type TenantStats,
  type WebhookStats
} from "../domain/Stats.ts"
import { type TenantId, toUuid, type WebhookId } from "../domain/TypeId.ts"
import { instant, instants, longs, uuid, uuids } from "./Parameters.ts"
import type { Counted } from "./Tally.ts"

/** Makes what a StatsRepo needs over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient

  /** Adds counts to those that are kept; what belongs to webhooks and tenants that are gone is not. */
  const add = (counted: ReadonlyArray<Counted>) =>
    Effect.asVoid(sql`
      with counted as materialized (
        select * from unnest(
          ${uuids(counted.map(({ tenantId }) => toUuid(tenantId)))},
          ${uuids(counted.map(({ webhookId }) => toUuid(webhookId)))},
          ${instants(counted.map(({ minute }) => minute))},
          ${longs(counted.map(({ attempts }) => attempts))},
          ${longs(counted.map(({ delivered }) => delivered))},
          ${longs(counted.map(({ exhausted }) => exhausted))}
        ) as c (tenant_id, webhook_id, minute, attempts, delivered, exhausted)
        where exists (select from tenant t where t.id = c.tenant_id)
      ), by_webhook as (
        insert into webhook_tally as old (webhook_id, attempts, delivered, exhausted)
        select webhook_id, sum(attempts), sum(delivered), sum(exhausted) from counted c
        where exists (select from webhook w where w.id = c.webhook_id)
        group by webhook_id order by webhook_id
        on conflict (webhook_id) do update set attempts = old.attempts + excluded.attempts,
          delivered = old.delivered + excluded.delivered,
          exhausted = old.exhausted + excluded.exhausted
      ), by_minute as (
        insert into tenant_minute as old (tenant_id, minute, attempts, delivered, exhausted)
        select tenant_id, minute, sum(attempts), sum(delivered), sum(exhausted) from counted
        group by tenant_id, minute order by tenant_id, minute
        on conflict (tenant_id, minute) do update set attempts = old.attempts + excluded.attempts,
          delivered = old.delivered + excluded.delivered,
          exhausted = old.exhausted + excluded.exhausted
      )
      insert into tenant_tally as old (tenant_id, attempts, delivered, exhausted)
      select tenant_id, sum(attempts), sum(delivered), sum(exhausted) from counted
      group by tenant_id order by tenant_id
      on conflict (tenant_id) do update set attempts = old.attempts + excluded.attempts,
        delivered = old.delivered + excluded.delivered,
        exhausted = old.exhausted + excluded.exhausted`)

  const expire = (before: number) =>
    Effect.asVoid(sql`delete from tenant_minute where minute < ${instant(before)}`)

  const tallyOf = (table: string, column: string, id: string) =>
    Effect.map(
      sql<TallyRow>`
        select attempts, delivered, exhausted from ${sql(table)}
        where ${sql(column)} = ${uuid(id)}`,
      ([row]) => (row === undefined ? nothing : countsOf(row))
    )

  /** Counts what is owed to some webhooks. What waits is counted along an index, up to a bound. */
  const backlogOf = (owner: Fragment, webhooks: Fragment) => {
    const waiting = (condition: Fragment) => sql`(
      select webhook_id, count(*)::int as count from (
        select webhook_id from waiting where ${owner} and ${condition} limit ${backlogMax}
      ) capped group by webhook_id
    )`
    return Effect.map(
      sql<BacklogRow>`
        with owed_by as materialized (
          select webhook_id, count(*)::int as count from owed where ${owner} group by webhook_id
        ), pending_by as materialized ${waiting(sql`attempts = 0`)},
        retry_by as materialized ${waiting(sql`attempts > 0`)},
        stopped as materialized (
          select w.id from webhook w left join webhook_health h on h.webhook_id = w.id
          where ${webhooks} and (w.status <> 'enabled' or h.circuit_open_until is not null)
        )
        select
          (select coalesce(sum(count), 0)::int from owed_by) +
            (select coalesce(sum(count), 0)::int from pending_by) as pending,
          (select coalesce(sum(count), 0)::int from retry_by) as waiting,
          (select coalesce(sum(count), 0)::int from (
            select * from owed_by union all select * from pending_by union all select * from retry_by
          ) parts where webhook_id in (select id from stopped)) as held,
          (select count(*)::int from (
            select from cancelled where ${owner} limit ${backlogMax}) capped) as cancelled,
          (select min(first.due_at) from webhook w cross join lateral (
            select due_at from waiting where webhook_id = w.id order by due_at limit 1
          ) first where ${webhooks}) as next_due_at`.unprepared,
      ([row]): Backlog => ({
        pending: row!.pending,
        waiting: row!.waiting,
        held: row!.held,
        cancelled: row!.cancelled,
        nextDueAt: row!.next_due_at?.getTime() ?? null
      })
    )
  }

  const recentOf = (id: string) => {
    // In the order of one index and as a range of it, lest attempts of all others be walked instead.
    const newest = (state: string) => sql`(
      select delivery_id, settled, duration_ms from attempt
      where webhook_id between ${uuid(id)} and ${uuid(id)}
        and settled = ${sql.literal(`'${state}'`)}
      order by webhook_id desc, delivery_id desc limit ${recentMax})`
    return Effect.map(
      sql<RecentRow>`
        select count(*)::int as ended,
          (count(*) filter (where settled = 'delivered'))::int as delivered,
          percentile_disc(array[0.5, 0.95]) within group (order by duration_ms) as durations
        from (
          select * from (${newest("delivered")} union all ${newest("exhausted")}) ended
          order by delivery_id desc limit ${recentMax}
        ) recent`.unprepared,
      ([row]): WebhookStats["recent"] => ({
        ended: row!.ended,
        delivered: row!.delivered,
        p50Ms: row!.durations?.[0] ?? null,
        p95Ms: row!.durations?.[1] ?? null
      })
    )
  }

  const tenant = Effect.fnUntraced(function* (tenantId: TenantId, now: number) {
    const id = toUuid(tenantId)
    const minutes = yield* sql<TallyRow & { readonly minute: Date }>`
      select minute, attempts, delivered, exhausted from tenant_minute
      where tenant_id = ${uuid(id)} and minute > ${instant(now - 3_600_000)} order by minute`
    const stats: TenantStats = {
      total: yield* tallyOf("tenant_tally", "tenant_id", id),
      backlog: yield* backlogOf(sql`tenant_id = ${uuid(id)}`, sql`w.tenant_id = ${uuid(id)}`),
      minutes: minutes.map((row) => ({ ...countsOf(row), minute: row.minute.getTime() }))
    }
    return stats
  })

  const webhook = Effect.fnUntraced(function* (tenantId: TenantId, webhookId: WebhookId) {
    const id = toUuid(webhookId)
    const stats: WebhookStats = {
      total: yield* tallyOf("webhook_tally", "webhook_id", id),
      backlog: yield* backlogOf(
        sql`webhook_id = ${uuid(id)}`,
        sql`w.id = ${uuid(id)} and w.tenant_id = ${uuid(toUuid(tenantId))}`
      ),
      recent: yield* recentOf(id)
    }
    return stats
  })

  return { add, expire, tenant, webhook }
})

interface TallyRow {
  readonly attempts: bigint | number | string
  readonly delivered: bigint | number | string
  readonly exhausted: bigint | number | string
}

interface BacklogRow {
  readonly pending: number
  readonly waiting: number
  readonly held: number
  readonly cancelled: number
  readonly next_due_at: Date | null
}

interface RecentRow {
  readonly ended: number
  readonly delivered: number
  readonly durations: ReadonlyArray<number> | null
}

const nothing: Tally = { attempts: 0, delivered: 0, exhausted: 0 }

const countsOf = (row: TallyRow): Tally => ({
  attempts: Number(row.attempts),
  delivered: Number(row.delivered),
  exhausted: Number(row.exhausted)
})
