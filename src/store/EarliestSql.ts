/**
 * Finds when the earliest waiting delivery of each webhook is due, without counting the others.
 */
import type { SqlClient } from "effect/sql/SqlClient"

/**
 * The recursive part `earliest (webhook_id, due_at)` of a statement: it jumps from webhook to webhook
 * along the index.
 */
export const earliest = (sql: SqlClient) => sql`earliest as (
  (select webhook_id, due_at from waiting order by webhook_id, due_at limit 1)
  union all
  select next.webhook_id, next.due_at
  from earliest cross join lateral (
    select webhook_id, due_at from waiting
    where webhook_id > earliest.webhook_id order by webhook_id, due_at limit 1
  ) next
)`
