/**
 * What retention removes and what it leaves, wherever messages are kept: a function of what keeps them.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { firstPage } from "../../src/domain/Page.ts"
import { deliveryOf, fromUuid, type MessageId } from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import * as Partitions from "../../src/store/Partitions.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import type { RetentionStore } from "../../src/store/Retention.ts"
import {
  draft,
  exhausted,
  failed,
  publish,
  settlement,
  type Stage,
  tagOf,
  tenantWith,
  webhookOf
} from "./Stage.ts"

const day = 86_400_000

/** Makes the id of the only message of an instant. */
export const idAt = (instant: number): MessageId => fromUuid("message", Partitions.firstId(instant))

/** Removes what was settled by an instant; rests between two steps are real. */
export const removeBy = (store: RetentionStore, before: number) =>
  TestClock.withLive(store.removeSettled(before))

/** Adds the tests. Each has a day of its own: retention knows no tenants. */
export const suite =
  <R>(make: Effect.Effect<RetentionStore, never, R>) =>
  (it: Vitest.MethodsNonLive<Stage | R>) => {
    it.effect("a message goes with all that it owed, so long after it was settled", () =>
      Effect.gen(function* () {
        const store = yield* make
        const log = yield* DeliveryLog
        const start = 100 * day
        const { tenant, webhook } = yield* tenantWith(1)
        const message = yield* publish(tenant, [webhook], { id: idAt(start), uid: "first" })
        const delivery = { id: message.delivery, tenantId: tenant, webhookId: webhook }
        const first = yield* settlement(delivery, { ...failed(start + day), startedAt: start })
        const last = { number: 2, startedAt: start + 5 * day, durationMs: 25 }
        yield* log.settle([first])
        yield* log.settle([yield* settlement(delivery, last)])
        // It was published long before, and settled one millisecond later.
        yield* removeBy(store, start + 5 * day + 24)
        assert.lengthOf(yield* log.attempts(tenant, message.delivery), 2)
        yield* removeBy(store, start + 5 * day + 25)
        assert.isTrue(Option.isNone(yield* log.find(tenant, message.delivery)))
        assert.deepStrictEqual(yield* log.attempts(tenant, message.delivery), [])
        const messages = yield* MessageRepo
        assert.isTrue(Option.isNone(yield* messages.find(tenant, message.id)))
        assert.strictEqual(
          yield* tagOf((yield* DeliveryQueue).redeliver(tenant, message.delivery)),
          "DeliveryNotFound"
        )
        const again = yield* draft(tenant, [webhook], { uid: "first" })
        const [result] = yield* messages.insert([again])
        assert.deepInclude(result, { _tag: "Existing" })
      })
    )

    it.effect("a message stays while it blocks its ordering key, and goes with its webhook", () =>
      Effect.gen(function* () {
        const store = yield* make
        const log = yield* DeliveryLog
        const start = 150 * day
        const { tenant, webhook } = yield* tenantWith(1, { ordering: "key" })
        const message = yield* publish(tenant, [webhook], { id: idAt(start) })
        const delivery = { id: message.delivery, tenantId: tenant, webhookId: webhook }
        const order = { key: "a", blocks: true }
        yield* log.settle([
          yield* settlement(delivery, { ...exhausted, startedAt: start }, { order })
        ])
        yield* removeBy(store, start + 40 * day)
        assert.isTrue(Option.isSome(yield* log.find(tenant, message.delivery)))
        yield* (yield* WebhookRepo).delete(tenant, webhook)
        yield* removeBy(store, start + 40 * day)
        assert.isTrue(Option.isNone(yield* log.find(tenant, message.delivery)))
      })
    )

    it.effect("a message stays as long as one of its deliveries is open or young", () =>
      Effect.gen(function* () {
        const store = yield* make
        const log = yield* DeliveryLog
        const queue = yield* DeliveryQueue
        const start = 200 * day
        const { tenant, webhooks } = yield* tenantWith(3)
        const at = (i: number) => ({ id: idAt(start + i) })
        const owed = yield* publish(tenant, webhooks, at(0))
        const waiting = yield* publish(tenant, webhooks, at(1), start)
        const young = yield* publish(tenant, webhooks, at(2))
        const cancelled = yield* publish(tenant, webhooks, at(3))
        const reopened = yield* publish(tenant, webhooks, at(4))
        const gone = yield* publish(tenant, webhooks, at(5))
        const unwanted = yield* publish(tenant, [], at(6))
        const all = [owed, waiting, young, cancelled, reopened, gone]
        const settle = (id: MessageId, i: number, startedAt: number) =>
          Effect.gen(function* () {
            const webhookId = webhooks[i - 1]!
            yield* log.settle([
              yield* settlement(
                { id: deliveryOf(id, i), tenantId: tenant, webhookId },
                { ...(i === 1 ? exhausted : {}), startedAt }
              )
            ])
          })
        for (const { id } of all) for (const i of [1, 2]) yield* settle(id, i, start)
        yield* settle(young.id, 3, start + 40 * day)
        yield* settle(reopened.id, 3, start)
        yield* settle(gone.id, 3, start)
        yield* TestClock.setTime(start + 40 * day)
        yield* queue.cancel(tenant, deliveryOf(cancelled.id, 3))
        yield* queue.redeliver(tenant, deliveryOf(reopened.id, 1))

        yield* removeBy(store, start + 40 * day - 1)
        const kept = [owed, waiting, young, cancelled, reopened].map(({ id }) => id)
        const messages = yield* MessageRepo
        const left = Effect.map(
          messages.list(tenant, firstPage, {
            type: null,
            resourceType: null,
            resourceId: null,
            includeBody: false
          }),
          ({ data }) => data.map(({ id }) => id).toReversed()
        )
        assert.deepStrictEqual(yield* left, kept)
        assert.notInclude(yield* left, unwanted.id)
        for (const id of kept) {
          for (const i of [1, 2, 3]) {
            assert.isTrue(Option.isSome(yield* log.find(tenant, deliveryOf(id, i))), `${id} ${i}`)
          }
        }
        yield* removeBy(store, start + 41 * day)
        assert.deepStrictEqual(yield* left, [owed.id, waiting.id, reopened.id])
      })
    )

    it.effect("an ad-hoc webhook is unused once nothing is owed or was sent to it", () =>
      Effect.gen(function* () {
        const store = yield* make
        const log = yield* DeliveryLog
        const queue = yield* DeliveryQueue
        const start = 900 * day
        yield* TestClock.setTime(start)
        const { tenant, webhook: registered } = yield* tenantWith(1)
        const owed = yield* webhookOf(tenant, "owed")
        const waiting = yield* webhookOf(tenant, "waiting")
        const cancelled = yield* webhookOf(tenant, "cancelled")
        const sent = yield* webhookOf(tenant, "sent")
        const lost = yield* webhookOf(tenant, "lost")
        const never = yield* webhookOf(tenant, "never")
        const all = [registered, owed, waiting, cancelled, sent, lost, never]
        const unused = Effect.map(store.unused(start + 2), (ids) =>
          all.filter((id) => ids.includes(id))
        )
        yield* publish(tenant, [owed])
        const second = yield* publish(tenant, [waiting])
        const to = (delivery: typeof second.delivery, webhookId: typeof owed) => ({
          id: delivery,
          tenantId: tenant,
          webhookId
        })
        yield* log.settle([yield* settlement(to(second.delivery, waiting), failed(start + day))])
        yield* queue.cancel(tenant, (yield* publish(tenant, [cancelled])).delivery)
        yield* log.settle([yield* settlement(to((yield* publish(tenant, [sent])).delivery, sent))])
        const last = yield* publish(tenant, [lost])
        yield* log.settle([yield* settlement(to(last.delivery, lost), exhausted)])
        assert.deepStrictEqual(yield* unused, [never])
        assert.notInclude(yield* store.unused(start), never)
      })
    )
  }
