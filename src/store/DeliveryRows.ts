/**
 * Deliveries as lists show them, read from the four tables that keep them.
 *
 * ```
 *   owed ─────────► pending ─┐
 *   waiting ──────► pending  ├─► held, while the webhook is stopped or its circuit is not closed
 *           ──────► waiting ─┘
 *   attempt ──────► delivered, exhausted
 *   cancelled ────► cancelled
 * ```
 *
 * Each source is walked along an index of its own in the order of the list and gives at most a page;
 * then the pages are merged. A source that cannot have what is asked for is left out.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import type { Delivery, DeliveryStatus } from "../domain/Delivery.ts"
import {
  createdAt,
  type DeliveryId,
  fromUuid,
  messageOf,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import type { IdRange } from "./IdRange.ts"
import { int, uuid } from "./Parameters.ts"

/** What a list is narrowed to: a `DeliveryLog.DeliveryFilter` whose message is in the range. */
export interface Narrowing {
  readonly webhookId: WebhookId | null
  readonly type: string | null
  readonly status: DeliveryStatus | null
  readonly statusCodeClass: number | null
}

/** A row as the queries below select it. */
export interface DeliveryRow {
  readonly delivery_id: string
  readonly webhook_id: string
  readonly state: "pending" | "waiting" | "delivered" | "exhausted" | "cancelled"
  readonly attempts: number
  readonly due_at: Date | null
  readonly status_code: number | null
  readonly class: string | null
  readonly settled_at: Date | null
  readonly held: boolean | null
  readonly type: string | null
  readonly last_number: number | null
  readonly last_status_code: number | null
  readonly last_class: string | null
}

/** Selects a tenant's delivery by its id. */
export const one = (sql: SqlClient, tenantId: TenantId, id: DeliveryId) => {
  const branches = sourcesOf(null, null).map(
    (source) => sql`(
      select ${sql.literal(source.columns)} from ${sql.literal(source.table)} t
      where ${sql.literal(source.condition)}
        and t.delivery_id = ${uuid(toUuid(id))} and t.tenant_id = ${uuid(toUuid(tenantId))}
    )`
  )
  // Said once more, for the partitions of other days to be left out before anything is read.
  return shown(sql, branches, "desc", 1, {
    message: sql`and id = message_of(${uuid(toUuid(id))})`,
    attempt: sql`and a.delivery_id = ${uuid(toUuid(id))}`
  })
}

/**
 * Selects up to `limit` of a tenant's deliveries within a range, in the order of the range. It is to
 * be planned for its parameters each time: a tenant has most rows of a table or next to none.
 */
export const page = (
  sql: SqlClient,
  tenantId: TenantId,
  range: IdRange<DeliveryId>,
  narrowing: Narrowing,
  limit: number
) => {
  const order = range.newer ? "asc" : "desc"
  const branches = sourcesOf(narrowing.status, narrowing.statusCodeClass).map((source) =>
    walk(sql, source, { tenantId, range, narrowing, limit, order })
  )
  return shown(sql, branches, order, limit)
}

/** Builds a delivery from a row. */
export const deliveryOf = (tenantId: TenantId, row: DeliveryRow): Delivery => {
  const id = fromUuid("delivery", row.delivery_id)
  const isOpen = row.state === "pending" || row.state === "waiting"
  return {
    id,
    tenantId,
    messageId: messageOf(id),
    webhookId: fromUuid("webhook", row.webhook_id),
    type: row.type ?? "",
    status: isOpen && row.held === true ? "held" : row.state,
    // An attempt that was in flight when its delivery was cancelled came after the count.
    attempts: Math.max(row.attempts, row.last_number ?? 0),
    nextAttemptAt: row.due_at?.getTime() ?? null,
    lastStatusCode: row.status_code ?? row.last_status_code,
    lastClass: row.class ?? row.last_class,
    createdAt: createdAt(id),
    settledAt: row.settled_at?.getTime() ?? null
  }
}

interface Source {
  readonly table: string
  readonly columns: string
  readonly condition: string
  /** The status code of the last attempt; null where there was none. */
  readonly lastStatusCode: string | null
}

const statusCodeOfLast = `(
  select a.status_code from attempt a
  where a.delivery_id = t.delivery_id order by a.number desc limit 1
)`

const owed: Source = {
  table: "owed",
  columns: `t.delivery_id, t.webhook_id, 'pending'::text as state, 0 as attempts,
    null::timestamptz as due_at, null::int4 as status_code, null::text as class,
    null::timestamptz as settled_at`,
  condition: "true",
  lastStatusCode: null
}

const waitingIf = (condition: string): Source => ({
  table: "waiting",
  columns: `t.delivery_id, t.webhook_id, case t.attempts when 0 then 'pending' else 'waiting' end
    as state, t.attempts, t.due_at, null::int4 as status_code, null::text as class,
    null::timestamptz as settled_at`,
  condition,
  lastStatusCode: statusCodeOfLast
})

const settled = (state: "delivered" | "exhausted"): Source => ({
  table: "attempt",
  columns: `t.delivery_id, t.webhook_id, t.settled as state, t.number as attempts,
    null::timestamptz as due_at, t.status_code, t.class,
    t.started_at + t.duration_ms * interval '1 millisecond' as settled_at`,
  // Said with the value itself, as the index of that state is.
  condition: `t.settled = '${state}'`,
  lastStatusCode: "t.status_code"
})

