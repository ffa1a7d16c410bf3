/**
 * Random histories of messages and deliveries, lived through by the stores over a database and by the
 * ones in memory side by side: each step has to answer the same, and all has to read the same after.
 */
import { assert, type Vitest } from "@effect/vitest"
import { type Context, Effect, Exit, Layer, Random } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import type { Attempt } from "../../src/domain/Attempt.ts"
import { type Delivery, DeliveryStatus } from "../../src/domain/Delivery.ts"
import { firstPage } from "../../src/domain/Page.ts"
import { type DeliveryId, messageOf, toUuid, type WebhookId } from "../../src/domain/TypeId.ts"
import { type DeliveryFilter, DeliveryLog, type Settlement } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import {
  draft,
  exhausted,
  failed,
  health,
  memory,
  settlement,
  type Stage,
  tenantWith
} from "./Stage.ts"

type Stores = MessageRepo | DeliveryQueue | DeliveryLog | WebhookRepo

const everything: DeliveryFilter = {
  webhookId: null,
  messageId: null,
  type: null,
  status: null,
  statusCodeClass: null
}

const steps = 60

const pick = <A>(from: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, from.length), (i) => from[i % from.length]!)

const chance = (percent: number) =>
  Effect.map(Random.nextIntBetween(0, 100), (drawn) => drawn < percent)

/** Does one thing in both places and compares the answers. */
const both = (model: Context.Context<Stage>) =>
  Effect.fnUntraced(function* <A, E>(what: string, effect: Effect.Effect<A, E, Stores>) {
    const actual = yield* Effect.exit(effect)
    const expected = yield* Effect.exit(Effect.provide(effect, model))
    assert.deepStrictEqual(plain(actual), plain(expected), what)
    return Exit.isSuccess(actual) ? actual.value : undefined
  })

/** Errors are compared by what they say. */
const plain = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isSuccess(exit) ? exit.value : JSON.stringify(exit.cause)

