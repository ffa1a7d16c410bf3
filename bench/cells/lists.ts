/** What lists take on a long history, and how the database reads them. */
import { fromUuid } from "../../src/domain/TypeId.ts"
import type { Service } from "../../test/support/Service.ts"
import type { Cell, Outcome } from "../rig/Cell.ts"
import type { Connection } from "../rig/Database.ts"
import { type ListCase, listCases } from "../rig/ListCases.ts"
import { monotonicMs } from "../rig/MonotonicClock.ts"
import { explain, type Plan } from "../rig/Plans.ts"
import { seedHistory } from "../rig/SeedHistory.ts"
import { percentile, sorted } from "../rig/Stats.ts"
import { columns, plain } from "../rig/Table.ts"

const webhooks = 100
const times = 20

/** Rows that may go into one sort: a page of each webhook, where the state of webhooks is asked for. */
const sortRowsMax = 51 * webhooks

const blockedKeys = `
with chosen as (
  (select id from webhook order by id offset 3 limit 3)
  union (select id from webhook order by id desc limit 1)
), ordered as (
  update waiting set ordering_key = 'key ' || abs(hashtext(delivery_id::text)) % 3
  where webhook_id in (select id from chosen)
  returning delivery_id, tenant_id, webhook_id, ordering_key
)
insert into blocked_key (delivery_id, tenant_id, webhook_id, ordering_key)
select distinct on (webhook_id) delivery_id, tenant_id, webhook_id, ordering_key
from ordered order by webhook_id, delivery_id`

/** Lists messages, deliveries, attempts and webhooks by every filter and pair of filters. */
export const lists: Cell = {
  name: "lists",
  asks: "What does each list take, by every filter and pair of filters, and by which plan?",
  run: async (bench) =>
    bench.withRig({ ground: await bench.ground() }, async (rig) => {
      const { connection, service } = rig
      if (connection === null) throw new Error("lists are measured on Postgres")
      for (let i = 0; i < webhooks; i++) await rig.webhook(i, { eventTypes: ["bench.nothing"] })
      await service.end("SIGTERM")
      await seedHistory(connection, bench.options.messages, Date.now())
      // What waits for three webhooks is held; no lane has to know.
      await connection.query(
        "update webhook set status = 'paused' where id in (select id from webhook order by id limit 3)"
      )
      // So is what stands behind one of three keys, for some others and for the one that is asked about.
      await connection.query(blockedKeys)
      await connection.query("vacuum analyze waiting")
      await service.start()
      return measureLists(service, connection)
    })
}

/** Asks a service for every list and explains what it asked its database. */
export const measureLists = async (service: Service, connection: Connection): Promise<Outcome> => {
  await connection.query("set enable_seqscan = off")
  await connection.query("set jit = off")
  const [row] = await connection.query<{ id: string; tenant_id: string; webhook_id: string }>(
    `select m.id, m.tenant_id, w.id as webhook_id from message m, webhook w
     where m.tenant_id = w.tenant_id order by m.id desc, w.id desc limit 1`
  )
  const cases = listCases({
    tenantId: fromUuid("tenant", row!.tenant_id),
    webhookId: fromUuid("webhook", row!.webhook_id),
    messageId: fromUuid("message", row!.id)
  })
  const measured: Array<Measured> = []
  for (const one of cases) measured.push(await measure(service, connection, one))
  const worst = (of: (one: Measured) => number) => Math.max(...measured.map(of))
  return {
    figures: [
      { name: "lists asked for", value: measured.length },
      { name: "slowest list: p50, ms", value: worst((one) => one.p50) },
      { name: "slowest list: p99, ms", value: worst((one) => one.p99), target: { atMost: 50 } },
      {
        name: "plans with a sequential scan",
        value: measured.filter(({ plan }) => (plan?.seqScans.length ?? 0) > 0).length,
        target: { atMost: 0 }
      },
      {
        name: "most rows in one sort",
        value: worst(({ plan }) => plan?.sortRows ?? 0),
        target: { atMost: sortRowsMax }
      }
    ],
    details: [
      columns([
        ["list", "p50 ms", "p99 ms", "rows", "more", "sorted", "thrown away", "read whole"],
        ...measured
          .toSorted((a, b) => b.p99 - a.p99)
          .map(({ p50, p99, path, plan, rows, more }) => [
            path.replaceAll(/(wh|msg)_[0-9a-z]+/g, "$1_…"),
            plain(p50),
            plain(p99),
            String(rows),
            more ? "yes" : "",
            plan === null ? "-" : String(plan.sortRows),
            plan === null ? "-" : String(plan.removedRows),
            plan?.seqScans.join(" ") ?? ""
          ])
      ])
    ]
  }
}

interface Measured {
  readonly path: string
  readonly p50: number
  readonly p99: number
  readonly rows: number
  readonly more: boolean
  readonly plan: Plan | null
}

const measure = async (
  service: Service,
  connection: Connection,
  { path, statements }: ListCase
): Promise<Measured> => {
  const samples: Array<number> = []
  let rows = 0
  let more = false
  for (let i = 0; i < times; i++) {
    const beganAt = monotonicMs()
    const { json, status } = await service.call("GET", path)
    samples.push(monotonicMs() - beganAt)
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(json)}`)
    rows = json.data.length
    more = json.nextCursor !== null
  }
  const all = sorted(samples)
  return {
    path,
    p50: percentile(all, 50),
    p99: percentile(all, 99),
    rows,
    more,
    plan: statements === null ? null : await explain(connection, statements)
  }
}
