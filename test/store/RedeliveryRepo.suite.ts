/**
 * What every RedeliveryRepo does, wherever it keeps its jobs: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { firstPage } from "../../src/domain/Page.ts"
import type { RedeliveryFilter } from "../../src/domain/Redelivery.ts"
import type { DeliveryId, RedeliveryId, TenantId, WebhookId } from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { Ids } from "../../src/store/Ids.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import {
  exhausted,
  publish,
  Retention,
  settlement,
  type Stage,
  tagOf,
  tenantWith,
  webhookOf
} from "./Stage.ts"

const everything: RedeliveryFilter = {
  webhookId: null,
  type: null,
  status: "exhausted",
  after: null,
  before: null,
  dryRun: false
}

const start = Effect.fnUntraced(function* (
  tenantId: TenantId,
  filter: Partial<RedeliveryFilter> = {},
  key?: string,
  digest = "digest"
) {
  return yield* (yield* RedeliveryRepo).create({
    id: yield* (yield* Ids).next("redelivery"),
    tenantId,
    filter: { ...everything, ...filter },
    idempotency: key === undefined ? null : { key, digest: Buffer.from(digest.padEnd(32)) }
  })
})

/** Publishes messages one by one and settles the delivery of each. */
const settleMany = Effect.fnUntraced(function* (
  tenantId: TenantId,
  webhookId: WebhookId,
  count: number,
  attempt: Parameters<typeof settlement>[1] = exhausted,
  type = "invoice.paid"
) {
  const log = yield* DeliveryLog
  const ids: Array<DeliveryId> = []
  for (let i = 0; i < count; i++) {
    const { delivery: id } = yield* publish(tenantId, [webhookId], { type })
    yield* log.settle([yield* settlement({ id, tenantId, webhookId }, attempt)])
    ids.push(id)
  }
  return ids
})

const rows = { counting: 3, redelivering: 2 }

/** Takes steps until the job is finished; answers what each redelivered, and the job at the end. */
const walk = Effect.fnUntraced(function* (id: RedeliveryId, size = rows) {
  const repo = yield* RedeliveryRepo
  const redelivered: Array<number> = []
  while (true) {
    const step = yield* repo.step(id, size)
    if (Option.isNone(step)) return yield* Effect.die("finished before")
    redelivered.push(step.value.redelivered)
    if (step.value.job.finishedAt !== null) return { redelivered, job: step.value.job }
  }
})

const statuses = (tenantId: TenantId, ids: ReadonlyArray<DeliveryId>) =>
  Effect.forEach(ids, (id) =>
    Effect.map(
      Effect.flatMap(DeliveryLog, (log) => log.find(tenantId, id)),
      (found) => Option.getOrThrow(found).status
    )
  )

