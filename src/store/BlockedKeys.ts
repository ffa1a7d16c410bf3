/**
 * Deliveries that an exhausted one keeps back, because they stand behind it under their ordering key:
 * they are held whatever their webhook does.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { type DeliveryId, type TenantId, toUuid, type WebhookId } from "../domain/TypeId.ts"
import type { IdRange } from "./IdRange.ts"
import { uuid } from "./Parameters.ts"

/** Whether a row of `waiting`, named t, is kept back. */
export const isBehind = `(t.ordering_key is not null and exists (
  select from blocked_key b
  where b.webhook_id = t.webhook_id and b.ordering_key = t.ordering_key
    and b.delivery_id < t.delivery_id
))`

/** Whether the settings of a webhook, named w, let an exhausted delivery keep back what comes after it. */
export const blocksOn = `(w.settings ->> 'ordering' = 'key'
  or w.settings #>> '{ordering,onExhausted}' = 'block')`

/** Whether a webhook has a key that is blocked. */
export const isBlocking = (sql: SqlClient, webhook: Fragment | ReturnType<typeof uuid>) =>
  sql`exists (select from blocked_key b where b.webhook_id = ${webhook})`

/**
 * Selects up to a number of rows of `waiting` that are kept back, in the order of a list: of each
 * blocked key the first ones, along the index of its order.
 */
export const rows = (
  sql: SqlClient,
  of: {
    readonly tenantId: TenantId
    readonly webhookId: WebhookId | null
    readonly range: IdRange<DeliveryId>
    readonly limit: Fragment | ReturnType<typeof uuid>
    /** From webhooks with what a condition on them needs. */
    readonly webhooks: Fragment
    readonly condition: Fragment
  }
): Fragment => {
  const { above, below, newer } = of.range
  const way = sql.literal(newer ? "asc" : "desc")
  const wanted = [sql`w.tenant_id = ${uuid(toUuid(of.tenantId))}`, of.condition]
  if (of.webhookId !== null) wanted.push(sql`w.id = ${uuid(toUuid(of.webhookId))}`)
  return sql`
    select s.* from ${of.webhooks} cross join lateral (
      select distinct on (ordering_key) ordering_key, delivery_id as head from blocked_key
      where webhook_id = w.id order by ordering_key, delivery_id
    ) b cross join lateral (
      select t.* from waiting t
      where t.webhook_id = w.id and t.ordering_key = b.ordering_key and t.delivery_id > b.head
        and t.delivery_id > ${uuid(toUuid(above))} and t.delivery_id < ${uuid(toUuid(below))}
      order by t.webhook_id ${way}, t.ordering_key ${way}, t.delivery_id ${way} limit ${of.limit}
    ) s
    where ${sql.and(wanted)} order by s.delivery_id ${way} limit ${of.limit}`
}
