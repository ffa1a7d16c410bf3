/**
 * The walks that a list of deliveries is read by: along an index, in the order of the list, for a page
 * at most.
 *
 * **Details**
 *
 * What no index tells is looked at row by row, and only so many rows are: the last of them is the
 * walk's `edge`, shown whether it fits or not, and what lies behind it was not seen. Rows of an edge
 * that do not fit have `fits` false.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import type { DeliveryStatus } from "../domain/Delivery.ts"
import { type DeliveryId, type TenantId, toUuid, type WebhookId } from "../domain/TypeId.ts"
import * as BlockedKeys from "./BlockedKeys.ts"
import { type Source, waitingAny } from "./DeliverySources.ts"
import type { IdRange } from "./IdRange.ts"
import { int, uuid } from "./Parameters.ts"

/** What a list is narrowed to: a `DeliveryLog.DeliveryFilter` whose message is in the range. */
export interface Narrowing {
  readonly webhookId: WebhookId | null
  readonly type: string | null
  readonly status: DeliveryStatus | null
  readonly statusCodeClass: number | null
}

/** What is asked of a walk. */
export interface Walk {
  readonly tenantId: TenantId
  readonly range: IdRange<DeliveryId>
  readonly narrowing: Narrowing
  readonly limit: number
  /** Rows, or messages, that are looked at where no index tells whether they fit. */
  readonly looks: number
}

/** Whether a webhook keeps its deliveries back, or everything is held. */
export const isHeld = `(w.status <> 'enabled' or h.circuit_open_until is not null
  or exists (select from hold))`

/** A webhook with its health. */
export const withHealth = "webhook w left join webhook_health h on h.webhook_id = w.id"

/** The word of SQL for a range's order. */
export const wayOf = (range: IdRange<DeliveryId>): "asc" | "desc" => (range.newer ? "asc" : "desc")

/** Selects up to a page of one source, by its own index; of what is held, not what is kept back. */
export const ofSource = (sql: SqlClient, source: Source, walk: Walk): Fragment => {
  const { limit, looks, narrowing, range, tenantId } = walk
  const { status, statusCodeClass, type, webhookId } = narrowing
  const way = sql.literal(wayOf(range))
  const asksHold = source.isOpen && isOfHold(status)
  const walked = source.byWebhook ? webhookId : null
  const isClassed = source.byClass && walked === null && statusCodeClass !== null

  const looked: Array<Fragment> = []
  if (type !== null) looked.push(typeIs(sql, type))
  if (statusCodeClass !== null && !isClassed) looked.push(classIs(sql, source, statusCodeClass))
  if (asksHold && webhookId === null) {
    if (looked.length === 0 && source.table !== "owed") return ofWebhooks(sql, source, walk)
    looked.push(holdIs(sql, source, status))
  }

  const isHinted = source.table === "waiting" || source.table === "cancelled"
  const key = sql.literal(walked === null ? "t.tenant_id" : "t.webhook_id")
  const owner = uuid(toUuid(walked ?? tenantId))
  const found = [
    sql.literal(source.condition),
    isHinted ? onlyOf(sql, key, owner) : sql`${key} = ${owner}`,
    sql`t.delivery_id > ${uuid(toUuid(range.above))}`,
    sql`t.delivery_id < ${uuid(toUuid(range.below))}`
  ]
  if (isClassed) found.push(sql`(t.status_code / 100) = ${int(statusCodeClass)}`)
  if (walked !== null) {
    found.push(sql`t.tenant_id = ${uuid(toUuid(tenantId))}`)
    if (asksHold) found.push(webhookHolds(sql, walked, status))
  } else if (webhookId !== null) {
    looked.push(sql`t.webhook_id = ${uuid(toUuid(webhookId))}`)
  }
  const order = isHinted ? sql`${key} ${way}, t.delivery_id ${way}` : sql`t.delivery_id ${way}`
  const rows = (more: ReadonlyArray<Fragment>) =>
    sql`from ${sql.literal(source.table)} t where ${sql.and([...found, ...more])} order by ${order}`
  const all = (more: ReadonlyArray<Fragment>) =>
    sql`(
      select ${sql.literal(source.columns)}, true as fits, false as edge ${rows(more)}
      limit ${int(limit)}
    )`
  const some = (more: ReadonlyArray<Fragment>) =>
    looking(sql, source, looked, sql`select t.* ${rows(more)} limit ${int(looks)}`, walk)
  if (walked === null || !asksHold || status === "held" || source.table !== "waiting") {
    return looked.length === 0 ? all([]) : some([])
  }
  looked.push(isFree(sql))
  if (looked.length > 1) return some([])
  const isBlocking = BlockedKeys.isBlocking(sql, owner)
  return sql`${all([sql`not ${isBlocking}`])} union all ${some([isBlocking])}`
}

