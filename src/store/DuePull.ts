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
import { instant, int, long, texts, uuid, uuids } from "./Parameters.ts"

/** What is asked for: `DeliveryQueue.PullRequest`. */
export interface Request {
  readonly webhookId: WebhookId
  readonly now: number
  readonly limit: number
  readonly bytesMax: number
  readonly held: ReadonlySet<DeliveryId>
  readonly keys: ReadonlyArray<string>
  readonly after: string
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
  readonly message_key: string | null
  readonly expires_at: Date | null
}

/** Deliveries of one key that are read at once. */
export const runMax = 10

/** Whether an exhausted delivery keeps back the one of this alias. */
const blocked = (of: string) => `exists (
    select from blocked_key b where b.webhook_id = $1 and b.ordering_key = ${of}.ordering_key
      and b.delivery_id < ${of}.delivery_id
  )`

/**
 * Reads deliveries in the order of their due times, and one more than may be taken.
 *
 * **Details**
 *
 * Of those that stand in the order of a key only runs are read that begin with the first of their key:
 * `keys` goes from key to key along the index, however many stand behind each. A key is left out that
 * memory holds, whose first one is not due, or that an exhausted one blocks; a run ends before one that is
 * not due or blocked.
 */
export const text = `
with recursive keys as (
  (select ordering_key, delivery_id, due_at from waiting
    where webhook_id = $1 and ordering_key > $6
    order by ordering_key, delivery_id limit 1)
  union all
  select n.ordering_key, n.delivery_id, n.due_at
  from keys k cross join lateral (
    select ordering_key, delivery_id, due_at from waiting
    where webhook_id = $1 and ordering_key > k.ordering_key
    order by ordering_key, delivery_id limit 1
  ) n
), heads as (
  select ordering_key, delivery_id, due_at from keys k
  where due_at <= $2 and ordering_key <> all ($7::text[]) and not ${blocked("k")}
  limit $3 + 1
), runs as (
  select r.delivery_id, r.tenant_id, r.attempts, r.tries, r.due_at, r.ordering_key,
    h.due_at as sort_at
  from heads h cross join lateral (
    select w.*, bool_and(w.due_at <= $2 and not ${blocked("w")})
      over (order by w.delivery_id) as is_ready
    from (
      select * from waiting where webhook_id = $1 and ordering_key = h.ordering_key
        and delivery_id >= h.delivery_id
      order by delivery_id limit ${runMax}
    ) w
  ) r where r.is_ready
), first as (
  (select delivery_id, tenant_id, attempts, tries, due_at from waiting
    where webhook_id = $1 and ordering_key is null and due_at <= $2
    order by due_at, delivery_id limit $3 + cardinality($5::uuid[]) + 1)
  union all
  (select delivery_id, tenant_id, attempts, tries, due_at from waiting
    where webhook_id = $1 and ordering_key is null and due_at > $2
    order by due_at, delivery_id limit cardinality($5) + 1)
), free as (
  (select first.*, null::text as ordering_key, due_at as sort_at
    from first where delivery_id not in (select unnest($5))
    order by due_at, delivery_id limit $3 + 1)
  union all
  select * from runs
  union all
  (select delivery_id, tenant_id, attempts, tries, due_at, ordering_key, due_at as sort_at
    from waiting
    where webhook_id = $1 and ordering_key is not null and due_at > $2
    order by due_at limit 1)
  order by sort_at, ordering_key nulls first, delivery_id limit $3 + 1
), sized as (
  select f.*, m.type, m.content_type, m.created_at, m.message_key, m.expires_at, m.body,
    count(m.type) over walk as place,
    sum(octet_length(m.body)) over walk as bytes
  from free f left join lateral (
    select type, content_type, created_at, ordering_key as message_key, expires_at, body
    from message where id = message_of(f.delivery_id) and f.due_at <= $2 limit 1
  ) m on true
  window walk as (
    order by f.sort_at, f.ordering_key nulls first, f.delivery_id rows unbounded preceding
  )
)
select delivery_id, tenant_id, attempts, tries, due_at, type, content_type, created_at,
  ordering_key, message_key, expires_at,
  case when place = 1 or (place <= $3 and bytes <= $4) then body end as body
from sized order by sort_at, ordering_key nulls first, delivery_id`

/** Lists the parameters of the query. */
export const parameters = (request: Request): ReadonlyArray<unknown> => {
  const { after, bytesMax, held, keys, limit, now, webhookId } = request
  const heldIds: Array<string> = []
  for (const id of held) heldIds.push(toUuid(id))
  return [
    uuid(toUuid(webhookId)),
    instant(now),
    int(limit),
    long(bytesMax),
    uuids(heldIds),
    after,
    texts(keys)
  ]
}

interface Due {
  readonly id: DeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly attempts: number
  readonly tries: number
  readonly orderingKey: string | null
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
      orderingKey: row.ordering_key,
      message: {
        id: messageOf(id),
        type: row.type,
        contentType: row.content_type,
        // A copy, because the bytes are a part of a larger buffer that would stay with them.
        body: row.body.slice(),
        orderingKey: row.message_key,
        expiresAt: row.expires_at?.getTime() ?? null,
        createdAt: row.created_at.getTime()
      }
    })
  }
  return { deliveries, nextDueAt: null }
}
