/**
 * The query that reads what is due for a webhook: first the keys, then the messages of those that are
 * free. It measures a body without reading it, and bodies beyond the budget do not leave the server.
 */
import {
  type DeliveryId,
  fromUuid,
  messageOf,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import { instant, int, long, uuid, uuids } from "./Parameters.ts"

/** What is asked for: `DeliveryQueue.PullRequest`. */
export interface Request {
  readonly webhookId: WebhookId
  readonly now: number
  readonly limit: number
  readonly bytesMax: number
  readonly held: ReadonlySet<DeliveryId>
}

/** A row of the answer: without a body it tells what was left, and when that is due. */
export interface DueRow {
  readonly delivery_id: string
  readonly tenant_id: string
  readonly attempts: number
  readonly tries: number
  readonly due_at: Date
  readonly type: string | null
  readonly content_type: string
  readonly created_at: Date
  readonly body: Uint8Array | null
  readonly ordering_key: string | null
  readonly expires_at: Date | null
}

/** Reads deliveries in the order of their due times, and one more than may be taken. */
export const text = `
with first as (
  (select delivery_id, tenant_id, attempts, tries, due_at from waiting
    where webhook_id = $1 and due_at <= $2
    order by due_at, delivery_id limit $3 + cardinality($5::uuid[]) + 1)
  union all
  (select delivery_id, tenant_id, attempts, tries, due_at from waiting
    where webhook_id = $1 and due_at > $2
    order by due_at, delivery_id limit cardinality($5) + 1)
), free as (
  select * from first where delivery_id not in (select unnest($5))
  order by due_at, delivery_id limit $3 + 1
), sized as (
  select f.*, m.type, m.content_type, m.created_at, m.ordering_key, m.expires_at, m.body,
    count(m.type) over walk as place,
    sum(octet_length(m.body)) over walk as bytes
  from free f left join lateral (
    select type, content_type, created_at, ordering_key, expires_at, body from message
    where id = message_of(f.delivery_id) and f.due_at <= $2 limit 1
  ) m on true
  window walk as (order by f.due_at, f.delivery_id rows unbounded preceding)
)
select delivery_id, tenant_id, attempts, tries, due_at, type, content_type, created_at,
  ordering_key, expires_at,
  case when place = 1 or (place <= $3 and bytes <= $4) then body end as body
from sized order by due_at, delivery_id`

/** Lists the parameters of the query. */
export const parameters = (request: Request): ReadonlyArray<unknown> => {
  const { bytesMax, held, limit, now, webhookId } = request
  const heldIds: Array<string> = []
  for (const id of held) heldIds.push(toUuid(id))
  return [uuid(toUuid(webhookId)), instant(now), int(limit), long(bytesMax), uuids(heldIds)]
}

interface Due {
  readonly id: DeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly attempts: number
  readonly tries: number
  readonly message: {
    readonly id: ReturnType<typeof messageOf>
    readonly type: string
    readonly contentType: string
    readonly body: Uint8Array
    readonly orderingKey: string | null
    readonly expiresAt: number | null
    readonly createdAt: number
  }
}

/** Takes the deliveries out of the answer, and when the first one that was left is due. */
export const decode = (
  rows: ReadonlyArray<DueRow>,
  { now, webhookId }: Request
): { readonly deliveries: ReadonlyArray<Due>; readonly nextDueAt: number | null } => {
  const deliveries: Array<Due> = []
  for (const row of rows) {
    if (row.body === null || row.type === null) {
      const dueAt = row.due_at.getTime()
      // One without a message has nothing to be sent.
      if (row.type === null && dueAt <= now) continue
      return { deliveries, nextDueAt: dueAt }
    }
    const id = fromUuid("delivery", row.delivery_id)
    deliveries.push({
      id,
      tenantId: fromUuid("tenant", row.tenant_id),
      webhookId,
      attempts: row.attempts,
      tries: row.tries,
      message: {
        id: messageOf(id),
        type: row.type,
        contentType: row.content_type,
        // A copy, because the bytes are a part of a larger buffer that would stay with them.
        body: row.body.slice(),
        orderingKey: row.ordering_key,
        expiresAt: row.expires_at?.getTime() ?? null,
        createdAt: row.created_at.getTime()
      }
    })
  }
  return { deliveries, nextDueAt: null }
}
