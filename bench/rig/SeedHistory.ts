/**
 * Writes a history of many days straight into the service's tables: messages, attempts, what waits and
 * what was cancelled, with a few rows of every kind that is rare.
 */
import { firstId, nameOf } from "../../src/store/Partitions.ts"
import type { Connection } from "./Database.ts"

/** Days that the history goes back. */
export const historyDays = 10

/** A type that five messages have, and one that none has. */
export const rareType = "bench.rare"

const dayMs = 86_400_000
const chunk = 250_000

/**
 * Writes `messages` with one delivery each, evenly over the last days up to `now` in epoch
 * milliseconds and over the webhooks there are.
 *
 * **Details**
 *
 * Of ten deliveries one waits for its retry, of a thousand one is exhausted and one cancelled; all
 * others are delivered. Twenty types have one twentieth each.
 */
export const seedHistory = async (
  connection: Connection,
  messages: number,
  now: number
): Promise<void> => {
  const start = now - historyDays * dayMs
  for (let at = start; at < now + dayMs; at += dayMs) await makePartitions(connection, at)
  const apartMs = (now - start) / messages
  for (let first = 0; first < messages; first += chunk) {
    const end = Math.min(first + chunk, messages) - 1
    await connection.query(insertion, [start, apartMs, first, end, messages])
  }
  for (const table of ["message", "attempt", "waiting", "cancelled"]) {
    await connection.query(`vacuum analyze ${table}`)
  }
}

const makePartitions = async (connection: Connection, at: number): Promise<void> => {
  const day = Math.floor(at / dayMs) * dayMs
  for (const table of ["message", "attempt"] as const) {
    await connection.query(
      `create table if not exists ${nameOf(table, day)} partition of ${table}
       for values from ('${firstId(day)}') to ('${firstId(day + dayMs)}')`
    )
  }
}

/** Parameters: start, milliseconds between two messages, first number, last number, all messages. */
const insertion = `
with webhooks as (
  select id, tenant_id, row_number() over (order by id) - 1 as place, count(*) over () as many
  from webhook
), rows as (
  select i, w.id as webhook_id, w.tenant_id, at, to_timestamp(at / 1000.0) as made_at,
    (head || '0000')::uuid as message_id, (head || '0001')::uuid as delivery_id,
    case when i % 10 = 3 then 'waiting' when i % 1000 = 4 then 'cancelled'
      when i % 1000 = 5 then 'exhausted' else 'delivered' end as state
  from generate_series($3::bigint, $4::bigint) as i
  cross join lateral (select floor($1::float8 + i * $2::float8)::bigint as at) t
  cross join lateral (
    select lpad(to_hex(at), 12, '0') || '7' || lpad(to_hex(i % 4096), 3, '0') || '8'
      || substr(md5(i::text), 1, 11) as head
  ) h
  join webhooks w on w.place = (i / 7) % w.many
), written as (
  insert into message (id, tenant_id, type, resource_type, resource_id, content_type, body, fan_out,
    created_at)
  select message_id, tenant_id,
    case when i % greatest($5::bigint / 5, 1) = 17 then '${rareType}'
      else 'bench.h' || lpad((i % 20)::text, 3, '0') end,
    case when i % greatest($5::bigint / 5, 1) = 18 then 'ghost' when i % 10 = 1 then 'order' end,
    case when i % greatest($5::bigint / 5, 1) = 18 or i % 10 = 1 then (i / 10 % 1000)::text end,
    'application/json', '{"data":{"n":1}}', 1, made_at
  from rows
), tried as (
  insert into attempt (delivery_id, number, id, tenant_id, webhook_id, started_at, duration_ms, class,
    status_code, response_headers, next_at, settled)
  select delivery_id, 1, delivery_id, tenant_id, webhook_id, made_at, 5,
    case state when 'delivered' then 'status_2xx' else 'status_5xx' end,
    case when state = 'delivered' then 200 when i % 100000 in (5, 13) then 404 else 503 end,
    case when state <> 'delivered' then '{"retry-after":"120"}'::jsonb end,
    case state when 'waiting' then now() + interval '1 day' end,
    case when state in ('delivered', 'exhausted') then state end
  from rows where state <> 'cancelled'
), delayed as (
  insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at)
  select delivery_id, tenant_id, webhook_id, 1, 1, now() + interval '1 day'
  from rows where state = 'waiting'
)
insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at)
select delivery_id, tenant_id, webhook_id, 0, made_at from rows where state = 'cancelled'`