/** Selects of rows, which are as many as may be looked at, up to a page of those that fit. */
const looking = (
  sql: SqlClient,
  source: Source,
  looked: ReadonlyArray<Fragment>,
  rows: Fragment,
  { limit, looks, range }: Walk
): Fragment => {
  const way = sql.literal(wayOf(range))
  return sql`(
    select * from (
      select ${sql.literal(source.columns)}, ${sql.and(looked)} as fits,
        row_number() over (order by t.delivery_id ${way}) = ${int(looks)} as edge
      from (${rows}) t
    ) c
    where fits or edge order by delivery_id ${way} limit ${int(limit)}
  )`
}

/**
 * Selects up to a page of what is kept back by a blocked key and not by its webhook: with `ofSource`
 * that is all that is held. Nothing where that looks at each row anyway.
 */
export const ofBlockedKeys = (sql: SqlClient, walk: Walk): ReadonlyArray<Fragment> => {
  const { limit, looks, narrowing, range, tenantId } = walk
  const { status, statusCodeClass, type, webhookId } = narrowing
  const looked: Array<Fragment> = []
  if (type !== null) looked.push(typeIs(sql, type))
  if (statusCodeClass !== null) looked.push(classIs(sql, waitingAny, statusCodeClass))
  if (status !== "held" || (webhookId === null && looked.length > 0)) return []
  const rows = BlockedKeys.rows(sql, {
    tenantId,
    webhookId,
    range,
    limit: int(looked.length === 0 ? limit : looks),
    webhooks: sql.literal(withHealth),
    condition: sql`not ${sql.literal(isHeld)}`
  })
  const columns = sql.literal(waitingAny.columns)
  return [
    looked.length === 0
      ? sql`(select ${columns}, true as fits, false as edge from (${rows}) t)`
      : looking(sql, waitingAny, looked, rows, walk)
  ]
}

/**
 * Selects up to a page of sources, by the messages of a type: each leads to its own deliveries. What
 * is looked at are messages, and the edge is no delivery.
 */
export const ofMessages = (
  sql: SqlClient,
  sources: ReadonlyArray<Source>,
  type: string,
  walk: Walk
): Fragment => {
  const { limit, looks, narrowing, range, tenantId } = walk
  const { status, statusCodeClass, webhookId } = narrowing
  const way = sql.literal(wayOf(range))
  const tenant = uuid(toUuid(tenantId))
  const above = uuid(toUuid(range.above))
  const below = uuid(toUuid(range.below))
  // A message's deliveries lie between its id and the same id that ends in ffff.
  const last = "(left(m.id::text, 32) || 'ffff')::uuid"
  const branches = sources.map((source) => {
    const found = [
      sql.literal(source.condition),
      sql.literal(`t.delivery_id > m.id and t.delivery_id <= ${last}`),
      sql`t.delivery_id > ${above} and t.delivery_id < ${below}`,
      sql`t.tenant_id = ${tenant}`
    ]
    if (webhookId !== null) found.push(sql`t.webhook_id = ${uuid(toUuid(webhookId))}`)
    if (statusCodeClass !== null) found.push(classIs(sql, source, statusCodeClass))
    if (source.isOpen && isOfHold(status)) found.push(holdIs(sql, source, status))
    return sql`(
      select ${sql.literal(source.columns)}, true as fits, false as edge
      from ${sql.literal(source.table)} t where ${sql.and(found)}
      order by t.delivery_id ${way} limit ${int(limit)}
    )`
  })
  return sql`(
    select d.* from (
      select id, row_number() over (order by id ${way}) = ${int(looks)} as edge
      from (
        select id from message
        where tenant_id = ${tenant} and type = ${type}
          and id >= message_of(${above}) and id <= message_of(${below})
        order by id ${way} limit ${int(looks)}
      ) typed
    ) m cross join lateral (
      ${branches.reduce((merged, branch) => sql`${merged} union all ${branch}`)}
      union all
      select ${sql.literal(range.newer ? last : "m.id")}, null, null, null, null, null, null, null,
        false, true
      where m.edge
    ) d
    order by m.id ${way}, d.delivery_id ${way} limit ${int(limit)}
  )`
}