/** Declares the facts. */
export const suite = (it: Vitest.MethodsNonLive<Stage>): void => {
  it.effect("counts, then redelivers in bounded steps, each delivery once", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(10)
      const { tenant, webhook } = yield* tenantWith(1)
      const ids = yield* settleMany(tenant, webhook, 5)
      const [untouched] = yield* settleMany(tenant, webhook, 1, {})
      const job = yield* start(tenant)
      assert.deepInclude(job, { state: "counting", matched: 0, done: 0, finishedAt: null })
      assert.deepInclude(job, { ...everything, tenantId: tenant })
      const { job: done, redelivered } = yield* walk(job.id)
      assert.deepStrictEqual(redelivered, [0, 0, 2, 2, 1])
      assert.deepInclude(done, { state: "done", matched: 5, done: 5 })
      assert.deepStrictEqual(new Set(yield* statuses(tenant, ids)), new Set(["waiting"]))
      assert.deepStrictEqual(yield* statuses(tenant, [untouched!]), ["delivered"])
      const due = yield* (yield* DeliveryQueue).pull({
        webhookId: webhook,
        now: 1e12,
        limit: 100,
        bytesMax: 1e6,
        held: new Set(),
        keys: [],
        after: ""
      })
      assert.deepStrictEqual(due.deliveries.map(({ id }) => id).toSorted(), ids.toSorted())
      assert.deepStrictEqual(
        due.deliveries.map(({ attempts, tries }) => [attempts, tries]),
        ids.map(() => [1, 0])
      )
      assert.isTrue(Option.isNone(yield* (yield* RedeliveryRepo).step(job.id, rows)))
    })
  )

  it.effect("takes no delivery a second time that fails again meanwhile", () =>
    Effect.gen(function* () {
      const repo = yield* RedeliveryRepo
      const log = yield* DeliveryLog
      const { tenant, webhook } = yield* tenantWith(1)
      const ids = yield* settleMany(tenant, webhook, 4)
      const { id } = yield* start(tenant)
      yield* repo.step(id, { counting: 100, redelivering: 2 })
      yield* repo.step(id, { counting: 100, redelivering: 2 })
      const again = { id: ids[0]!, tenantId: tenant, webhookId: webhook }
      yield* log.settle([yield* settlement(again, { ...exhausted, number: 2 }, { tries: 1 })])
      yield* TestClock.adjust(10)
      const later = yield* settleMany(tenant, webhook, 1)
      const { job } = yield* walk(id)
      assert.deepInclude(job, { state: "done", done: 4 })
      assert.deepStrictEqual(yield* statuses(tenant, ids), [
        "exhausted",
        "waiting",
        "waiting",
        "waiting"
      ])
      assert.deepStrictEqual(yield* statuses(tenant, later), ["exhausted"])
    })
  )

  it.effect(
    "narrows by webhook, type, state and time, and reads bounded pages of a rare type",
    () =>
      Effect.gen(function* () {
        const { tenant, webhooks } = yield* tenantWith(2)
        const [one, two] = webhooks
        yield* settleMany(tenant, one!, 7)
        const rare = yield* settleMany(tenant, one!, 1, exhausted, "invoice.late")
        const others = yield* settleMany(tenant, two!, 2)
        const delivered = yield* settleMany(tenant, two!, 2, {})
        const queue = yield* DeliveryQueue
        const cancelled = yield* publish(tenant, [two!])
        yield* queue.cancel(tenant, cancelled.delivery)

        const late = yield* walk((yield* start(tenant, { type: "invoice.late" })).id)
        assert.deepInclude(late.job, { matched: 1, done: 1 })
        assert.isAbove(late.redelivered.length, 6)
        assert.deepStrictEqual(yield* statuses(tenant, rare), ["waiting"])

        const ofTwo = yield* walk((yield* start(tenant, { webhookId: two! })).id)
        assert.deepInclude(ofTwo.job, { matched: 2, done: 2 })
        assert.deepStrictEqual(yield* statuses(tenant, others), ["waiting", "waiting"])

        const again = yield* walk((yield* start(tenant, { status: "delivered" })).id)
        assert.deepInclude(again.job, { matched: 2, done: 2 })
        assert.deepStrictEqual(yield* statuses(tenant, delivered), ["waiting", "waiting"])

        const back = yield* walk((yield* start(tenant, { status: "cancelled" })).id)
        assert.deepInclude(back.job, { matched: 1, done: 1 })
        assert.deepStrictEqual(yield* statuses(tenant, [cancelled.delivery]), ["pending"])

        for (const filter of [{ before: 0 }, { after: 1e12 }]) {
          const none = yield* walk((yield* start(tenant, filter)).id)
          assert.deepInclude(none.job, { ...filter, state: "done", matched: 0, done: 0 })
        }
      })
  )

  it.effect("changes nothing in a dry run, and counts the same", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      const ids = yield* settleMany(tenant, webhook, 4)
      const { job, redelivered } = yield* walk((yield* start(tenant, { dryRun: true })).id)
      assert.deepInclude(job, { state: "done", matched: 4, done: 0, dryRun: true })
      assert.deepStrictEqual(redelivered, [0, 0])
      assert.deepStrictEqual(new Set(yield* statuses(tenant, ids)), new Set(["exhausted"]))
    })
  )

  it.effect("passes over what has no webhook or no message any more, and other tenants", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const foreign = yield* tenantWith(1)
      yield* settleMany(foreign.tenant, foreign.webhook, 2)
      const [gone, alive] = webhooks
      yield* settleMany(tenant, gone!, 2)
      const { delivery: id, id: message } = yield* publish(tenant, [alive!])
      yield* (yield* DeliveryLog).settle([
        yield* settlement({ id, tenantId: tenant, webhookId: alive! }, exhausted)
      ])
      const [kept] = yield* settleMany(tenant, alive!, 1)
      yield* (yield* WebhookRepo).delete(tenant, gone!)
      yield* (yield* Retention).forget(message)
      const { job } = yield* walk((yield* start(tenant)).id)
      assert.deepInclude(job, { state: "done", matched: 1, done: 1 })
      assert.deepStrictEqual(yield* statuses(tenant, [kept!]), ["waiting"])
    })
  )

  it.effect("is cancelled at any time before its end, and keeps what it did", () =>
    Effect.gen(function* () {
      const repo = yield* RedeliveryRepo
      const { tenant, webhook } = yield* tenantWith(1)
      const other = yield* tenantWith(1)
      const ids = yield* settleMany(tenant, webhook, 4)
      const { id } = yield* start(tenant)
      yield* repo.step(id, { counting: 100, redelivering: 2 })
      yield* repo.step(id, { counting: 100, redelivering: 2 })
      assert.strictEqual(yield* tagOf(repo.cancel(other.tenant, id)), "RedeliveryNotFound")
      const cancelled = yield* repo.cancel(tenant, id)
      assert.deepInclude(cancelled, { state: "cancelled", matched: 4, done: 2 })
      assert.isTrue(Option.isNone(yield* repo.step(id, rows)))
      assert.strictEqual(yield* tagOf(repo.cancel(tenant, id)), "RedeliveryFinished")
      assert.deepStrictEqual((yield* statuses(tenant, ids)).toSorted(), [
        "exhausted",
        "exhausted",
        "waiting",
        "waiting"
      ])
    })
  )

  it.effect("finds and lists a tenant's jobs, and names the unfinished ones of all", () =>
    Effect.gen(function* () {
      const repo = yield* RedeliveryRepo
      const { tenant, webhook } = yield* tenantWith(1)
      const other = yield* tenantWith(1)
      const first = yield* start(tenant, { webhookId: webhook, type: "a.b", after: 1, before: 2 })
      const second = yield* start(tenant)
      const foreign = yield* start(other.tenant)
      assert.deepStrictEqual(Option.getOrThrow(yield* repo.find(tenant, first.id)), first)
      assert.isTrue(Option.isNone(yield* repo.find(other.tenant, first.id)))
      const page = yield* repo.list(tenant, { ...firstPage, limit: 1 })
      assert.deepStrictEqual(page.data, [second])
      assert.isNotNull(page.nextCursor)
      yield* repo.cancel(tenant, first.id)
      const unfinished = yield* repo.unfinished
      assert.includeMembers([...unfinished], [second.id, foreign.id])
      assert.notInclude(unfinished, first.id)
    })
  )

  it.effect("answers the first job to a repeated key, and refuses the key of another request", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(1)
      const first = yield* start(tenant, {}, "key")
      assert.deepStrictEqual(yield* start(tenant, {}, "key"), first)
      assert.strictEqual(yield* tagOf(start(tenant, {}, "key", "other")), "IdempotencyConflict")
      const other = yield* tenantWith(1)
      assert.notStrictEqual((yield* start(other.tenant, {}, "key")).id, first.id)
    })
  )

  it.effect("refuses an eleventh unfinished job of a tenant", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(1)
      const jobs = yield* Effect.all(Array.from({ length: 10 }, () => start(tenant)))
      assert.strictEqual(yield* tagOf(start(tenant)), "RedeliveriesBusy")
      yield* (yield* RedeliveryRepo).cancel(tenant, jobs[0]!.id)
      assert.strictEqual((yield* start(tenant)).state, "counting")
      assert.isString(yield* webhookOf(tenant))
    })
  )
}
