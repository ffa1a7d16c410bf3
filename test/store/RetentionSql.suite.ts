/**
 * How retention removes days where they are partitions: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { deliveryOf, toUuid } from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import * as Partitions from "../../src/store/Partitions.ts"
import * as RetentionSql from "../../src/store/RetentionSql.ts"
import { scaled } from "../support/Scale.ts"
import { idAt, removeBy } from "./Retention.suite.ts"
import { draft, exhausted, publish, settlement, type Stage, tenantWith } from "./Stage.ts"

const day = 86_400_000

/** A third of the days that pass. */
const keptDays = scaled(7, 30)

/** Lists the days that have a partition, by their names. */
const partitions = Effect.flatMap(SqlClient, (sql) =>
  Effect.map(
    sql<{ readonly name: string }>`
      select relname as name from pg_class
      where relname ~ '^(message|attempt)_p' and relkind = 'r' order by relname`,
    (rows) => rows.map(({ name }) => name)
  )
)

/** The bytes of all tables of messages and attempts. */
const bytes = Effect.flatMap(SqlClient, (sql) =>
  Effect.map(
    sql<{ readonly bytes: number }>`
      select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class
      where relname ~ '^(message|attempt)_(p|default)' and relkind = 'r'`,
    ([row]) => row!.bytes
  )
)

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stage | SqlClient>) => {
  it.effect("a day whose messages are all settled is dropped, and its disk is given back", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const log = yield* DeliveryLog
      const start = 20_100 * day
      yield* Partitions.ensure(start)
      const { tenant, webhook } = yield* tenantWith(1)
      const empty = yield* bytes
      const made = yield* Effect.forEach(Array.from({ length: 200 }), (_, i) =>
        Effect.gen(function* () {
          const body = yield* (yield* Ids).bytes(16_384)
          return yield* draft(tenant, [webhook], { id: idAt(start + i), body })
        })
      )
      yield* (yield* MessageRepo).insert([made[0]!, ...made.slice(1)])
      const settled = yield* Effect.forEach(made, ({ message }) =>
        settlement(
          { id: deliveryOf(message.id, 1), tenantId: tenant, webhookId: webhook },
          { startedAt: start + day }
        )
      )
      yield* log.settle([settled[0]!, ...settled.slice(1)])
      assert.isAbove((yield* bytes) - empty, 3_000_000)
      const swept = yield* removeBy(store, start + 2 * day)
      assert.isAtLeast(swept.days, 1)
      for (const table of ["message", "attempt"] as const) {
        assert.notInclude(yield* partitions, Partitions.nameOf(table, start))
        assert.include(yield* partitions, Partitions.nameOf(table, start + 2 * day))
      }
      assert.isBelow((yield* bytes) - empty, 100_000)
    })
  )

  it.effect("what is open of a day moves and stays whole, and the day is dropped", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const sql = yield* SqlClient
      const start = 20_200 * day
      yield* Partitions.ensure(start)
      const { tenant, webhooks } = yield* tenantWith(2)
      const made = yield* Effect.forEach([0, 1, 2], (i) =>
        publish(tenant, webhooks, { id: idAt(start + i) }, start)
      )
      for (const [m, message] of made.entries()) {
        for (const [i, webhookId] of webhooks.entries()) {
          if (m === 1 && i === 1) continue
          const id = deliveryOf(message.id, i + 1)
          yield* log.settle([
            yield* settlement({ id, tenantId: tenant, webhookId }, { startedAt: start })
          ])
        }
      }
      const open = made[1]!
      yield* removeBy(store, start + day)
      assert.notInclude(yield* partitions, Partitions.nameOf("message", start))
      assert.notInclude(yield* partitions, Partitions.nameOf("attempt", start))
      const places = yield* sql<{ readonly id: string; readonly place: string }>`
        select id, tableoid::regclass::text as place from message where id = any (${made.map(
          ({ id }) => Partitions.firstId(start + made.findIndex((one) => one.id === id))
        )}::uuid[])`
      assert.deepStrictEqual(places, [
        { id: Partitions.firstId(start + 1), place: "message_default" }
      ])
      assert.lengthOf(yield* log.attempts(tenant, deliveryOf(open.id, 1)), 1)
      const pulled = yield* queue.pull({
        webhookId: webhooks[1]!,
        now: start + day,
        limit: 10,
        bytesMax: 1_000_000,
        held: new Set(),
        keys: [],
        after: ""
      })
      assert.deepStrictEqual(
        pulled.deliveries.map(({ id }) => id),
        [deliveryOf(open.id, 2)]
      )
      yield* log.settle([
        yield* settlement(pulled.deliveries[0]!, { startedAt: start + 2 * day, durationMs: 0 })
      ])
      yield* removeBy(store, start + 2 * day - 1)
      assert.isTrue(Option.isSome(yield* (yield* MessageRepo).find(tenant, open.id)))
      yield* removeBy(store, start + 2 * day)
      assert.isTrue(Option.isNone(yield* (yield* MessageRepo).find(tenant, open.id)))
      assert.lengthOf(yield* log.attempts(tenant, deliveryOf(open.id, 1)), 0)
    })
  )

  it.effect("what blocks an ordering key moves, and the day is dropped", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const log = yield* DeliveryLog
      const sql = yield* SqlClient
      const start = 20_250 * day
      yield* Partitions.ensure(start)
      const { tenant, webhook } = yield* tenantWith(1, { ordering: "key" })
      const fields = { orderingKey: "k", inOrder: true, id: idAt(start) }
      const { delivery: id } = yield* publish(tenant, [webhook], fields, start)
      const order = { key: "k", blocks: true }
      const ended = { ...exhausted, startedAt: start }
      yield* log.settle([
        yield* settlement({ id, tenantId: tenant, webhookId: webhook }, ended, { order })
      ])
      yield* removeBy(store, start + 40 * day)
      assert.notInclude(yield* partitions, Partitions.nameOf("message", start))
      assert.isTrue(Option.isSome(yield* log.find(tenant, id)))

      // As when a webhook was deleted while that attempt was written down.
      yield* sql`delete from webhook where id = ${toUuid(webhook)}`
      yield* removeBy(store, start + 41 * day)
      assert.isTrue(Option.isNone(yield* log.find(tenant, id)))
    })
  )

  it.effect("a day of which much is open stays, without what is settled", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const log = yield* DeliveryLog
      const sql = yield* SqlClient
      const start = 20_300 * day
      yield* Partitions.ensure(start)
      const { tenant, webhook } = yield* tenantWith(1)
      const many = 1_100
      const made = yield* Effect.forEach(Array.from({ length: many + 50 }), (_, i) =>
        draft(tenant, [webhook], { id: idAt(start + i) }, start)
      )
      yield* (yield* MessageRepo).insert([made[0]!, ...made.slice(1)])
      const settled = yield* Effect.forEach(made.slice(many), ({ message }) =>
        settlement(
          { id: deliveryOf(message.id, 1), tenantId: tenant, webhookId: webhook },
          { startedAt: start }
        )
      )
      yield* log.settle([settled[0]!, ...settled.slice(1)])
      const swept = yield* removeBy(store, start + day)
      assert.deepInclude(swept, { messages: 50 })
      assert.include(yield* partitions, Partitions.nameOf("message", start))
      const [left] = yield* sql<{ readonly messages: number; readonly attempts: number }>`
        select (select count(*)::int from message
            where id >= ${Partitions.firstId(start)} and id < ${Partitions.firstId(start + day)})
            as messages,
          (select count(*)::int from attempt where delivery_id >= ${Partitions.firstId(start)}
            and delivery_id < ${Partitions.firstId(start + day)}) as attempts`
      assert.deepStrictEqual(left, { messages: many, attempts: 0 })
    })
  )

  it.effect("jobs go so long after they were finished", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const sql = yield* SqlClient
      const { tenant } = yield* tenantWith(0)
      const id = Partitions.firstId(1)
      const finishedAt = new Date(20 * day)
      yield* sql`
        insert into redelivery (id, tenant_id, status, dry_run, state, above, below, passed,
          created_at, updated_at, finished_at)
        values (${id}, ${toUuid(tenant)}, 'exhausted', false, 'done', ${id}, ${id}, ${id},
          ${finishedAt}, ${finishedAt}, ${finishedAt})`
      const left = sql`select 1 from redelivery where tenant_id = ${toUuid(tenant)}`
      yield* removeBy(store, 20 * day - 1)
      assert.lengthOf(yield* left, 1)
      yield* removeBy(store, 20 * day)
      assert.lengthOf(yield* left, 0)
    })
  )

  it.effect("days and days of traffic leave those that are kept, and as many partitions", () =>
    Effect.gen(function* () {
      const store = yield* RetentionSql.make
      const log = yield* DeliveryLog
      const sql = yield* SqlClient
      const { tenant, webhook } = yield* tenantWith(1)
      const start = 20_500 * day
      for (let i = 0; i < 3 * keptDays; i++) {
        const now = start + i * day
        yield* Partitions.ensure(now)
        const { delivery: id } = yield* publish(tenant, [webhook], { id: idAt(now) })
        const delivery = { id, tenantId: tenant, webhookId: webhook }
        yield* log.settle([yield* settlement(delivery, { startedAt: now })])
        yield* removeBy(store, now - keptDays * day)
      }
      const [kept] = yield* sql<{ readonly messages: number }>`
        select count(*)::int as messages from message where id >= ${Partitions.firstId(start)}`
      assert.strictEqual(kept!.messages, keptDays + 1)
      const days = (yield* partitions).filter(
        (name) => name >= Partitions.nameOf("message", start) && name.startsWith("message")
      )
      // Three are prepared.
      assert.lengthOf(days, keptDays + 1 + 3)
    })
  )
}
