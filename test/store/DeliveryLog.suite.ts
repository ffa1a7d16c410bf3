/**
 * What every DeliveryLog does, wherever it keeps its deliveries: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Fiber, Latch, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Delivery, DeliveryStatus } from "../../src/domain/Delivery.ts"
import { decodeCursor, firstPage, type Page, type PageRequest } from "../../src/domain/Page.ts"
import {
  createdAt,
  type DeliveryId,
  deliveryOf,
  type TenantId,
  type WebhookId
} from "../../src/domain/TypeId.ts"
import type { Stop } from "../../src/domain/Webhook.ts"
import {
  type DeliveryChange,
  type DeliveryFilter,
  DeliveryLog
} from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue, type OwedDelivery } from "../../src/store/DeliveryQueue.ts"
import { type WebhookChange, WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground } from "./Ground.ts"
import {
  draft,
  exhausted,
  failed,
  health,
  publish,
  Retention,
  settlement,
  type Stage,
  tenantWith,
  webhookOf
} from "./Stage.ts"

const everything: DeliveryFilter = {
  webhookId: null,
  messageId: null,
  type: null,
  status: null,
  statusCodeClass: null
}

/** Publishes a message to a webhook; its delivery is owed. */
const owe = Effect.fnUntraced(function* (
  tenantId: TenantId,
  webhookId: WebhookId,
  fields: Parameters<typeof draft>[2] = {}
) {
  const { delivery: id, id: messageId } = yield* publish(tenantId, [webhookId], fields)
  return { id, messageId, tenantId, webhookId }
})

const settle = (...args: Parameters<typeof settlement>) =>
  Effect.gen(function* () {
    const made = yield* settlement(...args)
    yield* (yield* DeliveryLog).settle([made])
    return made
  })

const find = (tenantId: TenantId, id: DeliveryId) =>
  Effect.map(
    Effect.flatMap(DeliveryLog, (log) => log.find(tenantId, id)),
    Option.getOrThrow
  )

const attemptsOf = (tenantId: TenantId, id: DeliveryId) =>
  Effect.flatMap(DeliveryLog, (log) => log.attempts(tenantId, id))

/** Reads what waits for a webhook: ids, counts and due times, in the order of their pulling. */
const waitingFor = Effect.fnUntraced(function* (webhookId: WebhookId) {
  const queue = yield* DeliveryQueue
  const request = {
    webhookId,
    limit: 1_000,
    bytesMax: 1e9,
    held: new Set<DeliveryId>(),
    keys: [],
    after: ""
  }
  const { deliveries } = yield* queue.pull({ ...request, now: 1e12 })
  const due = yield* Effect.forEach(deliveries, ({ id, tenantId }) => find(tenantId, id))
  return deliveries.map(({ attempts, id, tries }, i) => ({
    id,
    attempts,
    tries,
    dueAt: due[i]!.nextAttemptAt
  }))
})

const owedTo = (webhookId: WebhookId) =>
  Effect.map(
    Effect.flatMap(DeliveryQueue, (queue) => queue.owed),
    (all) => all.filter((owed) => owed.webhookId === webhookId).map(({ id }) => id)
  )

const webhookIn = (tenantId: TenantId, id: WebhookId) =>
  Effect.flatMap(WebhookRepo, (repo) => repo.get(tenantId, id))

/** Collects the announcements of one tenant until there are `count`. */
const heard = Effect.fnUntraced(function* (tenantId: TenantId, count: number) {
  const fiber = yield* (yield* DeliveryLog).changes.pipe(
    Stream.filter(({ attempt }) => attempt.tenantId === tenantId),
    Stream.take(count),
    Stream.runCollect,
    Effect.forkChild
  )
  yield* Effect.yieldNow
  return fiber
})

const told = (changes: ReadonlyArray<DeliveryChange>) =>
  changes.map(({ attempt, status }) => [attempt.deliveryId, attempt.number, status])

/** A tenant with one delivery in each state, at two webhooks; in the order of their making. */
const everyState = Effect.gen(function* () {
  const { tenant, webhooks } = yield* tenantWith(2)
  const [webhook, other] = webhooks
  const queue = yield* DeliveryQueue
  const pending = yield* owe(tenant, webhook!)
  const backlog = yield* publish(tenant, [other!], { type: "order.paid" }, 4_000)
  const waiting = yield* owe(tenant, webhook!)
  yield* settle(waiting, failed(9_000))
  const delivered = yield* owe(tenant, other!, { type: "order.paid" })
  yield* settle(delivered, { ...failed(5_000), statusCode: null, class: "refused" })
  yield* settle(delivered, { number: 2, statusCode: 201 })
  const ended = yield* owe(tenant, webhook!)
  yield* settle(ended, exhausted)
  const cancelled = yield* owe(tenant, other!)
  yield* settle(cancelled, failed(6_000))
  yield* queue.cancel(tenant, cancelled.id)
  return {
    tenant,
    webhook: webhook!,
    other: other!,
    pending: pending.id,
    backlog: backlog.delivery,
    waiting: waiting.id,
    delivered: delivered.id,
    exhausted: ended.id,
    cancelled: cancelled.id
  }
})

