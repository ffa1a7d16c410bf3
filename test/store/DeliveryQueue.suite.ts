/**
 * What every DeliveryQueue does, wherever it keeps its deliveries: a function of the layer under
 * test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Clock, Effect, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import {
  type DeliveryId,
  deliveryOf,
  type TenantId,
  type WebhookId
} from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue, type PullRequest } from "../../src/store/DeliveryQueue.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import {
  draft,
  exhausted,
  failed,
  publish,
  Retention,
  settlement,
  type Stage,
  tagOf,
  tenantWith
} from "./Stage.ts"

type ParametersOfSettlement =
  Parameters<typeof settlement> extends [unknown, ...infer Rest] ? Rest : never

const asking: Omit<PullRequest, "webhookId"> = {
  now: 10_000,
  limit: 100,
  bytesMax: 1_048_576,
  held: new Set(),
  keys: [],
  after: ""
}

/** Later than anything that a test makes due now: the tests of a file share one clock. */
const later = { now: 1e12 }

const pull = (webhookId: WebhookId, request: Partial<PullRequest> = {}) =>
  Effect.flatMap(DeliveryQueue, (queue) => queue.pull({ ...asking, webhookId, ...request }))

/** Pulls and answers the ids alone, with when more will be due. */
const pulled = (webhookId: WebhookId, request: Partial<PullRequest> = {}) =>
  Effect.map(pull(webhookId, request), ({ deliveries, nextDueAt }) => ({
    ids: deliveries.map(({ id }) => id),
    nextDueAt
  }))

const owedTo = (webhookId: WebhookId) =>
  Effect.map(
    Effect.flatMap(DeliveryQueue, (queue) => queue.owed),
    (all) => all.filter((owed) => owed.webhookId === webhookId).map(({ id }) => id)
  )

const dueOf = (webhookId: WebhookId) =>
  Effect.map(
    Effect.flatMap(DeliveryQueue, (queue) => queue.agenda),
    (all) => all.filter((entry) => entry.webhookId === webhookId).map(({ dueAt }) => dueAt)
  )

const find = (tenantId: TenantId, id: DeliveryId) =>
  Effect.map(
    Effect.flatMap(DeliveryLog, (log) => log.find(tenantId, id)),
    Option.getOrThrow
  )

/** Publishes a message whose delivery waits until `dueAt`. */
const wait = (tenant: TenantId, webhook: WebhookId, dueAt: number, body?: Uint8Array) =>
  Effect.map(
    publish(tenant, [webhook], body === undefined ? {} : { body }, dueAt),
    ({ delivery }) => delivery
  )

