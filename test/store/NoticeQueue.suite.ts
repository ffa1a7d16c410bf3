/**
 * What every NoticeQueue does with what `DeliveryLog.settle` wrote into it, wherever it keeps it: a
 * function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Notice } from "../../src/domain/Notice.ts"
import type { TenantId, WebhookId } from "../../src/domain/TypeId.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { NoticeQueue } from "../../src/store/NoticeQueue.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { exhausted, health, publish, settlement, type Stage, tenantWith } from "./Stage.ts"

const noticeOf = Effect.fnUntraced(function* (tenantId: TenantId) {
  const notice: Notice = {
    id: yield* (yield* Ids).next("notice"),
    tenantId,
    type: "posthaste.delivery.exhausted",
    data: `{"a":"\u00e4"}`,
    createdAt: 5_000
  }
  return notice
})

const subscribe = (tenantId: TenantId, webhookId: WebhookId, eventTypes: ReadonlyArray<string>) =>
  Effect.flatMap(WebhookRepo, (repo) =>
    repo.update(tenantId, webhookId, () => Result.succeed({ eventTypes }))
  )

/** Settles a delivery of a webhook with notices, and answers the settlement. */
const settle = Effect.fnUntraced(function* (
  tenantId: TenantId,
  webhookId: WebhookId,
  ...notices: ReadonlyArray<Notice>
) {
  const { delivery: id } = yield* publish(tenantId, [webhookId])
  const written = yield* settlement({ id, tenantId, webhookId }, exhausted, {
    health: health(1),
    notices
  })
  yield* (yield* DeliveryLog).settle([written])
  return written
})

const waiting = (tenantId: TenantId) =>
  Effect.map(
    Effect.flatMap(NoticeQueue, (queue) => queue.pull(1_000)),
    (all) => all.filter((notice) => notice.tenantId === tenantId)
  )

/** Declares the facts. */
export const suite = (it: Vitest.MethodsNonLive<Stage>): void => {
  it.effect("keeps what is to be told until it is removed, oldest first", () =>
    Effect.gen(function* () {
      const queue = yield* NoticeQueue
      const { tenant, webhooks } = yield* tenantWith(2)
      yield* subscribe(tenant, webhooks[1]!, ["posthaste.webhook.*"])
      const [one, two] = [yield* noticeOf(tenant), yield* noticeOf(tenant)]
      yield* settle(tenant, webhooks[0]!, two, one)
      assert.deepStrictEqual(yield* waiting(tenant), [one, two])
      assert.lengthOf(yield* queue.pull(1), 1)
      yield* queue.remove([one.id])
      assert.deepStrictEqual(yield* waiting(tenant), [two])
      yield* queue.remove([])
      yield* queue.remove([two.id])
      assert.lengthOf(yield* waiting(tenant), 0)
    })
  )

  it.effect("keeps nothing of a tenant of whose webhooks none names such messages", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(3)
      const other = yield* tenantWith(1)
      yield* subscribe(other.tenant, other.webhook, ["posthaste.*"])
      yield* subscribe(tenant, webhooks[1]!, ["*"])
      yield* subscribe(tenant, webhooks[2]!, ["invoice.*", "posthastely.*"])
      yield* settle(tenant, webhooks[0]!, yield* noticeOf(tenant))
      assert.lengthOf(yield* waiting(tenant), 0)
    })
  )

  it.effect("keeps a notice once, though its attempt is written again", () =>
    Effect.gen(function* () {
      const { tenant, webhook } = yield* tenantWith(1)
      yield* subscribe(tenant, webhook, ["invoice.paid", "posthaste.delivery.exhausted"])
      const written = yield* settle(tenant, webhook, yield* noticeOf(tenant))
      yield* (yield* DeliveryLog).settle([written])
      assert.deepStrictEqual(yield* waiting(tenant), written.notices)
    })
  )
}