/**
 * Selects up to a page of one source, by the webhooks that hold or do not: few of many rows may be
 * theirs.
 */
const ofWebhooks = (sql: SqlClient, source: Source, walk: Walk) => {
  const { limit, looks, narrowing, range, tenantId } = walk
  const way = sql.literal(wayOf(range))
  const isForHeld = narrowing.status === "held"
  const rows = (more: Fragment, most: number) => sql`
    select s.*
    from ${sql.literal(withHealth)} cross join lateral (
      select t.* from ${sql.literal(source.table)} t
      where ${sql.literal(source.condition)}
        and ${onlyOf(sql, sql.literal("t.webhook_id"), sql.literal("w.id"))}
        and t.delivery_id > ${uuid(toUuid(range.above))}
        and t.delivery_id < ${uuid(toUuid(range.below))}
      order by t.webhook_id ${way}, t.delivery_id ${way} limit ${int(most)}
    ) s
    where w.tenant_id = ${uuid(toUuid(tenantId))}
      and ${sql.literal(isHeld)} = ${isForHeld} and ${more}
    order by s.delivery_id ${way} limit ${int(most)}`
  const all = (more: Fragment) => sql`(
    select ${sql.literal(source.columns)}, true as fits, false as edge from (${rows(more, limit)}) t
  )`
  if (isForHeld) return all(sql`true`)
  const isBlocking = BlockedKeys.isBlocking(sql, sql.literal("w.id"))
  const some = looking(sql, source, [isFree(sql)], rows(isBlocking, looks), walk)
  return sql`${all(sql`not ${isBlocking}`)} union all ${some}`
}

/**
 * Compares a key so that the planner does not take it for a constant: then only the index that begins
 * with it has the order of the list. The planner knows no owner's share, and would walk past the rows of
 * all others. Partitions are better read one after another, and need no such hint.
 */
const onlyOf = (sql: SqlClient, key: Fragment, owner: Fragment | ReturnType<typeof uuid>) =>
  sql`${key} = any (array[${owner}])`

const isOfHold = (status: DeliveryStatus | null): boolean =>
  status === "held" || status === "pending" || status === "waiting"

const typeIs = (sql: SqlClient, type: string) =>
  sql`(select m.type from message m where m.id = message_of(t.delivery_id)) = ${type}`

const classIs = (sql: SqlClient, { lastStatusCode }: Source, statusCodeClass: number) =>
  sql`${sql.literal(lastStatusCode ?? "null::int4")} / 100 = ${int(statusCodeClass)}`

const holdIs = (sql: SqlClient, { table }: Source, status: DeliveryStatus | null) =>
  sql`(
    select ${sql.literal(isHeld)} or ${sql.literal(table === "waiting" ? BlockedKeys.isBehind : "false")}
    from ${sql.literal(withHealth)} where w.id = t.webhook_id
  ) = ${status === "held"}`

const isFree = (sql: SqlClient) => sql`not ${sql.literal(BlockedKeys.isBehind)}`

/** Said of the webhook that is asked for, once: its rows then all fit or none does. */
const webhookHolds = (sql: SqlClient, webhookId: WebhookId, status: DeliveryStatus | null) =>
  sql`(
    select ${sql.literal(isHeld)} from ${sql.literal(withHealth)}
    where w.id = ${uuid(toUuid(webhookId))}
  ) = ${status === "held"}`