const cancelled: Source = {
  table: "cancelled",
  columns: `t.delivery_id, t.webhook_id, 'cancelled'::text as state, t.attempts,
    null::timestamptz as due_at, null::int4 as status_code, null::text as class,
    t.cancelled_at as settled_at`,
  condition: "true",
  lastStatusCode: statusCodeOfLast
}

const sourcesOf = (
  status: DeliveryStatus | null,
  statusCodeClass: number | null
): ReadonlyArray<Source> => {
  const all = sourcesOfStatus(status)
  return statusCodeClass === null ? all : all.filter((source) => source.lastStatusCode !== null)
}

const sourcesOfStatus = (status: DeliveryStatus | null): ReadonlyArray<Source> => {
  switch (status) {
    case null:
      return [owed, waitingIf("true"), settled("delivered"), settled("exhausted"), cancelled]
    case "pending":
      return [owed, waitingIf("t.attempts = 0")]
    case "waiting":
      return [waitingIf("t.attempts > 0")]
    case "held":
      return [owed, waitingIf("true")]
    case "delivered":
    case "exhausted":
      return [settled(status)]
    case "cancelled":
      return [cancelled]
  }
}

interface Walk {
  readonly tenantId: TenantId
  readonly range: IdRange<DeliveryId>
  readonly narrowing: Narrowing
  readonly limit: number
  readonly order: "asc" | "desc"
}

const isHeld = `(w.status <> 'enabled' or h.circuit_open_until is not null)`
const withHealth = "webhook w left join webhook_health h on h.webhook_id = w.id"

/** Selects up to a page of one source. */
const walk = (sql: SqlClient, source: Source, { limit, narrowing, order, ...of }: Walk) => {
  const { status, statusCodeClass, type, webhookId } = narrowing
  const tenant = uuid(toUuid(of.tenantId))
  const webhook = webhookId === null ? null : uuid(toUuid(webhookId))
  const above = uuid(toUuid(of.range.above))
  const below = uuid(toUuid(of.range.below))
  const byState = status === "held" || status === "pending" || status === "waiting"
  const way = sql.literal(order)

  const conditions: Array<Fragment> = [sql.literal(source.condition)]
  if (type !== null) {
    conditions.push(
      sql`(select m.type from message m where m.id = message_of(t.delivery_id)) = ${type}`
    )
  }
  if (statusCodeClass !== null && source.lastStatusCode !== null) {
    const least = statusCodeClass * 100
    conditions.push(
      sql`${sql.literal(source.lastStatusCode)} between ${int(least)} and ${int(least + 99)}`
    )
  }
  const select = sql.literal(`select ${source.columns} from ${source.table} t`)

  if (byState && source !== owed) {
    // Few of many rows may be in the state, so the webhooks that are in it lead to their rows. The
    // comparison of rows leaves the planner one index only: it does not know a webhook's share.
    return sql`(
      select s.*
      from ${sql.literal(withHealth)} cross join lateral (
        ${select}
        where ${sql.and(conditions)}
          and (t.webhook_id, t.delivery_id) > (w.id, ${above})
          and (t.webhook_id, t.delivery_id) < (w.id, ${below})
        order by t.webhook_id ${way}, t.delivery_id ${way} limit ${int(limit)}
      ) s
      where w.tenant_id = ${tenant} and ${sql.literal(isHeld)} = ${status === "held"}
        and ${webhook === null ? sql.literal("true") : sql`w.id = ${webhook}`}
      order by s.delivery_id ${way} limit ${int(limit)}
    )`
  }
  if (byState) {
    conditions.push(sql`(
      select ${sql.literal(isHeld)} from ${sql.literal(withHealth)} where w.id = t.webhook_id
    ) = ${status === "held"}`)
  }
  if (webhook !== null) conditions.push(sql`t.webhook_id = ${webhook}`)
  return sql`(
    ${select}
    where ${sql.and(conditions)} and t.tenant_id = ${tenant}
      and t.delivery_id > ${above} and t.delivery_id < ${below}
    order by t.delivery_id ${way} limit ${int(limit)}
  )`
}

/** Merges pages of sources and adds what only the rows that are shown need. */
const shown = (
  sql: SqlClient,
  branches: ReadonlyArray<Fragment>,
  order: "asc" | "desc",
  limit: number,
  only = { message: sql.literal(""), attempt: sql.literal("") }
) => {
  const way = sql.literal(order)
  const pages = branches.reduce((merged, branch) => sql`${merged} union all ${branch}`)
  // A limit in each join keeps the planner from joining whole tables.
  return sql<DeliveryRow>`
    select d.*, w.held, m.type, l.number as last_number, l.status_code as last_status_code,
      l.class as last_class
    from (select * from (${pages}) p order by delivery_id ${way} limit ${int(limit)}) d
    left join lateral (
      select ${sql.literal(isHeld)} as held
      from ${sql.literal(withHealth)} where w.id = d.webhook_id limit 1
    ) w on true
    left join lateral (
      select type from message
      where id = message_of(d.delivery_id) ${only.message} limit 1
    ) m on true
    left join lateral (
      select a.number, a.status_code, a.class from attempt a
      where d.state in ('waiting', 'cancelled') and a.delivery_id = d.delivery_id ${only.attempt}
      order by a.number desc limit 1
    ) l on true
    order by d.delivery_id ${way}`
}
