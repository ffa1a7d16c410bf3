/**
 * Puts messages of long ago into the database of a service that does not run: days that retention
 * finds in partitions of their own and in the default ones, most of them settled, one not.
 */
import { fromUuid } from "../../src/domain/TypeId.ts"
import { firstId, nameOf } from "../../src/store/Partitions.ts"
import type { Query } from "./Store.ts"

const dayMs = 86_400_000
const settledOfDay = 40

/** A message that is still owed to the webhook `plain`. */
export interface Owed {
  readonly key: string
  readonly id: string
}

/** Adds two days, so many days back, and answers what is still owed of them. */
export const addAgedDays = async (
  query: Query,
  days: readonly [partitioned: number, default_: number]
): Promise<ReadonlyArray<Owed>> => {
  const [place] = await query(`
    select t.id as tenant, w.id as webhook from tenant t join webhook w on w.tenant_id = t.id
    where t.uid = 'default' and w.uid = 'plain'`)
  const owed: Array<Owed> = []
  for (const [i, back] of days.entries()) {
    const start = (Math.floor(Date.now() / dayMs) - back) * dayMs
    if (i === 0) {
      for (const table of ["message", "attempt"] as const) {
        await query(`create table if not exists ${nameOf(table, start)} partition of ${table}
          for values from ('${firstId(start)}') to ('${firstId(start + dayMs)}')`)
      }
    }
    for (let n = 0; n <= settledOfDay; n++) {
      const at = start + n * 1_000
      const isOwed = n === settledOfDay
      const id = `${firstId(at).slice(0, 14)}7000-8000-000000000000`
      const delivery = `${id.slice(0, -4)}0001`
      const typeId = String(fromUuid("message", id))
      const key = `aged-${back}-${n}`
      const body = JSON.stringify({
        id: typeId,
        type: "aged.one",
        timestamp: new Date(at).toISOString(),
        data: { key, i: 0 }
      })
      const time = `to_timestamp(${at} / 1000.0)`
      await query(`insert into message (id, tenant_id, type, content_type, body, fan_out, created_at)
        values ('${id}', '${place.tenant}', 'aged.one', 'application/json',
          convert_to('${body}', 'UTF8'), 1, ${time})`)
      if (isOwed) {
        await query(`insert into waiting (delivery_id, tenant_id, webhook_id, due_at)
          values ('${delivery}', '${place.tenant}', '${place.webhook}', ${time})`)
        owed.push({ key, id: typeId })
      } else {
        await query(`insert into attempt (delivery_id, number, id, tenant_id, webhook_id, started_at,
            duration_ms, class, status_code, settled)
          values ('${delivery}', 1, gen_random_uuid(), '${place.tenant}', '${place.webhook}', ${time},
            5, 'status_2xx', 204, 'delivered')`)
      }
    }
  }
  return owed
}

/** Counts what retention should have removed: settled messages of days before these. */
export const countAged = async (query: Query, days: number): Promise<number> => {
  const [row] = await query(`select count(*)::int as count from message m
    where id < '${firstId(Date.now() - days * dayMs)}' and exists (
      select from attempt a where a.delivery_id = (left(m.id::text, 32) || '0001')::uuid
        and a.settled is not null and a.started_at < to_timestamp(${Date.now() - days * dayMs} / 1000.0))`)
  return row.count
}
