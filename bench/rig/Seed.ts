/**
 * Writes rows straight into the service's tables, where publishing them would take too long.
 */
import type { Connection } from "./Database.ts"

/**
 * Writes `count` deliveries that wait for their retry a day from now, spread over the enabled
 * webhooks, each with its message.
 */
export const seedWaiting = async (connection: Connection, count: number): Promise<void> => {
  // A message's id is a UUIDv7 that ends in 16 zero bits; its only delivery is number one.
  await connection.query(
    `with webhooks as (
       select id, tenant_id, row_number() over (order by id) - 1 as place, count(*) over () as many
       from webhook
     ), seeds as (
       select i, lpad(to_hex($2::bigint - $1::int + i), 12, '0') as ms,
         lpad(to_hex(i % 4096), 3, '0') as turn, substr(md5(i::text), 1, 11) as chance
       from generate_series(1, $1::int) as i
     ), rows as (
       select (ms || '7' || turn || '8' || chance || '0000')::uuid as message_id,
         (ms || '7' || turn || '8' || chance || '0001')::uuid as delivery_id,
         webhooks.id as webhook_id, webhooks.tenant_id
       from seeds join webhooks on webhooks.place = seeds.i % webhooks.many
     ), messages as (
       insert into message (id, tenant_id, type, content_type, body, fan_out, created_at)
       select message_id, tenant_id, 'bench.h000', 'application/json', '{"data":{}}', 1,
         to_timestamp($2 / 1000)
       from rows
     )
     insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at)
     select delivery_id, tenant_id, webhook_id, 1, 1, to_timestamp($2 / 1000 + 86400)
     from rows`,
    [count, Date.now()]
  )
  await connection.query("analyze waiting")
  await connection.query("analyze message")
}