const listed = Effect.fnUntraced(function* (
  tenantId: TenantId,
  filter: Partial<DeliveryFilter> = {},
  request: Partial<PageRequest> = {}
) {
  const log = yield* DeliveryLog
  const page = yield* log.list(tenantId, { ...firstPage, ...request }, { ...everything, ...filter })
  return page.data.map(({ id }) => id)
})

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stage>) => {
  it.effect("settle writes an attempt as it was and its delivery as delivered", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const delivery = yield* owe(tenant, webhook)
      const { attempt } = yield* settle(delivery, {
        startedAt: 12_345,
        durationMs: 55,
        statusCode: 207,
        error: `the body "broke" off\n'\\`,
        responseHeaders: { "content-type": "text/plain", "x-quote": `a "b", 'c' \\ ü` },
        responseBody: Uint8Array.from({ length: 256 }, (_, i) => i),
        responseTruncated: true
      })
      assert.deepStrictEqual(yield* attemptsOf(tenant, delivery.id), [attempt])
      assert.deepStrictEqual(yield* find(tenant, delivery.id), {
        id: delivery.id,
        tenantId: tenant,
        messageId: delivery.messageId,
        webhookId: webhook,
        type: "invoice.paid",
        status: "delivered",
        attempts: 1,
        nextAttemptAt: null,
        lastStatusCode: 207,
        lastClass: "status_2xx",
        createdAt: createdAt(delivery.id),
        settledAt: 12_400
      })
      assert.deepStrictEqual(yield* owedTo(webhook), [])
      assert.deepStrictEqual(yield* waitingFor(webhook), [])
    })
  )

  it.effect("settle lets a delivery wait for its next attempt, again and again", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const delivery = yield* owe(tenant, webhook)
      for (let number = 1; number <= 3; number++) {
        const dueAt = number * 60_000
        yield* settle(delivery, { ...failed(dueAt), number })
        assert.deepStrictEqual(yield* waitingFor(webhook), [
          { id: delivery.id, attempts: number, tries: number, dueAt }
        ])
        assert.deepInclude(yield* find(tenant, delivery.id), {
          status: "waiting",
          attempts: number,
          nextAttemptAt: dueAt,
          lastStatusCode: 503,
          lastClass: "status_5xx",
          settledAt: null
        })
      }
      assert.deepStrictEqual(yield* owedTo(webhook), [])
      const { attempt } = yield* settle(delivery, { ...exhausted, number: 4 })
      assert.deepStrictEqual(yield* waitingFor(webhook), [])
      assert.deepInclude(yield* find(tenant, delivery.id), {
        status: "exhausted",
        attempts: 4,
        nextAttemptAt: null,
        lastStatusCode: 410,
        settledAt: attempt.startedAt + attempt.durationMs
      })
      const attempts = yield* attemptsOf(tenant, delivery.id)
      assert.deepStrictEqual(
        attempts.map(({ nextAt, number, settled }) => [number, nextAt, settled]),
        [
          [1, 60_000, null],
          [2, 120_000, null],
          [3, 180_000, null],
          [4, null, "exhausted"]
        ]
      )
    })
  )

  it.effect("settle writes attempts of many deliveries at once, each to its own end", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const [webhook, other] = webhooks
      const log = yield* DeliveryLog
      const deliveries = yield* Effect.all(
        Array.from({ length: 60 }, (_, i) => owe(tenant, i % 2 === 0 ? webhook! : other!))
      )
      const first = yield* Effect.forEach(deliveries, (delivery, i) =>
        settlement(delivery, i % 3 === 0 ? {} : i % 3 === 1 ? failed(i) : exhausted)
      )
      yield* log.settle([first[0]!, ...first.slice(1)])
      const again = deliveries.filter((_, i) => i % 3 === 1)
      const second = yield* Effect.forEach(again, (delivery, i) =>
        settlement(delivery, { number: 2, ...(i % 2 === 0 ? {} : failed(1_000 + i)) })
      )
      yield* log.settle([second[0]!, ...second.slice(1)])
      const statuses = yield* Effect.forEach(deliveries, ({ id }) =>
        Effect.map(find(tenant, id), ({ attempts, status }) => `${status} ${attempts}`)
      )
      const expected = deliveries.map((_, i) => {
        if (i % 3 !== 1) return i % 3 === 0 ? "delivered 1" : "exhausted 1"
        return Math.floor(i / 3) % 2 === 0 ? "delivered 2" : "waiting 2"
      })
      assert.deepStrictEqual(statuses, expected)
      const waiting = [...(yield* waitingFor(webhook!)), ...(yield* waitingFor(other!))]
      assert.strictEqual(waiting.length, 10)
      assert.isTrue(waiting.every(({ attempts, tries }) => attempts === 2 && tries === 2))
    })
  )

  it.effect("settle leaves a delivery cancelled that was cancelled in flight", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      for (const outcome of [{}, exhausted, failed(9_000)]) {
        const owed = yield* owe(tenant, webhook)
        const before = yield* queue.cancel(tenant, owed.id)
        const { attempt } = yield* settle(owed, outcome)
        assert.deepStrictEqual(yield* attemptsOf(tenant, owed.id), [
          { ...attempt, nextAt: null, settled: null }
        ])
        assert.deepStrictEqual(yield* find(tenant, owed.id), {
          ...before,
          attempts: 1,
          lastStatusCode: attempt.statusCode,
          lastClass: attempt.class
        })

        const waiting = yield* owe(tenant, webhook)
        yield* settle(waiting, failed(5_000))
        yield* queue.cancel(tenant, waiting.id)
        yield* settle(waiting, { ...outcome, number: 2 })
        assert.deepInclude(yield* find(tenant, waiting.id), { status: "cancelled", attempts: 2 })
        const attempts = yield* attemptsOf(tenant, waiting.id)
        assert.deepStrictEqual(
          attempts.map(({ settled }) => settled),
          [null, null]
        )
      }
      assert.deepStrictEqual(yield* waitingFor(webhook), [])
    })
  )

  it.effect("settle writes the attempt of a webhook that was deleted in flight", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const delivery = yield* owe(tenant, webhook)
      yield* (yield* WebhookRepo).delete(tenant, webhook)
      yield* settle(delivery, exhausted, {
        health: health(3),
        stop: { status: "disabled", reason: "gone" }
      })
      assert.strictEqual((yield* attemptsOf(tenant, delivery.id)).length, 1)
      assert.deepInclude(yield* find(tenant, delivery.id), { status: "cancelled", attempts: 1 })
      assert.deepStrictEqual(yield* (yield* WebhookRepo).findMany([webhook]), [])
    })
  )

  it.effect("settle ends no later round with an attempt of a former one, but counts it", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      for (const outcome of [{}, exhausted, failed(9_000)]) {
        const delivery = yield* owe(tenant, webhook)
        yield* settle(delivery, failed(1_000))
        yield* queue.cancel(tenant, delivery.id)
        const { nextAttemptAt } = yield* queue.redeliver(tenant, delivery.id)
        yield* settle(delivery, { ...outcome, number: 2 })
        assert.deepInclude(yield* find(tenant, delivery.id), {
          status: "waiting",
          attempts: 2,
          nextAttemptAt
        })
        const mine = (yield* waitingFor(webhook)).filter(({ id }) => id === delivery.id)
        assert.deepStrictEqual(mine, [
          { id: delivery.id, attempts: 2, tries: 0, dueAt: nextAttemptAt }
        ])
        yield* settle(delivery, { number: 3 }, { tries: 1 })
        assert.deepInclude(yield* find(tenant, delivery.id), { status: "delivered", attempts: 3 })
      }
      assert.deepStrictEqual(yield* waitingFor(webhook), [])
    })
  )

  it.effect("settle changes nothing when the same attempts are written again", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const deliveries = yield* Effect.all(Array.from({ length: 4 }, () => owe(tenant, webhook)))
      const [delivered, retried, ended, cancelled] = deliveries
      yield* settle(ended!, failed(2_000))
      yield* queue.cancel(tenant, cancelled!.id)
      const batch = [
        yield* settlement(delivered!, {}, { health: health(1) }),
        yield* settlement(retried!, failed(3_000), { health: health(2) }),
        yield* settlement(
          ended!,
          { ...exhausted, number: 2 },
          { stop: { status: "disabled", reason: "failing" } }
        ),
        yield* settlement(cancelled!)
      ] as const
      const everythingThereIs = Effect.gen(function* () {
        return {
          deliveries: yield* Effect.forEach(deliveries, ({ id }) => find(tenant, id)),
          attempts: yield* Effect.forEach(deliveries, ({ id }) => attemptsOf(tenant, id)),
          owed: yield* owedTo(webhook),
          waiting: yield* waitingFor(webhook),
          webhook: yield* webhookIn(tenant, webhook)
        }
      })
      yield* log.settle(batch)
      const once = yield* everythingThereIs
      assert.deepStrictEqual(
        once.deliveries.map(({ status }) => status),
        ["delivered", "held", "exhausted", "cancelled"]
      )
      yield* log.settle(batch)
      const twice = yield* everythingThereIs
      const comparable = ({ webhook, ...rest }: typeof once) => ({
        ...rest,
        webhook: { ...webhook, secrets: webhook.secrets.length }
      })
      assert.deepStrictEqual(comparable(twice), comparable(once))
    })
  )

  it.effect("settle written again after a redelivery leaves the new round alone", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      for (const outcome of [{}, exhausted]) {
        const delivery = yield* owe(tenant, webhook)
        const settled = yield* settle(delivery, outcome)
        const round = yield* queue.redeliver(tenant, delivery.id)
        yield* log.settle([settled])
        assert.deepStrictEqual(yield* find(tenant, delivery.id), round)
        const attempts = yield* attemptsOf(tenant, delivery.id)
        assert.deepStrictEqual(attempts, [{ ...settled.attempt, settled: null }])
      }
      assert.strictEqual((yield* waitingFor(webhook)).length, 2)
    })
  )

  it.effect("settle lets an attempt that counts take the place of one that settled nothing", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      for (const outcome of [{}, failed(9_000)]) {
        const made = yield* draft(tenant, [])
        const delivery = {
          id: deliveryOf(made.message.id, 1),
          tenantId: tenant,
          webhookId: webhook
        }
        yield* settle(delivery, { ...exhausted, error: "loose" })
        yield* (yield* Ground).owe(delivery.id, tenant, webhook)
        const { attempt } = yield* settle(delivery, outcome)
        assert.deepStrictEqual(yield* attemptsOf(tenant, delivery.id), [attempt])
        assert.deepInclude(yield* find(tenant, delivery.id), {
          status: attempt.settled ?? "waiting",
          attempts: 1
        })
      }
    })
  )

  it.effect("settle disables no webhook for health that is no news", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const log = yield* DeliveryLog
      const repo = yield* WebhookRepo
      const settled = yield* settlement(yield* owe(tenant, webhook), exhausted, {
        health: health(1),
        stop: { status: "disabled", reason: "failing" }
      })
      yield* log.settle([settled])
      assert.strictEqual((yield* webhookIn(tenant, webhook)).status, "disabled")
      yield* repo.setStatus(tenant, webhook, "enabled")
      yield* log.settle([settled])
      assert.strictEqual((yield* webhookIn(tenant, webhook)).status, "enabled")
    })
  )

  it.effect("settle keeps the newest health of each webhook", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const [webhook, other] = webhooks
      const log = yield* DeliveryLog
      const first = health(1, { failingSince: 1_000, lastFailureAt: 2_000 })
      const third = health(3, {
        failingSince: 1_000,
        lastSuccessAt: 500,
        lastFailureAt: 4_000,
        circuitOpenUntil: 60_000,
        circuitOpenings: 2,
        throttledUntil: 70_000
      })
      const write = Effect.fnUntraced(function* (
        ...healths: ReadonlyArray<readonly [WebhookId, Parameters<typeof settlement>[2]]>
      ) {
        const made = yield* Effect.forEach(healths, ([webhookId, rest]) =>
          Effect.flatMap(owe(tenant, webhookId), (delivery) =>
            settlement(delivery, failed(1), rest)
          )
        )
        yield* log.settle([made[0]!, ...made.slice(1)])
      })
      const healthOf = (id: WebhookId) => Effect.map(webhookIn(tenant, id), ({ health }) => health)

      yield* write([webhook!, { health: first }], [other!, { health: null }])
      assert.deepStrictEqual(yield* healthOf(webhook!), first)
      assert.strictEqual((yield* healthOf(other!)).version, 0)
      yield* write(
        [webhook!, { health: health(2) }],
        [other!, { health: health(7) }],
        [webhook!, { health: third }],
        [webhook!, { health: null }]
      )
      assert.deepStrictEqual(yield* healthOf(webhook!), third)
      assert.deepStrictEqual(yield* healthOf(other!), health(7))
      yield* write([webhook!, { health: health(3) }], [other!, { health: health(6) }])
      assert.deepStrictEqual(yield* healthOf(webhook!), third)
      assert.deepStrictEqual(yield* healthOf(other!), health(7))
    })
  )

  it.effect("settle stops an enabled webhook and announces it; a paused one stays paused", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(4)
      const [failing, gone, paused, pausing] = webhooks
      const log = yield* DeliveryLog
      const repo = yield* WebhookRepo
      const stops: ReadonlyArray<Stop> = [
        { status: "disabled", reason: "failing" },
        { status: "disabled", reason: "gone" },
        { status: "disabled", reason: "gone" },
        { status: "paused", reason: "on_failure" }
      ]
      const made = yield* Effect.forEach(webhooks, (id, i) =>
        Effect.flatMap(owe(tenant, id), (delivery) =>
          settlement(delivery, exhausted, { stop: stops[i]! })
        )
      )
      yield* repo.setStatus(tenant, paused!, "paused")
      const seen: Array<WebhookChange> = []
      yield* repo.watch((change) => Effect.sync(() => void seen.push(change)))
      yield* log.settle([made[0]!, made[1]!, made[2]!, made[3]!])
      for (const [id, status, reason] of [
        [failing!, "disabled", "failing"],
        [gone!, "disabled", "gone"],
        [paused!, "paused", null],
        [pausing!, "paused", "on_failure"]
      ] as const) {
        const found = yield* webhookIn(tenant, id)
        assert.deepStrictEqual([found.status, found.disabledReason], [status, reason])
      }
      assert.strictEqual((yield* webhookIn(tenant, gone!)).updatedAt, 1_025)
      const saved = seen.map(({ _tag, webhook }) => `${_tag} ${webhook.id} ${webhook.status}`)
      assert.includeMembers(saved, [`Saved ${failing!} disabled`, `Saved ${gone!} disabled`])
    })
  )

  it.effect("settle takes a character that SQL text or JSON cannot keep for U+FFFD", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const delivery = yield* owe(tenant, webhook)
      yield* settle(delivery, {
        error: "a\0b\ud800",
        responseHeaders: { "x-a": "\0", "x-b": "\ud800", "x-c": "\\u0000 \u0001 \n", "\0": "" }
      })
      const [attempt] = yield* attemptsOf(tenant, delivery.id)
      assert.strictEqual(attempt?.error, "a\uFFFDb\uFFFD")
      assert.deepStrictEqual(attempt?.responseHeaders, {
        "x-a": "\uFFFD",
        "x-b": "\uFFFD",
        "x-c": "\\u0000 \u0001 \n",
        "\uFFFD": ""
      })
    })
  )

  it.effect("find reads a delivery in each of its states", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const { cancelled, delivered, pending, tenant, waiting } = all
      const none = { nextAttemptAt: null, lastStatusCode: null, lastClass: null, settledAt: null }
      const failure = { attempts: 1, lastStatusCode: 503, lastClass: "status_5xx" }
      const expected: ReadonlyArray<readonly [DeliveryId, Partial<Delivery>]> = [
        [pending, { ...none, status: "pending", attempts: 0 }],
        [all.backlog, { ...none, status: "pending", attempts: 0, nextAttemptAt: 4_000 }],
        [waiting, { ...failure, status: "waiting", nextAttemptAt: 9_000, settledAt: null }],
        [
          delivered,
          {
            status: "delivered",
            type: "order.paid",
            attempts: 2,
            nextAttemptAt: null,
            lastStatusCode: 201,
            lastClass: "status_2xx",
            settledAt: 2_025
          }
        ],
        [
          all.exhausted,
          { status: "exhausted", attempts: 1, lastStatusCode: 410, settledAt: 1_025 }
        ],
        [cancelled, { ...failure, status: "cancelled", nextAttemptAt: null }]
      ]
      for (const [id, fields] of expected) {
        assert.deepInclude(yield* find(tenant, id), { id, tenantId: tenant, ...fields })
      }
    })
  )

  it.effect("find takes pending and waiting for held while the webhook receives nothing", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const { other, tenant, waiting, webhook } = all
      const log = yield* DeliveryLog
      const statuses = Effect.forEach(
        [all.pending, all.backlog, waiting, all.delivered, all.exhausted, all.cancelled],
        (id) => Effect.map(find(tenant, id), ({ status }) => status)
      )
      const final = ["delivered", "exhausted", "cancelled"] as const
      yield* (yield* WebhookRepo).setStatus(tenant, webhook, "paused")
      assert.deepStrictEqual(yield* statuses, ["held", "pending", "held", ...final])
      const spare = yield* owe(tenant, other)
      const open = health(1, { circuitOpenUntil: 60_000 })
      yield* log.settle([yield* settlement(spare, failed(1_000), { health: open })])
      assert.deepStrictEqual(yield* statuses, ["held", "held", "held", ...final])
      const closed = health(2, { throttledUntil: 60_000 })
      yield* settle(spare, { number: 2 }, { health: closed })
      assert.deepStrictEqual(yield* statuses, ["held", "pending", "held", ...final])
      yield* settle(yield* owe(tenant, other), exhausted, {
        stop: { status: "disabled", reason: "gone" }
      })
      assert.deepStrictEqual(yield* statuses, ["held", "held", "held", ...final])
      assert.deepInclude(yield* find(tenant, waiting), { nextAttemptAt: 9_000, attempts: 1 })
    })
  )

  it.effect("find, attempts and list know nothing of another tenant's deliveries", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const other = yield* tenantWith(1)
      const log = yield* DeliveryLog
      for (const id of [all.pending, all.waiting, all.delivered, all.exhausted, all.cancelled]) {
        assert.deepStrictEqual(yield* log.find(other.tenant, id), Option.none())
        assert.deepStrictEqual(yield* log.attempts(other.tenant, id), [])
      }
      const never = yield* draft(other.tenant, [other.webhook])
      const id = deliveryOf(never.message.id, 1)
      assert.deepStrictEqual(yield* log.find(other.tenant, id), Option.none())
      assert.deepStrictEqual(yield* log.attempts(other.tenant, id), [])
      assert.deepStrictEqual(yield* listed(other.tenant), [])
      assert.deepStrictEqual(yield* listed(other.tenant, { webhookId: all.webhook }), [])
    })
  )

  it.effect("list shows deliveries of all states as find does, newest message first", () =>
    Effect.gen(function* () {
      const { tenant, ...all } = yield* everyState
      const log = yield* DeliveryLog
      const page = yield* log.list(tenant, firstPage, everything)
      const ids = [
        all.cancelled,
        all.exhausted,
        all.delivered,
        all.waiting,
        all.backlog,
        all.pending
      ]
      const found = yield* Effect.forEach(ids, (id) => find(tenant, id))
      assert.deepStrictEqual(page, { data: found, nextCursor: null, prevCursor: null })
    })
  )

  it.effect("list shows a delivery once while it moves from state to state", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const queue = yield* DeliveryQueue
      const delivery = yield* owe(tenant, webhook)
      const steps = [
        settle(delivery, failed(1_000)),
        settle(delivery, { ...failed(1_000), number: 2 }),
        queue.cancel(tenant, delivery.id),
        queue.redeliver(tenant, delivery.id),
        settle(delivery, { ...exhausted, number: 3 }, { tries: 1 }),
        queue.redeliver(tenant, delivery.id),
        settle(delivery, { number: 4 }, { tries: 1 }),
        queue.redeliver(tenant, delivery.id)
      ]
      for (const step of steps) {
        yield* step
        assert.deepStrictEqual(yield* listed(tenant), [delivery.id])
      }
    })
  )

  it.effect("list is walked by cursor in both directions through deliveries of one message", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(4)
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const messages = yield* Effect.all([1, 2].map(() => publish(tenant, webhooks)))
      const all = messages.flatMap(({ id }) =>
        webhooks.map((webhookId, i) => ({ id: deliveryOf(id, i + 1), tenantId: tenant, webhookId }))
      )
      yield* settle(all[1]!)
      yield* settle(all[2]!, exhausted)
      yield* settle(all[4]!, failed(1_000))
      yield* queue.cancel(tenant, all[5]!.id)
      const newest = all.map(({ id }) => id).toReversed()

      const walk = Effect.fnUntraced(function* (
        first: Partial<PageRequest>,
        way: "nextCursor" | "prevCursor"
      ) {
        const pages: Array<ReadonlyArray<DeliveryId>> = []
        let request: PageRequest | undefined = { ...firstPage, limit: 3, ...first }
        while (request !== undefined) {
          const page: Page<Delivery> = yield* log.list(tenant, request, everything)
          pages.push(page.data.map(({ id }) => id))
          const cursor: string | null = page[way]
          request =
            cursor === null
              ? undefined
              : { ...request, cursor: Option.getOrThrow(decodeCursor(cursor)) }
        }
        return pages
      })
      assert.deepStrictEqual(yield* walk({}, "nextCursor"), [
        newest.slice(0, 3),
        newest.slice(3, 6),
        newest.slice(6)
      ])
      const fromOldest = { cursor: { direction: "newer", id: newest[7]! } } as const
      assert.deepStrictEqual(yield* walk(fromOldest, "prevCursor"), [
        newest.slice(4, 7),
        newest.slice(1, 4),
        newest.slice(0, 1)
      ])
    })
  )

  it.effect("list narrows by webhook, message and type", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const { tenant } = all
      assert.deepStrictEqual(yield* listed(tenant, { webhookId: all.webhook }), [
        all.exhausted,
        all.waiting,
        all.pending
      ])
      assert.deepStrictEqual(yield* listed(tenant, { type: "order.paid" }), [
        all.delivered,
        all.backlog
      ])
      const both = { type: "order.paid", webhookId: all.webhook }
      assert.deepStrictEqual(yield* listed(tenant, both), [])
      const webhooks = [all.webhook, all.other]
      const wide = yield* publish(tenant, webhooks)
      const ids = [deliveryOf(wide.id, 2), deliveryOf(wide.id, 1)]
      const messageId = wide.id
      assert.deepStrictEqual(yield* listed(tenant, { messageId }), ids)
      assert.deepStrictEqual(yield* listed(tenant, { messageId, webhookId: all.other }), [ids[0]!])
      assert.deepStrictEqual(yield* listed(tenant, { messageId, type: "order.paid" }), [])
      const cursor = { direction: "older", id: ids[0]! } as const
      assert.deepStrictEqual(yield* listed(tenant, { messageId }, { cursor }), [ids[1]!])
      const unknown = yield* draft(tenant, webhooks)
      assert.deepStrictEqual(yield* listed(tenant, { messageId: unknown.message.id }), [])
    })
  )

  it.effect("list finds all of a message's deliveries, the first and the last one", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const made = yield* draft(tenant, [webhook])
      const before = yield* publish(tenant, [webhook])
      const numbers = [1, 2, 32_767, 32_768, 65_535]
      const log = yield* DeliveryLog
      const rows = numbers.map((number) => ({
        id: deliveryOf(made.message.id, number),
        tenantId: tenant,
        webhookId: webhook
      }))
      const settled = yield* Effect.forEach(rows, (row) => settlement(row))
      for (const { id } of rows) yield* (yield* Ground).owe(id, tenant, webhook)
      yield* log.settle([settled[0]!, ...settled.slice(1)])
      assert.deepStrictEqual(
        yield* listed(tenant, { messageId: made.message.id }),
        rows.map(({ id }) => id).toReversed()
      )
      assert.deepStrictEqual(yield* listed(tenant, { messageId: before.id }), [before.delivery])
    })
  )

  it.effect("list narrows by state, alone and with a webhook", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const { tenant } = all
      const cases: ReadonlyArray<readonly [Delivery["status"], ReadonlyArray<DeliveryId>]> = [
        ["pending", [all.backlog, all.pending]],
        ["waiting", [all.waiting]],
        ["held", []],
        ["delivered", [all.delivered]],
        ["exhausted", [all.exhausted]],
        ["cancelled", [all.cancelled]]
      ]
      for (const [status, ids] of cases) {
        assert.deepStrictEqual(yield* listed(tenant, { status }), ids)
      }
      const ofWebhook = { webhookId: all.webhook }
      assert.deepStrictEqual(yield* listed(tenant, { ...ofWebhook, status: "pending" }), [
        all.pending
      ])
      assert.deepStrictEqual(yield* listed(tenant, { ...ofWebhook, status: "delivered" }), [])
      yield* (yield* WebhookRepo).setStatus(tenant, all.webhook, "paused")
      assert.deepStrictEqual(yield* listed(tenant, { status: "held" }), [all.waiting, all.pending])
      assert.deepStrictEqual(yield* listed(tenant, { status: "pending" }), [all.backlog])
      assert.deepStrictEqual(yield* listed(tenant, { status: "waiting" }), [])
      assert.deepStrictEqual(yield* listed(tenant, { webhookId: all.other, status: "held" }), [])
      const held = { status: "held" } as const
      const cursor = { direction: "newer", id: all.pending } as const
      assert.deepStrictEqual(yield* listed(tenant, held, { cursor }), [all.waiting])
      assert.deepStrictEqual(yield* listed(tenant, held, { limit: 1 }), [all.waiting])
    })
  )

  it.effect("list and find say alike what a blocked key keeps back", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(3, { ordering: "key" })
      const repo = yield* WebhookRepo
      const [webhook, free, paused] = webhooks as [WebhookId, WebhookId, WebhookId]
      const made: Array<DeliveryId> = []
      const inOrder = Effect.fnUntraced(function* (
        webhookId: WebhookId,
        orderingKey: string,
        type = "invoice.paid"
      ) {
        const draft = { orderingKey, inOrder: true, type }
        const { delivery } = yield* publish(tenant, [webhookId], draft, 1_000)
        made.push(delivery)
        return { id: delivery, tenantId: tenant, webhookId }
      })
      const block = (delivery: OwedDelivery, key: string) =>
        settle(delivery, exhausted, { order: { key, blocks: true } })

      const early = yield* inOrder(webhook, "b")
      const first = yield* inOrder(webhook, "a")
      yield* inOrder(webhook, "a")
      const retried = yield* inOrder(webhook, "a", "order.paid")
      yield* settle(retried, failed(20_000))
      yield* inOrder(webhook, "a", "order.paid")
      yield* block(yield* inOrder(webhook, "b"), "b")
      yield* inOrder(webhook, "b")
      made.push((yield* owe(tenant, webhook)).id)
      yield* inOrder(free, "a")
      made.push((yield* owe(tenant, free)).id)
      yield* block(yield* inOrder(paused, "a"), "a")
      yield* inOrder(paused, "a")
      made.push((yield* owe(tenant, paused)).id)
      yield* repo.setStatus(tenant, paused, "paused")

      const agree = Effect.gen(function* () {
        const found = yield* Effect.forEach(made, (id) => find(tenant, id))
        const newest = found.toReversed()
        for (const status of DeliveryStatus.literals) {
          for (const webhookId of [null, ...webhooks]) {
            for (const type of [null, "order.paid"]) {
              for (const statusCodeClass of [null, 5]) {
                const filter = { status, statusCodeClass, type, webhookId }
                const ids = newest
                  .filter(
                    (one) =>
                      one.status === status &&
                      (webhookId === null || one.webhookId === webhookId) &&
                      (type === null || one.type === type) &&
                      (statusCodeClass === null || String(one.lastStatusCode).startsWith("5"))
                  )
                  .map(({ id }) => id)
                assert.deepStrictEqual(yield* listed(tenant, filter), ids, JSON.stringify(filter))
                const one = yield* listed(tenant, filter, { limit: 1 })
                assert.deepStrictEqual(one, ids.slice(0, 1), JSON.stringify(filter))
              }
            }
          }
        }
        return found.filter(({ status }) => status === "held").map(({ id }) => id)
      })

      const before = yield* agree
      assert.lengthOf(before, 3)
      yield* block(first, "a")
      const after = yield* agree
      assert.lengthOf(after, 6)
      assert.include(after, retried.id)
      assert.notInclude(after, early.id)
      yield* (yield* DeliveryQueue).cancel(tenant, first.id)
      assert.deepStrictEqual(yield* agree, before)
    })
  )

  it.effect("list narrows by the class of the last status code", () =>
    Effect.gen(function* () {
      const all = yield* everyState
      const { tenant } = all
      for (const [statusCodeClass, ids] of [
        [2, [all.delivered]],
        [3, []],
        [4, [all.exhausted]],
        [5, [all.cancelled, all.waiting]]
      ] as const) {
        assert.deepStrictEqual(yield* listed(tenant, { statusCodeClass }), [...ids])
      }
      const narrow = { statusCodeClass: 5, webhookId: all.webhook }
      assert.deepStrictEqual(yield* listed(tenant, narrow), [all.waiting])
      assert.deepStrictEqual(yield* listed(tenant, { ...narrow, status: "waiting" }), [all.waiting])
      assert.deepStrictEqual(yield* listed(tenant, { ...narrow, status: "pending" }), [])
      assert.deepStrictEqual(yield* listed(tenant, { ...narrow, status: "exhausted" }), [])
    })
  )

  it.effect("list keeps to the time at which messages were made", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const made = []
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("1 hour")
        made.push(yield* owe(tenant, webhook))
      }
      const [a, b, c, d] = made.map(({ id }) => id)
      yield* settle(made[1]!)
      yield* settle(made[2]!, failed(1_000))
      const after = { after: createdAt(b!) }
      const before = { before: createdAt(d!) }
      assert.deepStrictEqual(yield* listed(tenant, {}, after), [d!, c!, b!])
      assert.deepStrictEqual(yield* listed(tenant, {}, before), [c!, b!, a!])
      assert.deepStrictEqual(yield* listed(tenant, {}, { ...after, ...before }), [c!, b!])
      const status = { status: "delivered" } as const
      assert.deepStrictEqual(yield* listed(tenant, status, { ...after, ...before }), [b!])
      const waiting = { status: "waiting" } as const
      assert.deepStrictEqual(yield* listed(tenant, waiting, { before: createdAt(c!) }), [])
    })
  )

  it.effect("deliveries outlive their message and their webhook", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const spare = yield* webhookOf(tenant)
      const lost = yield* owe(tenant, webhook)
      const left = yield* owe(tenant, spare)
      yield* settle(lost)
      yield* settle(left, exhausted)
      yield* (yield* Retention).forget(lost.messageId)
      yield* (yield* WebhookRepo).delete(tenant, spare)
      assert.deepInclude(yield* find(tenant, lost.id), { status: "delivered", type: "" })
      assert.deepInclude(yield* find(tenant, left.id), { status: "exhausted", webhookId: spare })
      assert.deepStrictEqual(yield* listed(tenant), [left.id, lost.id])
    })
  )

  it.effect("changes tells of every settlement once it is written", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const log = yield* DeliveryLog
      const queue = yield* DeliveryQueue
      const deliveries = yield* Effect.all(Array.from({ length: 4 }, () => owe(tenant, webhook)))
      const [one, two, three, four] = deliveries
      yield* queue.cancel(tenant, four!.id)
      const fiber = yield* heard(tenant, 6)
      const first = yield* settlement(one!)
      yield* log.settle([
        first,
        yield* settlement(two!, failed(1_000)),
        yield* settlement(three!, exhausted),
        yield* settlement(four!)
      ])
      yield* settle(two!, { number: 2 })
      // Whoever writes it again does not know that it was told of.
      yield* log.settle([first])
      const changes = yield* Fiber.join(fiber)
      assert.deepStrictEqual(changes[0], {
        attempt: first.attempt,
        type: "invoice.paid",
        status: "delivered"
      })
      assert.deepStrictEqual(told(changes), [
        [one!.id, 1, "delivered"],
        [two!.id, 1, "waiting"],
        [three!.id, 1, "exhausted"],
        [four!.id, 1, "cancelled"],
        [two!.id, 2, "delivered"],
        [one!.id, 1, "delivered"]
      ])
    })
  )

  it.effect("changes tells each reader of what comes after it began to read", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const [one, two] = yield* Effect.all([owe(tenant, webhook), owe(tenant, webhook)])
      const early = yield* heard(tenant, 2)
      yield* settle(one)
      const late = yield* heard(tenant, 1)
      yield* settle(two)
      assert.strictEqual((yield* Fiber.join(early)).length, 2)
      assert.deepStrictEqual(told(yield* Fiber.join(late)), [[two.id, 1, "delivered"]])
    })
  )

  it.effect("changes lets a slow reader miss the oldest of more than 4,096", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const log = yield* DeliveryLog
      const one = yield* settlement(yield* owe(tenant, webhook))
      const last = yield* settlement(yield* owe(tenant, webhook))
      const gate = yield* Latch.make()
      const fiber = yield* log.changes.pipe(
        Stream.tap(() => gate.await),
        Stream.takeUntil(({ attempt }) => attempt.id === last.attempt.id),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* Effect.yieldNow
      yield* log.settle([one])
      yield* Effect.yieldNow
      // The same attempt is announced each time that it is written, so one is enough.
      const batch = [one, ...Array.from({ length: 255 }, () => one)] as const
      for (let i = 0; i < 17; i++) yield* log.settle(batch)
      yield* log.settle([last])
      yield* gate.open
      assert.strictEqual((yield* Fiber.join(fiber)).length, 1 + 4_096)
    })
  )
}
