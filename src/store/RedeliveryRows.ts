/**
 * The statements of bulk redeliveries.
 *
 * ```
 *   fence ──► job ──► page of the walk ──► webhooks ──► attempts, cancelled ──► waiting
 *                             └──────────────────────────────────────────────► job
 * ```
 *
 * A page is read along the index that lists the tenant's, or the webhook's, deliveries of the wanted
 * state, and only then narrowed: what a statement reads is bounded, however rare a type is.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { firstPage } from "../domain/Page.ts"
import type { Redelivery, RedeliveryFilter, RedeliveryState } from "../domain/Redelivery.ts"
import { fromUuid, type RedeliveryId, type TenantId, toUuid } from "../domain/TypeId.ts"
import * as IdRange from "./IdRange.ts"
import { instant, int, long, storableOrNull, uuid } from "./Parameters.ts"

/** Jobs of one tenant that may be unfinished at once. */
export const unfinishedMax = 10

/** The columns of a job. */
export const columns = `id, tenant_id, webhook_id, type, status, made_after, made_before, dry_run,
  state, matched, done, above, below, passed, created_at, updated_at, finished_at`

/** A job as the statements below select it. */
export interface RedeliveryRow {
  readonly id: string
  readonly tenant_id: string
  readonly webhook_id: string | null
  readonly type: string | null
  readonly status: RedeliveryFilter["status"]
  readonly made_after: Date | null
  readonly made_before: Date | null
  readonly dry_run: boolean
  readonly state: RedeliveryState
  readonly matched: bigint
  readonly done: bigint
  readonly above: string
  readonly below: string
  readonly passed: string
  readonly created_at: Date
  readonly updated_at: Date
  readonly finished_at: Date | null
  /** Of what a step redelivered. */
  readonly webhook_ids?: ReadonlyArray<string>
}

/** Builds a job from its row. */
export const decode = (row: RedeliveryRow): Redelivery => ({
  id: fromUuid("redelivery", row.id),
  tenantId: fromUuid("tenant", row.tenant_id),
  webhookId: row.webhook_id === null ? null : fromUuid("webhook", row.webhook_id),
  type: row.type,
  status: row.status,
  after: row.made_after?.getTime() ?? null,
  before: row.made_before?.getTime() ?? null,
  dryRun: row.dry_run,
  state: row.state,
  matched: Number(row.matched),
  done: Number(row.done),
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime(),
  finishedAt: row.finished_at?.getTime() ?? null
})

/** Reads the ids that a job walks: of messages made before the job was, and as the filter asks. */
export const rangeOf = ({ after, before }: RedeliveryFilter, now: number) =>
  IdRange.ofPage("delivery", { ...firstPage, after, before: Math.min(before ?? Infinity, now + 1) })

/** Takes the only row of an answer, if there is one. */
const single = <A, E, R>(rows: Effect.Effect<ReadonlyArray<A>, E, R>) =>
  Effect.map(rows, ([row]) => row)