/** Publishes a message whose delivery is owed, and writes attempts of it. */
const attempted = Effect.fnUntraced(function* (
  tenantId: TenantId,
  webhookId: WebhookId,
  ...attempts: ReadonlyArray<Parameters<typeof settlement>[1]>
) {
  const { delivery: id } = yield* publish(tenantId, [webhookId])
  const log = yield* DeliveryLog
  for (let i = 0; i < attempts.length; i++) {
    const attempt = { ...attempts[i], number: i + 1 }
    yield* log.settle([yield* settlement({ id, tenantId, webhookId }, attempt)])
  }
  return { id, tenantId, webhookId }
})

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stage>) => {
  it.effect("pull reads of each ordering key what stands first, while nothing keeps it back", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1, { ordering: "key" })
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const inOrder = (orderingKey: string, dueAt: number) =>
        Effect.map(
          publish(tenant, [webhook], { orderingKey, inOrder: true }, dueAt),
          ({ delivery }) => delivery
        )
      const one = yield* inOrder("a", 1_000)
      const two = yield* inOrder("a", 1_000)
      const three = yield* inOrder("a", 900)
      const late = yield* inOrder("b", 50_000)
      const behind = yield* inOrder("b", 1_000)
      const { delivery: free } = yield* publish(tenant, [webhook], {}, 500)
      const ids = (request: Partial<PullRequest> = {}) =>
        Effect.map(pulled(webhook, request), (found) => found.ids)
      const attempt = (id: DeliveryId, ...rest: ParametersOfSettlement) =>
        Effect.flatMap(settlement({ id, tenantId: tenant, webhookId: webhook }, ...rest), (made) =>
          log.settle([made])
        )

      assert.deepStrictEqual(yield* pulled(webhook), {
        ids: [free, one, two, three],
        nextDueAt: 50_000
      })
      const all = yield* pull(webhook)
      assert.deepStrictEqual(
        all.deliveries.map(({ orderingKey }) => orderingKey),
        [null, "a", "a", "a"]
      )
      assert.deepStrictEqual(yield* ids({ keys: ["a"] }), [free])
      assert.deepStrictEqual(yield* ids({ after: "a" }), [free])
      assert.deepStrictEqual(yield* pulled(webhook, { limit: 2 }), {
        ids: [free, one],
        nextDueAt: 1_000
      })
      assert.deepStrictEqual(yield* ids({ now: 60_000, keys: ["a"] }), [free, late, behind])

      yield* attempt(one, failed(20_000))
      assert.deepStrictEqual(yield* pulled(webhook), { ids: [free], nextDueAt: 20_000 })
      assert.deepStrictEqual(yield* ids({ now: 30_000 }), [free, one, two, three])
      const order = { key: "a", blocks: true }
      yield* attempt(one, { ...exhausted, number: 2 }, { tries: 2, order })
      assert.deepStrictEqual(yield* ids({ now: 30_000 }), [free])
      const held = Option.getOrThrow(yield* log.find(tenant, two))
      assert.strictEqual(held.status, "held")

      const cancelled = yield* queue.cancel(tenant, one)
      assert.deepInclude(cancelled, { status: "cancelled", attempts: 2 })
      assert.deepStrictEqual(yield* ids({ now: 30_000 }), [free, two, three])
      yield* attempt(two, {}, { order: { key: "a", blocks: false } })
      assert.deepStrictEqual(yield* ids({ now: 30_000 }), [free, three])
      const these = [three, free].map((id) => ({ id, tenantId: tenant, webhookId: webhook }))
      const ended = yield* queue.expire(these)
      assert.deepStrictEqual(
        ended,
        yield* Effect.forEach(ended, ({ id }) =>
          Effect.map(log.find(tenant, id), Option.getOrThrow)
        )
      )
      assert.sameMembers(
        ended.map(({ id }) => id),
        [three, free]
      )
      assert.deepStrictEqual(yield* queue.expire(these), [])
      assert.deepStrictEqual(yield* ids({ now: 30_000 }), [])
      const expired = Option.getOrThrow(yield* log.find(tenant, three))
      assert.deepInclude(expired, { status: "cancelled", reason: "expired", attempts: 0 })
    })
  )

  it.effect(
    "pull reads what an exhausted one kept back as soon as its webhook lets it block no more",
    () =>
      Effect.gen(function* () {
        const { tenant, webhooks } = yield* tenantWith(2, { ordering: "key" })
        const log = yield* DeliveryLog
        const repo = yield* WebhookRepo
        const [webhook, other] = webhooks as [WebhookId, WebhookId]
        const first = yield* publish(tenant, webhooks, { orderingKey: "a", inOrder: true }, 1_000)
        const second = yield* publish(tenant, webhooks, { orderingKey: "a", inOrder: true }, 1_000)
        const order = { key: "a", blocks: true }
        const exhaust = (id: DeliveryId, webhookId: WebhookId) =>
          Effect.flatMap(
            settlement({ id, tenantId: tenant, webhookId }, exhausted, { order }),
            (made) => log.settle([made])
          )
        yield* exhaust(deliveryOf(first.id, 1), webhook)
        yield* exhaust(deliveryOf(first.id, 2), other)
        yield* repo.update(tenant, webhook, { name: "renamed" })
        assert.deepStrictEqual((yield* pulled(webhook)).ids, [])

        const ordering = { by: "key", onExhausted: "park" } as const
        yield* repo.update(tenant, webhook, (known) =>
          Result.succeed({ settings: { ...known.settings, ordering } })
        )
        assert.deepStrictEqual((yield* pulled(webhook)).ids, [deliveryOf(second.id, 1)])
        assert.deepStrictEqual((yield* pulled(other)).ids, [])
        // What was decided before the change and is written down after it keeps nothing back either.
        const third = yield* publish(tenant, [webhook], { orderingKey: "a", inOrder: true }, 1_000)
        yield* exhaust(deliveryOf(second.id, 1), webhook)
        assert.deepStrictEqual((yield* pulled(webhook)).ids, [third.delivery])
      })
  )

  it.effect("recover makes every owed delivery due now, and says how many", () =>
    Effect.gen(function* () {
      const { tenant, webhook, webhooks } = yield* tenantWith(2)
      const queue = yield* DeliveryQueue
      yield* queue.recover
      yield* TestClock.adjust("5 seconds")
      const first = yield* publish(tenant, webhooks)
      const second = yield* publish(tenant, [webhook])
      assert.strictEqual(yield* queue.recover, 3)
      assert.deepStrictEqual(yield* queue.owed, [])
      const now = yield* Clock.currentTimeMillis
      const { deliveries } = yield* pull(webhook, { now })
      assert.deepStrictEqual(
        deliveries.map(({ attempts, id, tries }) => ({ id, attempts, tries })),
        [first, second].map(({ delivery }) => ({ id: delivery, attempts: 0, tries: 0 }))
      )
      assert.deepStrictEqual(yield* pulled(webhooks[1]!, { now: now - 1 }), {
        ids: [],
        nextDueAt: now
      })
      assert.strictEqual(yield* queue.recover, 0)
    })
  )

  it.effect("agenda says when each webhook that has something waiting is due first", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(3)
      const [one, two, three] = webhooks
      yield* wait(tenant, one!, 9_000)
      yield* wait(tenant, one!, 3_000)
      yield* wait(tenant, two!, 7_000)
      yield* publish(tenant, [three!])
      const entries = (yield* (yield* DeliveryQueue).agenda).filter(({ webhookId }) =>
        webhooks.includes(webhookId)
      )
      assert.sameDeepMembers(
        [...entries],
        [
          { webhookId: one!, dueAt: 3_000 },
          { webhookId: two!, dueAt: 7_000 }
        ]
      )
    })
  )

  it.effect("pull reads what is due with all that sending needs, and claims nothing", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const body = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
      const fields = {
        body,
        type: "order.paid",
        contentType: "text/plain",
        orderingKey: `o'1 "`,
        expiresAt: 90_000
      }
      const message = yield* publish(tenant, [webhook], fields, 4_000)
      const expected = {
        deliveries: [
          {
            id: message.delivery,
            tenantId: tenant,
            webhookId: webhook,
            attempts: 0,
            tries: 0,
            orderingKey: null,
            message: { id: message.id, createdAt: message.createdAt, ...fields }
          }
        ],
        nextDueAt: null
      }
      assert.deepStrictEqual(yield* pull(webhook), expected)
      assert.deepStrictEqual(yield* pull(webhook), expected)
    })
  )

  it.effect("pull counts the attempts made in all and in the present round", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const { id } = yield* attempted(tenant, webhook, failed(2_000), exhausted)
      yield* (yield* DeliveryQueue).redeliver(tenant, id)
      const other = yield* attempted(tenant, webhook, failed(2_000), failed(3_000))
      const { deliveries } = yield* pull(webhook, later)
      assert.sameDeepMembers(
        deliveries.map(({ attempts, id, tries }) => ({ id, attempts, tries })),
        [
          { id, attempts: 2, tries: 0 },
          { id: other.id, attempts: 2, tries: 2 }
        ]
      )
    })
  )

  it.effect("pull goes by due time, then by id, and tells when the next is due", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const [webhook, other] = webhooks
      const late = yield* wait(tenant, webhook!, 8_000)
      const early = yield* wait(tenant, webhook!, 2_000)
      const tie = yield* wait(tenant, webhook!, 2_000)
      const now = yield* wait(tenant, webhook!, 10_000)
      yield* wait(tenant, webhook!, 12_000)
      yield* wait(tenant, webhook!, 11_000)
      yield* wait(tenant, other!, 1_000)
      const ids = [early, tie, late, now]
      assert.deepStrictEqual(yield* pulled(webhook!), { ids, nextDueAt: 11_000 })
      assert.deepStrictEqual(yield* pulled(webhook!, { now: 1_999 }), {
        ids: [],
        nextDueAt: 2_000
      })
    })
  )

  it.effect("pull reads at most so many, and tells of the one it left", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const ids = yield* Effect.all([1, 2, 3].map((dueAt) => wait(tenant, webhook, dueAt * 1_000)))
      assert.deepStrictEqual(yield* pulled(webhook, { limit: 2 }), {
        ids: ids.slice(0, 2),
        nextDueAt: 3_000
      })
      assert.deepStrictEqual(yield* pulled(webhook, { limit: 3 }), { ids, nextDueAt: null })
    })
  )

  it.effect("pull reads at most so many bytes of bodies, but one delivery whatever its size", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const bodies = [600, 300, 100, 1].map((length) => new Uint8Array(length).fill(7))
      const ids = yield* Effect.all(bodies.map((body, i) => wait(tenant, webhook, i, body)))
      const cases = [
        [1, 1],
        [599, 1],
        [899, 1],
        [900, 2],
        [999, 2],
        [1_000, 3],
        [1_001, 4]
      ] as const
      for (const [bytesMax, count] of cases) {
        assert.deepStrictEqual(yield* pulled(webhook, { bytesMax }), {
          ids: ids.slice(0, count),
          nextDueAt: count === 4 ? null : count
        })
      }
    })
  )

  it.effect("pull measures a body that is stored compressed by its own bytes", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const body = new Uint8Array(50_000).fill(65)
      const ids = yield* Effect.all([1, 2, 3].map((dueAt) => wait(tenant, webhook, dueAt, body)))
      const some = yield* pull(webhook, { bytesMax: 100_000 })
      assert.deepStrictEqual(
        some.deliveries.map(({ id }) => id),
        ids.slice(0, 2)
      )
      assert.isTrue(
        some.deliveries.every(({ message }) => Buffer.compare(message.body, body) === 0)
      )
      assert.strictEqual(some.nextDueAt, 3)
    })
  )

  it.effect("pull leaves out what is held, which counts for nothing", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const body = new Uint8Array(500)
      const ids = yield* Effect.all([1, 2, 3, 4].map((dueAt) => wait(tenant, webhook, dueAt, body)))
      const elsewhere = yield* publish(tenant, [webhook])
      const held = new Set([ids[0]!, ids[2]!, elsewhere.delivery])
      assert.deepStrictEqual(yield* pulled(webhook, { held, limit: 2, bytesMax: 1_000 }), {
        ids: [ids[1]!, ids[3]!],
        nextDueAt: null
      })
      assert.deepStrictEqual(yield* pulled(webhook, { held, limit: 1 }), {
        ids: [ids[1]!],
        nextDueAt: 4
      })
      assert.deepStrictEqual(yield* pulled(webhook, { held: new Set(ids), keys: [], after: "" }), {
        ids: [],
        nextDueAt: null
      })
    })
  )

  it.effect("pull leaves out deliveries whose message is gone", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const gone = yield* publish(tenant, [webhook], {}, 1_000)
      const big = yield* wait(tenant, webhook, 2_000, new Uint8Array(900))
      yield* (yield* Retention).forget(gone.id)
      assert.deepStrictEqual(yield* pulled(webhook, { bytesMax: 10 }), {
        ids: [big],
        nextDueAt: null
      })
    })
  )

  it.effect("park moves owed deliveries out of memory, due when it says", () =>
    Effect.gen(function* () {
      const { tenant, webhook, webhooks } = yield* tenantWith(2)
      const queue = yield* DeliveryQueue
      const message = yield* publish(tenant, [...webhooks, webhook])
      const [first, second, third] = [1, 2, 3].map((number) => deliveryOf(message.id, number))
      yield* queue.park(
        [
          { id: first!, tenantId: tenant, webhookId: webhook },
          { id: second!, tenantId: tenant, webhookId: webhooks[1]! }
        ],
        6_000
      )
      assert.deepStrictEqual(yield* owedTo(webhook), [third!])
      assert.deepStrictEqual(yield* pulled(webhook, { now: 5_999 }), { ids: [], nextDueAt: 6_000 })
      assert.deepStrictEqual(yield* pulled(webhooks[1]!, { now: 6_000 }), {
        ids: [second!],
        nextDueAt: null
      })
      assert.strictEqual((yield* find(tenant, first!)).status, "pending")
      yield* queue.park([], 1)
    })
  )

  it.effect("park puts a waiting delivery off and leaves what it counted", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const delivery = yield* attempted(tenant, webhook, failed(2_000))
      yield* (yield* DeliveryQueue).park([delivery], 9_000)
      const { deliveries, nextDueAt } = yield* pull(webhook, { now: 8_999 })
      assert.deepStrictEqual({ deliveries, nextDueAt }, { deliveries: [], nextDueAt: 9_000 })
      const [due] = (yield* pull(webhook)).deliveries
      assert.deepStrictEqual([due?.attempts, due?.tries], [1, 1])
    })
  )

  it.effect("park leaves final deliveries as they are", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const delivered = yield* attempted(tenant, webhook, {})
      const cancelled = yield* attempted(tenant, webhook)
      yield* queue.cancel(tenant, cancelled.id)
      yield* queue.park([delivered, cancelled], 1_000)
      assert.deepStrictEqual(yield* dueOf(webhook), [])
      assert.strictEqual((yield* find(tenant, delivered.id)).status, "delivered")
      assert.strictEqual((yield* find(tenant, cancelled.id)).status, "cancelled")
    })
  )

  it.effect("owed reads every owed delivery and no other", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const held = yield* publish(tenant, [webhook])
      yield* wait(tenant, webhook, 1_000)
      yield* attempted(tenant, webhook, {})
      const owed = (yield* (yield* DeliveryQueue).owed).filter(
        ({ tenantId }) => tenantId === tenant
      )
      assert.deepStrictEqual(owed, [{ id: held.delivery, tenantId: tenant, webhookId: webhook }])
    })
  )

  it.effect("abandon cancels what waits for a webhook that is gone, and nothing else", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const [gone, alive] = [webhooks[0]!, webhooks[1]!]
      const queue = yield* DeliveryQueue
      yield* (yield* WebhookRepo).delete(tenant, gone)
      const late = yield* wait(tenant, gone, 20_000)
      const kept = yield* wait(tenant, alive, 20_000)
      yield* queue.abandon([gone, alive])
      assert.deepInclude(yield* find(tenant, late), { status: "cancelled", attempts: 0 })
      assert.deepInclude(yield* find(tenant, kept), { status: "pending" })
      assert.deepStrictEqual(yield* dueOf(gone), [])
    })
  )

  it.effect("cancel ends a delivery that memory holds, that waits, or that is held", () =>
    Effect.gen(function* () {
      const { tenant, webhook, webhooks } = yield* tenantWith(2)
      const paused = webhooks[1]!
      const queue = yield* DeliveryQueue
      yield* TestClock.adjust("3 seconds")
      const now = yield* Clock.currentTimeMillis
      const owed = yield* attempted(tenant, webhook)
      const waiting = yield* attempted(tenant, webhook, failed(60_000))
      const held = yield* attempted(tenant, paused)
      yield* (yield* WebhookRepo).setStatus(tenant, paused, "paused")
      for (const [{ id }, attempts] of [
        [owed, 0],
        [waiting, 1],
        [held, 0]
      ] as const) {
        const answer = yield* queue.cancel(tenant, id)
        assert.deepStrictEqual(answer, yield* find(tenant, id))
        assert.deepInclude(answer, {
          id,
          status: "cancelled",
          attempts,
          nextAttemptAt: null,
          settledAt: now
        })
      }
      assert.deepStrictEqual(yield* owedTo(webhook), [])
      assert.deepStrictEqual(yield* owedTo(paused), [])
      assert.deepStrictEqual(yield* dueOf(webhook), [])
    })
  )

  it.effect("cancel refuses a final delivery and names its state", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const delivered = yield* attempted(tenant, webhook, {})
      const ended = yield* attempted(tenant, webhook, exhausted)
      const cancelled = yield* attempted(tenant, webhook)
      yield* queue.cancel(tenant, cancelled.id)
      for (const [{ id }, status] of [
        [delivered, "delivered"],
        [ended, "exhausted"],
        [cancelled, "cancelled"]
      ] as const) {
        const error = yield* Effect.flip(queue.cancel(tenant, id))
        assert.deepInclude(error, { _tag: "DeliveryStateConflict", deliveryStatus: status })
        assert.strictEqual((yield* find(tenant, id)).status, status)
      }
    })
  )

  it.effect("cancel and redeliver find no delivery of another tenant, nor one that never was", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const other = yield* tenantWith(0)
      const queue = yield* DeliveryQueue
      const owed = yield* attempted(tenant, webhook)
      const delivered = yield* attempted(tenant, webhook, {})
      const never = yield* draft(tenant, [webhook])
      for (const effect of [
        queue.cancel(other.tenant, owed.id),
        queue.redeliver(other.tenant, delivered.id),
        queue.cancel(tenant, deliveryOf(never.message.id, 1)),
        queue.redeliver(tenant, deliveryOf(never.message.id, 1)),
        queue.cancel(tenant, deliveryOf(never.message.id, 65_535))
      ]) {
        assert.strictEqual(yield* tagOf(effect), "DeliveryNotFound")
      }
      assert.strictEqual((yield* find(tenant, owed.id)).status, "pending")
      assert.strictEqual((yield* find(tenant, delivered.id)).status, "delivered")
    })
  )

  it.effect("one of several cancellations at the same time succeeds", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      for (let i = 0; i < 10; i++) {
        const { id } = yield* attempted(tenant, webhook, ...(i % 2 === 0 ? [] : [failed(1_000)]))
        const results = yield* Effect.forEach(
          [1, 2, 3],
          () => Effect.result(queue.cancel(tenant, id)),
          { concurrency: "unbounded" }
        )
        const failures = results.filter(Result.isFailure).map(({ failure }) => failure)
        assert.strictEqual(failures.length, 2)
        for (const failure of failures) {
          assert.deepInclude(failure, {
            _tag: "DeliveryStateConflict",
            deliveryStatus: "cancelled"
          })
        }
      }
    })
  )

  it.effect("cancel ends a delivery that is moved at the same time", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      for (let i = 0; i < 20; i++) {
        const delivery = yield* attempted(tenant, webhook)
        yield* Effect.all([queue.park([delivery], 1_000), queue.cancel(tenant, delivery.id)], {
          concurrency: "unbounded"
        })
        assert.strictEqual((yield* find(tenant, delivery.id)).status, "cancelled")
      }
      assert.deepStrictEqual(yield* dueOf(webhook), [])
    })
  )

  it.effect("redeliver starts a fresh round for a final delivery, due now", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const log = yield* DeliveryLog
      const delivered = yield* attempted(tenant, webhook, failed(1_000), {})
      const ended = yield* attempted(tenant, webhook, failed(1_000), exhausted)
      const cancelled = yield* attempted(tenant, webhook, failed(1_000), failed(2_000))
      yield* queue.cancel(tenant, cancelled.id)
      yield* TestClock.adjust("10 seconds")
      const now = yield* Clock.currentTimeMillis
      for (const { id } of [delivered, ended, cancelled]) {
        const before = yield* log.attempts(tenant, id)
        const answer = yield* queue.redeliver(tenant, id)
        assert.deepStrictEqual(answer, yield* find(tenant, id))
        assert.deepInclude(answer, {
          id,
          status: "waiting",
          attempts: 2,
          nextAttemptAt: now,
          settledAt: null
        })
        assert.deepStrictEqual(
          yield* log.attempts(tenant, id),
          before.map((attempt) => ({ ...attempt, settled: null }))
        )
      }
      const { deliveries } = yield* pull(webhook, { now })
      assert.deepStrictEqual(
        deliveries.map(({ attempts, id, tries }) => ({ id, attempts, tries })),
        [delivered, ended, cancelled].map(({ id }) => ({ id, attempts: 2, tries: 0 }))
      )
    })
  )

  it.effect("redeliver sends a delivery that was cancelled before its first attempt", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const { id } = yield* attempted(tenant, webhook)
      yield* queue.cancel(tenant, id)
      assert.deepInclude(yield* queue.redeliver(tenant, id), { status: "pending", attempts: 0 })
      assert.deepStrictEqual((yield* pulled(webhook, later)).ids, [id])
    })
  )

  it.effect("redeliver refuses a delivery that is not final, such as one asked for twice", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const owed = yield* attempted(tenant, webhook)
      const twice = yield* attempted(tenant, webhook, exhausted)
      yield* queue.redeliver(tenant, twice.id)
      for (const [{ id }, status] of [
        [owed, "pending"],
        [twice, "waiting"]
      ] as const) {
        const error = yield* Effect.flip(queue.redeliver(tenant, id))
        assert.deepInclude(error, { _tag: "DeliveryStateConflict", deliveryStatus: status })
      }
      yield* (yield* WebhookRepo).setStatus(tenant, webhook, "paused")
      const error = yield* Effect.flip(queue.redeliver(tenant, twice.id))
      assert.deepInclude(error, { _tag: "DeliveryStateConflict", deliveryStatus: "held" })
      assert.strictEqual((yield* pulled(webhook, later)).ids.length, 1)
    })
  )

  it.effect("one of several redeliveries at the same time succeeds", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      for (let i = 0; i < 10; i++) {
        const { id } = yield* attempted(tenant, webhook, ...(i % 2 === 0 ? [exhausted] : []))
        if (i % 2 === 1) yield* queue.cancel(tenant, id)
        const results = yield* Effect.forEach(
          [1, 2, 3],
          () => Effect.result(queue.redeliver(tenant, id)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter(Result.isSuccess).length, 1)
      }
      assert.strictEqual((yield* pulled(webhook, later)).ids.length, 10)
    })
  )

  it.effect("redeliver finds no delivery whose webhook or message is gone", () =>
    Effect.gen(function* () {
      const { tenant, webhook, webhooks } = yield* tenantWith(2)
      const queue = yield* DeliveryQueue
      const deleted = webhooks[1]!
      const message = yield* publish(tenant, [webhook])
      const ids = [
        message.delivery,
        (yield* attempted(tenant, deleted, {})).id,
        (yield* attempted(tenant, deleted)).id
      ]
      yield* queue.cancel(tenant, message.delivery)
      yield* (yield* Retention).forget(message.id)
      yield* (yield* WebhookRepo).delete(tenant, deleted)
      for (const id of ids) {
        const before = yield* find(tenant, id)
        assert.strictEqual(yield* tagOf(queue.redeliver(tenant, id)), "DeliveryNotFound")
        assert.deepStrictEqual(yield* find(tenant, id), before)
      }
      assert.deepStrictEqual(yield* dueOf(deleted), [])
    })
  )

  it.effect("a redelivered delivery is settled like any other, and counts on", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const log = yield* DeliveryLog
      const delivery = yield* attempted(tenant, webhook, exhausted)
      for (let number = 2; number <= 4; number++) {
        yield* queue.redeliver(tenant, delivery.id)
        yield* log.settle([yield* settlement(delivery, { number }, { tries: 1 })])
        assert.deepInclude(yield* find(tenant, delivery.id), {
          status: "delivered",
          attempts: number
        })
      }
      assert.deepStrictEqual(
        (yield* log.attempts(tenant, delivery.id)).map(({ number, settled }) => [number, settled]),
        [
          [1, null],
          [2, null],
          [3, null],
          [4, "delivered"]
        ]
      )
      assert.deepStrictEqual(yield* dueOf(webhook), [])
    })
  )
}