const history = Effect.fnUntraced(function* () {
  const sql = yield* SqlClient
  const model = yield* Layer.build(Layer.fresh(memory))
  const same = both(model)
  const { tenant, webhooks } = yield* Effect.provide(tenantWith(3, { ordering: "key" }), model)
  yield* sql`
    insert into tenant (id, uid, name, created_at, updated_at)
    values (${toUuid(tenant)}, ${tenant}, ${tenant}, ${new Date(0)}, ${new Date(0)})`
  for (const id of webhooks) {
    const { secrets, ...webhook } = yield* WebhookRepo.use((repo) => repo.get(tenant, id)).pipe(
      Effect.provide(model)
    )
    const [{ id: secretId, key }] = secrets as [(typeof secrets)[number]]
    yield* WebhookRepo.use((repo) =>
      repo.create({
        id,
        tenantId: tenant,
        fields: webhook,
        secret: { id: secretId, key },
        idempotency: null
      })
    )
  }
  // Deliveries of other histories would be counted too.
  yield* DeliveryQueue.use((queue) => queue.recover)

  const registered = new Set(webhooks)
  const deliveries: Array<DeliveryId> = []
  const keys = new Map<DeliveryId, string>()
  const settled: Array<Settlement> = []
  let version = 0

  const find = (id: DeliveryId) => DeliveryLog.use((log) => log.find(tenant, id))
  const list = (filter: Partial<DeliveryFilter>, limit = 250) =>
    DeliveryLog.use((log) =>
      log.list(tenant, { ...firstPage, limit }, { ...everything, ...filter })
    )
  const pull = (webhookId: WebhookId, more: Partial<{ limit: number; bytesMax: number }> = {}) =>
    DeliveryQueue.use((queue) =>
      queue.pull({
        webhookId,
        now: 50_000,
        limit: 1_000,
        bytesMax: 1e9,
        held: new Set(),
        keys: [],
        after: "",
        ...more
      })
    )

  const publishSome = Effect.gen(function* () {
    const count = yield* Random.nextIntBetween(1, 4)
    const drafts = yield* Effect.forEach(Array.from({ length: count }), () =>
      Effect.gen(function* () {
        const wanting = [...registered].slice(yield* Random.nextIntBetween(0, webhooks.length))
        const inOrder = yield* chance(25)
        const orderingKey = inOrder ? yield* pick(["a", "b"]) : null
        const isOwed = !inOrder && (yield* chance(60))
        const dueAt = isOwed ? null : yield* Random.nextIntBetween(0, 60_000)
        const key = (yield* chance(30)) ? { idempotencyKey: yield* pick(["k1", "k2", "k3"]) } : {}
        const uid = (yield* chance(30)) ? yield* pick(["u1", "u2", "u3"]) : null
        const type = yield* pick(["a", "b"])
        // What the caller sent says the uid too.
        const content = `${type} ${uid} ${yield* pick(["x", "y"])}`
        const fields = { ...key, uid, type, content, orderingKey, inOrder }
        return yield* draft(tenant, wanting, fields, dueAt)
      })
    )
    const [first, ...rest] = drafts
    const results = yield* same(
      "insert",
      MessageRepo.use((repo) => repo.insert([first!, ...rest]))
    )
    drafts.forEach((made, i) => {
      if (results?.[i]?._tag !== "Inserted") return
      for (const { id, orderingKey } of made.deliveries) {
        deliveries.push(id)
        if (typeof orderingKey === "string") keys.set(id, orderingKey)
      }
    })
  })

  const settleOne = Effect.fnUntraced(function* (id: DeliveryId) {
    const found = yield* same("find", find(id))
    if (found === undefined || found._tag === "None") return []
    const { attempts, webhookId } = found.value
    const outcome: Partial<Attempt> = yield* pick([
      {},
      {},
      exhausted,
      failed(70_000),
      failed(20_000)
    ])
    const [due] = (yield* pull(webhookId)).deliveries.filter((one) => one.id === id)
    // Now and then an attempt of a round that is over, or of one that has not begun.
    const tries = (due?.tries ?? 0) + 1 + ((yield* chance(10)) ? 1 : 0)
    const number = attempts + 1
    const more = (yield* chance(30)) ? { health: health(++version) } : {}
    const stop = (yield* chance(3)) ? ({ status: "disabled", reason: "failing" } as const) : null
    const key = keys.get(id)
    const blocks = outcome === exhausted && (yield* chance(50))
    const order = key === undefined || outcome.settled === null ? {} : { order: { key, blocks } }
    const rest = { tries, stop, ...more, ...order }
    return [yield* settlement({ id, tenantId: tenant, webhookId }, { ...outcome, number }, rest)]
  })

  const settleSome = Effect.gen(function* () {
    const chosen = new Set<DeliveryId>()
    for (let i = 0; i < 4; i++) chosen.add(yield* pick(deliveries))
    const made = (yield* Effect.forEach(chosen, settleOne)).flat()
    const replayed = settled.length > 0 && (yield* chance(30)) ? [yield* pick(settled)] : []
    const fresh = made.filter(({ attempt }) =>
      replayed.every((old) => old.attempt.deliveryId !== attempt.deliveryId)
    )
    const [first, ...rest] = [...fresh, ...replayed]
    if (first === undefined) return
    settled.push(...fresh)
    yield* same(
      "settle",
      DeliveryLog.use((log) => log.settle([first, ...rest]))
    )
  })

  const moveOne = Effect.gen(function* () {
    const id = yield* pick(deliveries)
    const queue = yield* pick(["cancel", "redeliver", "redeliver"] as const)
    yield* same(
      queue,
      DeliveryQueue.use((service) => service[queue](tenant, id))
    )
  })

  const parkSome = Effect.gen(function* () {
    const ids = [yield* pick(deliveries), yield* pick(deliveries)]
    const dueAt = yield* Random.nextIntBetween(0, 60_000)
    const rows = [...new Set(ids)].map((id) => ({ id, tenantId: tenant, webhookId: webhooks[0]! }))
    yield* same(
      "park",
      DeliveryQueue.use((queue) => queue.park(rows, dueAt))
    )
  })

  const turnWebhook = Effect.gen(function* () {
    const id = yield* pick(webhooks)
    const status = yield* pick(["paused", "enabled", "enabled"] as const)
    if (yield* chance(3)) {
      registered.delete(id)
      const remove = WebhookRepo.use((repo) => Effect.ignore(repo.delete(tenant, id)))
      yield* remove
      yield* Effect.provide(remove, model)
      return
    }
    const turn = WebhookRepo.use((repo) => Effect.ignore(repo.setStatus(tenant, id, status)))
    yield* turn
    yield* Effect.provide(turn, model)
  })

  const recover = same(
    "recover",
    DeliveryQueue.use((queue) => queue.recover)
  )

  const readAll = Effect.gen(function* () {
    yield* same(
      "webhooks",
      WebhookRepo.use((repo) =>
        Effect.map(repo.findMany(webhooks), (found) =>
          found.map(({ disabledReason, health, id, status, updatedAt }) => {
            return { id, status, disabledReason, health, updatedAt }
          })
        )
      )
    )
    yield* same("list", list({}))
    for (const status of DeliveryStatus.literals) {
      yield* same(status, list({ status }))
      yield* same(`${status} of a webhook`, list({ status, webhookId: yield* pick(webhooks) }, 2))
    }
    for (const statusCodeClass of [2, 4, 5]) yield* same("class", list({ statusCodeClass }))
    yield* same("type", list({ type: "a", webhookId: yield* pick(webhooks) }))
    for (const id of deliveries) {
      yield* same("find", find(id))
      yield* same(
        "attempts",
        DeliveryLog.use((log) => log.attempts(tenant, id))
      )
    }
    if (deliveries.length > 0) {
      const messageId = messageOf(yield* pick(deliveries))
      yield* same("message", list({ messageId }))
    }
    for (const webhookId of webhooks) {
      yield* same("pull", pull(webhookId))
      yield* same("pull a little", pull(webhookId, { limit: 2, bytesMax: 60 }))
    }
    const ofTenant = <A extends { readonly webhookId: WebhookId }>(all: ReadonlyArray<A>) =>
      all
        .filter(({ webhookId }) => webhooks.includes(webhookId))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    yield* same(
      "owed",
      Effect.map(
        DeliveryQueue.use((queue) => queue.owed),
        ofTenant
      )
    )
    yield* same(
      "agenda",
      Effect.map(
        DeliveryQueue.use((queue) => queue.agenda),
        ofTenant
      )
    )
    const states = yield* Effect.map(list({}), ({ data }) => data.map(({ id }) => id))
    assert.sameMembers([...states], deliveries, "every delivery is in one state")
  })

  yield* publishSome
  for (let step = 0; step < steps; step++) {
    if (deliveries.length === 0) {
      yield* publishSome
      continue
    }
    const drawn = yield* Random.nextIntBetween(0, 100)
    if (drawn < 20) yield* publishSome
    else if (drawn < 60) yield* settleSome
    else if (drawn < 82) yield* moveOne
    else if (drawn < 90) yield* parkSome
    else if (drawn < 97) yield* turnWebhook
    else yield* recover
    if (step % 10 === 9) {
      yield* TestClock.adjust("1 second")
      yield* readAll
    }
  }
  yield* readAll
  return yield* Effect.map(list({}), ({ data }): ReadonlyArray<Delivery> => data)
})

/** Adds the tests: so many histories are lived through. */
export const suite = (it: Vitest.MethodsNonLive<Stage | SqlClient>, histories: number) => {
  it.effect(
    "a database and memory answer every history alike",
    () =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (let seed = 1; seed <= histories; seed++) {
          const left = yield* history().pipe(
            Effect.provide(Layer.fresh(Ids.layerSeeded)),
            Effect.scoped,
            Random.withSeed(`history ${seed}`),
            Effect.onError(() => Effect.logError(`the history of seed ${seed} differs`))
          )
          left.forEach(({ status }) => seen.add(status))
        }
        // Histories that leave a state out would say little about it.
        assert.sameMembers([...seen], [...DeliveryStatus.literals])
      }),
    60_000
  )
}
