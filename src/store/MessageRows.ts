/**
 * Messages as lists read them: along an index that holds what is asked for, in the order of the list.
 *
 * **Details**
 *
 * Types, types of resources and resources have an index each. Where more is asked for, rows are looked
 * at one by one up to an edge, as in DeliveryWalks. The comparison of rows leaves the planner one index
 * only: it does not know how rare a type or a resource is.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import type { EventTypeName } from "../domain/EventType.ts"
import type { Message } from "../domain/Message.ts"
import { fromUuid, type MessageId, type TenantId, toUuid } from "../domain/TypeId.ts"
import type { IdRange } from "./IdRange.ts"
import { int, uuid } from "./Parameters.ts"
import type { Looked } from "./Scan.ts"

/** A message as it is selected. */
export interface MessageRow {
  readonly id: string
  readonly uid: string | null
  readonly type: string
  readonly resource_type: string | null
  readonly resource_id: string | null
  readonly ordering_key: string | null
  readonly channels: ReadonlyArray<string> | null
  readonly deliver_at: Date | null
  readonly expires_at: Date | null
  readonly content_type: string
  readonly body: Uint8Array
  readonly fan_out: number
  readonly created_at: Date
}

/** What is asked of a list. */
export interface Walk {
  readonly tenantId: TenantId
  readonly range: IdRange<MessageId>
  readonly filter: {
    readonly type: string | null
    readonly resourceType: string | null
    readonly resourceId: string | null
    readonly includeBody: boolean
  }
  readonly limit: number
  /** Rows that are looked at where no index tells whether they fit. */
  readonly looks: number
}

/** The columns of a message `m`, with or without its body. */
export const columns = (includeBody: boolean): string =>
  `m.id, m.uid, m.type, m.resource_type, m.resource_id, m.ordering_key, m.channels, m.deliver_at,
    m.expires_at, m.content_type, ${includeBody ? "m.body" : "''::bytea as body"}, m.fan_out, m.created_at`

/** Makes the ways to read a list, the likelier one first; each may end at an edge. */
export const ways = (sql: SqlClient, walk: Walk): ReadonlyArray<Statement<MessageRow & Looked>> => {
  const { resourceId, resourceType, type } = walk.filter
  const by = (keys: ReadonlyArray<Key>, looked: ReadonlyArray<Key> = []) =>
    along(sql, walk, keys, looked)
  const typeKey = keyOf("type", type)
  const resourceTypeKey = keyOf("resource_type", resourceType)
  const resourceIdKey = keyOf("resource_id", resourceId)
  if (resourceIdKey.length > 0) {
    return resourceTypeKey.length > 0
      ? [by([...resourceTypeKey, ...resourceIdKey], typeKey)]
      : [ofAnyResource(sql, walk)]
  }
  if (resourceTypeKey.length > 0) {
    return typeKey.length > 0
      ? [by(resourceTypeKey, typeKey), by(typeKey, resourceTypeKey)]
      : [by(resourceTypeKey)]
  }
  return [by(typeKey)]
}

/** Builds a message from a row. */
export const messageOf = (tenantId: TenantId, row: MessageRow): Message => ({
  id: fromUuid("message", row.id),
  tenantId,
  uid: row.uid,
  // It was checked when it was published.
  type: row.type as EventTypeName,
  resource:
    row.resource_type === null || row.resource_id === null
      ? null
      : { type: row.resource_type, id: row.resource_id },
  orderingKey: row.ordering_key,
  channels: row.channels ?? [],
  deliverAt: row.deliver_at?.getTime() ?? null,
  expiresAt: row.expires_at?.getTime() ?? null,
  contentType: row.content_type,
  // A copy, because the bytes may be a part of a larger buffer that would stay with them.
  body: row.body.slice(),
  fanOut: row.fan_out,
  createdAt: row.created_at.getTime()
})

interface Key {
  readonly column: "type" | "resource_type" | "resource_id"
  readonly value: string
}

const keyOf = (column: Key["column"], value: string | null): ReadonlyArray<Key> =>
  value === null ? [] : [{ column, value }]

/**
 * Walks the index of a tenant and some keys. A comparison of rows ends a walk by its first column only,
 * so that is the last of the keys.
 */
const along = (
  sql: SqlClient,
  { filter, limit, looks, range, tenantId }: Walk,
  keys: ReadonlyArray<Key>,
  looked: ReadonlyArray<Key>
) => {
  const way = range.newer ? "asc" : "desc"
  const tenant = uuid(toUuid(tenantId))
  const above = uuid(toUuid(range.above))
  const below = uuid(toUuid(range.below))
  const last = keys.at(-1)
  const column = sql.literal(`m.${last?.column ?? "tenant_id"}`)
  const value = last === undefined ? tenant : last.value
  const conditions = [
    sql`m.tenant_id = ${tenant}`,
    ...equal(sql, keys.slice(0, -1)),
    sql`(${column}, m.id) > (${value}, ${above}) and (${column}, m.id) < (${value}, ${below})`,
    // Partitions are chosen by the id alone.
    sql`m.id > ${above} and m.id < ${below}`
  ]
  if (last !== undefined && last.column !== "type") {
    conditions.push(sql`m.resource_type is not null`)
  }
  const rows = sql`from message m where ${sql.and(conditions)}
    order by ${column} ${sql.literal(way)}, m.id ${sql.literal(way)}`
  const shown = sql.literal(columns(filter.includeBody))
  return looked.length === 0
    ? sql<MessageRow & Looked>`
        select ${shown}, true as fits, false as edge ${rows} limit ${int(limit)}`
    : sql<MessageRow & Looked>`
        select * from (
          select ${shown}, ${sql.and(equal(sql, looked))} as fits,
            row_number() over (order by m.id ${sql.literal(way)}) = ${int(looks)} as edge
          from (select m.* ${rows} limit ${int(looks)}) m
        ) c
        where fits or edge order by id ${sql.literal(way)} limit ${int(limit)}`
}

const equal = (sql: SqlClient, keys: ReadonlyArray<Key>) =>
  keys.map(({ column, value }) => sql`${sql.literal(`m.${column}`)} = ${value}`)

/**
 * Walks the index of resources once for each type of resource that the tenant has, for an id alone
 * says no type.
 */
const ofAnyResource = (sql: SqlClient, { filter, limit, range, tenantId }: Walk) => {
  const way = sql.literal(range.newer ? "asc" : "desc")
  const tenant = uuid(toUuid(tenantId))
  const typed = filter.type === null ? sql.literal("true") : sql`m.type = ${filter.type}`
  return sql<MessageRow & Looked>`
    with recursive types as (
      (select resource_type from message
        where tenant_id = ${tenant} and resource_type is not null
        order by resource_type limit 1)
      union all
      select next.resource_type
      from types cross join lateral (
        select resource_type from message
        where tenant_id = ${tenant} and resource_type > types.resource_type
        order by resource_type limit 1
      ) next
    )
    select s.* from types cross join lateral (
      select ${sql.literal(columns(filter.includeBody))}, true as fits, false as edge
      from message m
      where m.tenant_id = ${tenant} and m.resource_type = types.resource_type
        and m.resource_id = ${filter.resourceId}
        and m.id > ${uuid(toUuid(range.above))} and m.id < ${uuid(toUuid(range.below))}
        and ${typed}
      order by m.id ${way} limit ${int(limit)}
    ) s
    order by s.id ${way} limit ${int(limit)}`
}