/** Makes the statements, for an engine of an epoch. */
export const make = (sql: SqlClient, epoch: number) => {
  const all = sql.literal(columns)

  /** The rows that a walk passes next: a page of deliveries in the wanted state. */
  const page = (job: RedeliveryRow, limit: number) => {
    const tenant = uuid(job.tenant_id)
    const webhook =
      job.webhook_id === null ? sql.literal("true") : sql`t.webhook_id = ${uuid(job.webhook_id)}`
    // Said with the value itself, as the index of that state is.
    const source =
      job.status === "cancelled"
        ? sql.literal(
            "t.delivery_id, t.webhook_id, t.attempts as number from cancelled t where true"
          )
        : sql.literal(
            `t.delivery_id, t.webhook_id, t.number from attempt t where t.settled = '${job.status}'`
          )
    return sql`
      select ${source} and ${webhook} and t.tenant_id = ${tenant}
        and t.delivery_id > ${uuid(job.passed)} and t.delivery_id < ${uuid(job.below)}
        and exists (select from job)
      order by t.delivery_id limit ${int(limit)}`
  }

  /** The job, locked, unless someone cancelled it or another engine owns the deliveries. */
  const locked = (job: RedeliveryRow) => sql`
    select id from redelivery
    where id = ${uuid(job.id)} and state = ${job.state} and passed = ${uuid(job.passed)}
      and exists (select from engine where only_row and epoch = ${long(epoch)})
    for update`

  const ofType = (job: RedeliveryRow) =>
    job.type === null ? sql.literal("true") : sql`m.type = ${job.type}`

  return {
    byId: (id: RedeliveryId) =>
      single(sql<RedeliveryRow>`
      select ${all} from redelivery where id = ${uuid(toUuid(id))}`),

    /** Takes an idempotency key for a job, or answers what it was taken for. */
    claim: (
      tenantId: TenantId,
      id: RedeliveryId,
      { digest, key }: { readonly key: string; readonly digest: Uint8Array },
      now: number
    ) =>
      single(sql<{ readonly digest: Uint8Array; readonly resource_id: string }>`
      with claimed as (
        insert into idempotency (tenant_id, key, digest, resource_id, created_at)
        values (${uuid(toUuid(tenantId))}, ${key}, ${digest}, ${uuid(toUuid(id))}, ${instant(now)})
        on conflict (tenant_id, key) do update set key = excluded.key
        returning digest, resource_id
      )
      select * from claimed where resource_id <> ${uuid(toUuid(id))}`),

    /** Writes a job, unless its tenant has too many. */
    insert: (id: RedeliveryId, tenantId: TenantId, filter: RedeliveryFilter, now: number) => {
      const { above, below } = rangeOf(filter, now)
      const tenant = uuid(toUuid(tenantId))
      return single(sql<RedeliveryRow>`
        insert into redelivery (id, tenant_id, webhook_id, type, status, made_after, made_before,
          dry_run, state, above, below, passed, created_at, updated_at)
        select ${uuid(toUuid(id))}, ${tenant},
          ${filter.webhookId === null ? null : toUuid(filter.webhookId)}::uuid,
          ${storableOrNull(filter.type)}::text, ${filter.status},
          ${filter.after === null ? null : new Date(filter.after)}::timestamptz,
          ${filter.before === null ? null : new Date(filter.before)}::timestamptz,
          ${filter.dryRun}::boolean, 'counting', ${uuid(toUuid(above))}, ${uuid(toUuid(below))},
          ${uuid(toUuid(above))}, ${instant(now)}, ${instant(now)}
        where (
          select count(*) from redelivery
          where tenant_id = ${tenant} and state in ('counting', 'running')
        ) < ${int(unfinishedMax)}
        returning ${all}`)
    },

    /** Counts a page; after the last one the walk begins again, or is over. */
    count: (job: RedeliveryRow, limit: number, now: number) =>
      single(
        sql<RedeliveryRow>`
      with job as (${locked(job)}), page as materialized (${page(job, limit)}), counted as (
        select count(*) as matched from page p
        where exists (select from webhook w where w.id = p.webhook_id)
          and exists (
            select from message m where m.id = message_of(p.delivery_id) and ${ofType(job)}
          )
      ), walk as (
        select (select count(*) from page) < ${int(limit)} as is_over,
          (select delivery_id from page order by delivery_id desc limit 1) as last
      ), walked as (
        select is_over, last, r.matched + counted.matched as total,
          is_over and (r.dry_run or r.matched + counted.matched = 0) as is_done
        from redelivery r, counted, walk where r.id = (select id from job)
      )
      update redelivery r set matched = w.total, updated_at = ${instant(now)},
        passed = case when w.is_over then r.above else w.last end,
        state = case when w.is_done then 'done' when w.is_over then 'running' else r.state end,
        finished_at = case when w.is_done then ${instant(now)} end
      from walked w where r.id = (select id from job)
      returning ${all}`.unprepared
      ),

    /** Redelivers what is wanted of a page. */
    redeliver: (job: RedeliveryRow, limit: number, now: number) =>
      single(
        sql<RedeliveryRow>`
      with job as (${locked(job)}), page as materialized (${page(job, limit)}), alive as materialized (
        select id from webhook where id in (select webhook_id from page) order by id for share
      ), wanted as materialized (
        select p.* from page p
        where p.webhook_id in (select id from alive) and exists (
          -- Retention locks a message before it removes it.
          select from message m where m.id = message_of(p.delivery_id) and ${ofType(job)}
          for key share
        )
      ), reopened as (${
        job.status === "cancelled"
          ? sql`
            delete from cancelled c using wanted w where c.delivery_id = w.delivery_id
            returning c.delivery_id, c.webhook_id, c.attempts`
          : sql`
            update attempt a set settled = null from wanted w
            where a.delivery_id = w.delivery_id and a.number = w.number and a.settled is not null
            returning a.delivery_id, a.webhook_id, a.number as attempts`
      }), due as (
        insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at,
          ordering_key)
        select delivery_id, ${uuid(job.tenant_id)}, webhook_id, greatest(attempts, (
          select max(number) from attempt a where a.delivery_id = reopened.delivery_id
        )), 0, ${instant(now)}, order_of(delivery_id, webhook_id) from reopened
        returning webhook_id
      ), walk as (
        select (select count(*) from page) < ${int(limit)} as is_over,
          (select delivery_id from page order by delivery_id desc limit 1) as last,
          (select count(*) from due) as reopened
      )
      update redelivery r set done = r.done + w.reopened, updated_at = ${instant(now)},
        passed = coalesce(w.last, r.passed),
        state = case when w.is_over then 'done' else r.state end,
        finished_at = case when w.is_over then ${instant(now)} end
      from walk w where r.id = (select id from job)
      returning ${all}, array(select distinct webhook_id from due) as webhook_ids`.unprepared
      )
  }
}
