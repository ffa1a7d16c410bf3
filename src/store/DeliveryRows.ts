/**
 * Deliveries as lists show them, read from the tables that keep them (DeliverySources).
 *
 * Each source is walked along an index of its own in the order of the list and gives at most a page;
 * then the pages are merged. A source that cannot have what is asked for is left out.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment, Statement } from "effect/sql/Statement"
import type { Delivery } from "../domain/Delivery.ts"
import {
  createdAt,
  type DeliveryId,
  fromUuid,
  messageOf,
  type TenantId,
  toUuid
} from "../domain/TypeId.ts"
import { isBehind } from "./BlockedKeys.ts"
import * as DeliverySources from "./DeliverySources.ts"
import {
  isHeld,
  ofBlockedKeys,
  ofMessages,
  ofSource,
  type Walk,
  wayOf,
  withHealth
} from "./DeliveryWalks.ts"
import { int, uuid } from "./Parameters.ts"

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
  readonly reason: "expired" | null
  readonly type: string | null
  readonly last_number: number | null
  readonly last_status_code: number | null
  readonly last_class: string | null
  /** False for an edge that only tells how far was looked. */
  readonly fits: boolean
  readonly edge: boolean
}

/** Selects a tenant's delivery by its id. */
export const one = (sql: SqlClient, tenantId: TenantId, id: DeliveryId) => {
  const branches = DeliverySources.all.map(
    (source) => sql`(
      select ${sql.literal(source.columns)}, true as fits, false as edge
      from ${sql.literal(source.table)} t
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
 * Makes the ways to select up to `limit` of a tenant's deliveries within a range, in the order of the
 * range; where there are two, the first one is likelier to find them all.
 *
 * **Details**
 *
 * Either ends early at an edge, when it has looked at all that it may. Each is to be planned for its
 * parameters: a tenant has most rows of a table or next to none.
 */
export const ways = (sql: SqlClient, walk: Walk): ReadonlyArray<Statement<DeliveryRow>> => {
  const { limit, narrowing, range } = walk
  const { status, statusCodeClass, type } = narrowing
  const sources = DeliverySources.of(status, statusCodeClass)
  if (sources.length === 0) return []
  const order = wayOf(range)
  const bySources = shown(
    sql,
    [...sources.map((source) => ofSource(sql, source, walk)), ...ofBlockedKeys(sql, walk)],
    order,
    limit
  )
  if (type === null) return [bySources]
  const byMessages = shown(sql, [ofMessages(sql, sources, type, walk)], order, limit)
  const isCommon = status === null || status === "delivered"
  return isCommon ? [byMessages, bySources] : [bySources, byMessages]
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
    settledAt: row.settled_at?.getTime() ?? null,
    ...(row.reason === null ? {} : { reason: row.reason })
  }
}

/** Whether an exhausted delivery keeps this one back, which stands behind it under its key. */
const isBlocked = `(d.state in ('pending', 'waiting') and exists (
  select from waiting t where t.delivery_id = d.delivery_id and ${isBehind}
))`

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
    select d.*, w.held, (
        select c.reason from cancelled c where d.state = 'cancelled' and c.delivery_id = d.delivery_id
      ) as reason, m.type, l.number as last_number, l.status_code as last_status_code,
      l.class as last_class
    from (select * from (${pages}) p order by delivery_id ${way} limit ${int(limit)}) d
    left join lateral (
      select ${sql.literal(isHeld)} or ${sql.literal(isBlocked)} as held
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
