/**
 * What the stores of messages and deliveries do where they keep them in SQL: a function of the layer
 * under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { decodeCursor, firstPage, type Page, type PageRequest } from "../../src/domain/Page.ts"
import { deliveryOf, fromUuid, toUuid } from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { Fenced } from "../../src/store/Ownership.ts"
import * as Partitions from "../../src/store/Partitions.ts"
import { looksMax } from "../../src/store/Scan.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import {
  draft,
  type Draft,
  exhausted,
  failed,
  health,
  publish,
  settlement,
  type Stage,
  tenantWith
} from "./Stage.ts"

const day = 86_400_000

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stage | SqlClient>) => {
  it.effect("settle of an engine that another one followed writes nothing and dies", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const log = yield* DeliveryLog
      const { tenant, webhook } = yield* tenantWith(1)
      const { delivery: id } = yield* publish(tenant, [webhook])
      const waiting = yield* publish(tenant, [webhook], {}, 1_000)
      const delivery = { tenantId: tenant, webhookId: webhook }
      const batch = [
        yield* settlement({ ...delivery, id }, failed(5_000), { health: health(4) }),
        yield* settlement({ ...delivery, id: waiting.delivery }, exhausted, {
          stop: { status: "disabled", reason: "gone" }
        })
      ] as const
      yield* sql`update engine set epoch = epoch + 1, holder = 'another'`
      const exit = yield* Effect.exit(log.settle(batch))
      yield* sql`update engine set epoch = epoch - 1`
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, Fenced)
      assert.match(String(defect), /another/)
      for (const one of [id, waiting.delivery]) {
        const found = Option.getOrThrow(yield* log.find(tenant, one))
        assert.deepInclude(found, { status: "pending", attempts: 0 })
        assert.deepStrictEqual(yield* log.attempts(tenant, one), [])
      }
      const found = yield* (yield* WebhookRepo).get(tenant, webhook)
      assert.deepStrictEqual([found.status, found.health.version], ["enabled", 0])
      yield* log.settle(batch)
      assert.strictEqual((yield* log.attempts(tenant, id)).length, 1)
    })
  )

  it.effect("publishes nothing under another epoch, keys and uids included", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const { tenant, webhook } = yield* tenantWith(1)
      const count = Effect.map(
        sql<{ readonly rows: bigint }>`
          select (select count(*) from message) + (select count(*) from idempotency)
            + (select count(*) from message_uid) + (select count(*) from owed) as rows`,
        ([row]) => Number(row!.rows)
      )
      const before = yield* count
      yield* sql`update engine set epoch = epoch + 1, holder = 'another'`
      const drafts = [{ idempotencyKey: "fenced" }, { uid: "fenced" }, { orderingKey: "fenced" }]
      for (const one of drafts) {
        const error = yield* Effect.flip(publish(tenant, [webhook], one))
        assert.isTrue(error.isRetryable)
      }
      yield* sql`update engine set epoch = epoch - 1`
      assert.strictEqual(yield* count, before)
      yield* publish(tenant, [webhook], drafts[0])
    })
  )

  it.effect("puts nothing off under another epoch", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const queue = yield* DeliveryQueue
      const { tenant, webhook } = yield* tenantWith(1)
      const owed = yield* publish(tenant, [webhook])
      const waiting = yield* publish(tenant, [webhook], {}, 1_000)
      const both = [owed, waiting].map(({ delivery: id }) => ({
        id,
        tenantId: tenant,
        webhookId: webhook
      }))
      const dueAt = Effect.map(
        sql<{ readonly due_at: Date }>`
          select due_at from waiting where webhook_id = ${toUuid(webhook)} order by due_at`,
        (rows) => rows.map(({ due_at }) => due_at.getTime())
      )
      yield* sql`update engine set epoch = epoch + 1, holder = 'another'`
      yield* queue.park(both, 5_000)
      yield* sql`update engine set epoch = epoch - 1`
      assert.deepStrictEqual(yield* dueAt, [1_000])
      yield* queue.park(both, 5_000)
      assert.deepStrictEqual(yield* dueAt, [5_000, 5_000])
    })
  )

  it.effect("deliveries of several days are found where each day's partition keeps them", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const start = 20_000 * day
      yield* Partitions.ensure(start)
      const { tenant, webhook } = yield* tenantWith(1)
      // The last of these days has no partition of its own. The clock stands: a pool of connections
      // would live through all the years.
      const made = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (i) => {
        const id = fromUuid("message", Partitions.firstId(start + i * day + 1))
        return publish(tenant, [webhook], { id }, i % 2 === 0 ? null : start)
      })
      const due = (message: (typeof made)[number]) => ({
        id: message.delivery,
        tenantId: tenant,
        webhookId: webhook
      })
      const [first, ...rest] = yield* Effect.forEach(made.slice(0, 5), (message, i) =>
        settlement(due(message), i === 1 ? failed(start) : i === 2 ? exhausted : {})
      )
      yield* log.settle([first!, ...rest])
      const places = yield* sql<{ readonly message: string; readonly attempt: string | null }>`
        select m.tableoid::regclass::text as message, a.tableoid::regclass::text as attempt
        from message m left join attempt a on message_of(a.delivery_id) = m.id
        where m.tenant_id = ${toUuid(tenant)} order by m.id`
      assert.strictEqual(places[1]?.message, Partitions.nameOf("message", start + day))
      assert.strictEqual(places[1]?.attempt, Partitions.nameOf("attempt", start + day))
      assert.strictEqual(new Set(places.map(({ message }) => message)).size, 5)
      assert.deepStrictEqual(places[5], { message: "message_default", attempt: null })

      const newest = made.toReversed()
      const all = yield* log.list(tenant, firstPage, {
        webhookId: null,
        messageId: null,
        type: null,
        status: null,
        statusCodeClass: null
      })
      assert.deepStrictEqual(
        all.data.map(({ id, status }) => [id, status]),
        newest.map(({ delivery }, i) => [
          delivery,
          ["pending", "delivered", "delivered", "exhausted", "waiting", "delivered"][i]
        ])
      )
      const messages = yield* (yield* MessageRepo).list(
        tenant,
        { ...firstPage, after: start + day, before: start + 4 * day },
        { type: null, resourceType: null, resourceId: null, includeBody: true }
      )
      assert.deepStrictEqual(
        messages.data.map(({ id }) => id),
        newest.slice(2, 5).map(({ id }) => id)
      )
      const pulled = yield* queue.pull({
        webhookId: webhook,
        now: start,
        limit: 10,
        bytesMax: 1_000,
        held: new Set(),
        keys: [],
        after: ""
      })
      assert.deepStrictEqual(
        pulled.deliveries.map(({ message }) => Buffer.from(message.body).toString()),
        [made[1]!, made[5]!].map(({ body }) => Buffer.from(body).toString())
      )
    })
  )

  it.effect("a list ends where it has looked at enough, and its cursors go on from there", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const log = yield* DeliveryLog
      const messages = yield* MessageRepo
      const { tenant, webhook } = yield* tenantWith(1)
      const resource = { type: "order", id: "1" }
      const many = looksMax + 50
      const bulk = (fields: Draft) =>
        Effect.gen(function* () {
          const made = yield* Effect.replicateEffect(draft(tenant, [webhook], fields, 1_000), many)
          yield* messages.insert([made[0]!, ...made.slice(1)])
        })
      // Neither the waiting of a type nor the type of what waits leads straight to the two that fit.
      const old = yield* publish(tenant, [webhook], { type: "a", resource }, 1_000)
      yield* bulk({ type: "a" })
      yield* sql`update waiting set attempts = 1
        where webhook_id = ${toUuid(webhook)} and delivery_id <> ${toUuid(old.delivery)}`
      yield* bulk({ type: "b", resource })
      const young = yield* publish(tenant, [webhook], { type: "a", resource }, 1_000)

      const walk = Effect.fnUntraced(function* (
        read: (request: PageRequest) => Effect.Effect<Page<{ readonly id: string }>, StoreError>,
        way: "nextCursor" | "prevCursor",
        from: PageRequest["cursor"]
      ) {
        const pages: Array<ReadonlyArray<string>> = []
        let cursor = from
        do {
          const page = yield* read({ ...firstPage, cursor })
          pages.push(page.data.map(({ id }) => id))
          cursor = page[way] === null ? null : Option.getOrThrow(decodeCursor(page[way]))
        } while (cursor !== null)
        return pages
      })
      const narrow = { webhookId: null, messageId: null, statusCodeClass: null }
      const deliveries = (request: PageRequest) =>
        log.list(tenant, request, { ...narrow, type: "a", status: "pending" })
      const ofResource = (request: PageRequest) =>
        messages.list(tenant, request, {
          type: "a",
          resourceType: "order",
          resourceId: null,
          includeBody: false
        })
      for (const [read, first, last] of [
        [deliveries, young.delivery, old.delivery],
        [ofResource, young.id, old.id]
      ] as const) {
        const older = yield* walk(read, "nextCursor", null)
        assert.deepStrictEqual(older.flat(), [first, last])
        assert.isAbove(older.length, 1)
        const newer = yield* walk(read, "prevCursor", { direction: "newer", id: last })
        assert.deepStrictEqual(newer.flat(), [first])
        assert.isAbove(newer.length, 1)
      }
    })
  )

  it.effect("hands that meet on the same deliveries leave each in one state", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const repo = yield* WebhookRepo
      const { tenant, webhooks } = yield* tenantWith(3)
      const messages = yield* Effect.forEach(Array.from({ length: 12 }), (_, i) =>
        publish(tenant, webhooks, {}, i % 3 === 0 ? 1_000 : null)
      )
      const deliveries = messages.flatMap(({ id }) =>
        webhooks.map((webhookId, i) => ({ id: deliveryOf(id, i + 1), tenantId: tenant, webhookId }))
      )
      // What meets in the store may have to be tried again, and may be refused.
      const tried = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.exit(effect.pipe(Effect.retry({ while: isRetryable, times: 20 })))
      const settleAll = Effect.fnUntraced(function* (round: number) {
        const [first, ...rest] = yield* Effect.forEach(deliveries, (delivery, i) =>
          settlement(
            delivery,
            { number: round, ...(i % 3 === 0 ? {} : i % 3 === 1 ? failed(2_000) : exhausted) },
            { health: health(round * 100 + i), tries: i % 2 === 0 ? round : 1 }
          )
        )
        return yield* tried(log.settle([first!, ...rest]))
      })
      const each = (f: (one: (typeof deliveries)[number]) => Effect.Effect<unknown, unknown>) =>
        Effect.forEach(deliveries.toReversed(), (one) => tried(f(one)), { concurrency: 3 })
      for (let round = 1; round <= 4; round++) {
        yield* Effect.all(
          [
            settleAll(round),
            each(({ id }) => queue.cancel(tenant, id)),
            each(({ id }) => queue.redeliver(tenant, id)),
            tried(queue.park(deliveries.toReversed(), 3_000)),
            round === 3 ? tried(repo.delete(tenant, webhooks[2]!)) : Effect.void,
            settleAll(round + 1)
          ],
          { concurrency: "unbounded" }
        )
        const rows = yield* sql<{ readonly count: number; readonly different: number }>`
          select count(*)::int as count, count(distinct delivery_id)::int as different from (
            select delivery_id, tenant_id from owed
            union all select delivery_id, tenant_id from waiting
            union all select delivery_id, tenant_id from cancelled
            union all select delivery_id, tenant_id from attempt where settled is not null
          ) as states where tenant_id = ${toUuid(tenant)}`
        const all = deliveries.length
        assert.deepStrictEqual(rows, [{ count: all, different: all }], `round ${round}`)
      }
    })
  )
}

const isRetryable = (error: unknown): boolean => error instanceof StoreError && error.isRetryable
