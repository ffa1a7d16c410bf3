/**
 * What every MessageRepo does, wherever it keeps its messages: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import type { Message } from "../../src/domain/Message.ts"
import { decodeCursor, firstPage, type Page, type PageRequest } from "../../src/domain/Page.ts"
import { createdAt, deliveryOf, type TenantId } from "../../src/domain/TypeId.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { Ids } from "../../src/store/Ids.ts"
import { type MessageFilter, MessageRepo } from "../../src/store/MessageRepo.ts"
import { type Draft, draft, publish, Retention, type Stage, tenantWith } from "./Stage.ts"

const everything: MessageFilter = {
  type: null,
  resourceType: null,
  resourceId: null,
  includeBody: false
}

const tags = (results: ReadonlyArray<{ readonly _tag: string }>) => results.map(({ _tag }) => _tag)

const countOf = (tenantId: TenantId) =>
  Effect.gen(function* () {
    const repo = yield* MessageRepo
    const page = yield* repo.list(tenantId, { ...firstPage, limit: 250 }, everything)
    return page.data.length
  })

/** Publishes one message of a new tenant and answers its result, for tests of names. */
const insertOne = Effect.fnUntraced(function* (tenant: TenantId, fields: Draft) {
  const made = yield* draft(tenant, [], fields)
  const [result] = yield* (yield* MessageRepo).insert([made])
  return { message: made.message, result: result! }
})

const pagesOf = Effect.fnUntraced(function* (
  tenant: TenantId,
  first: PageRequest,
  way: "nextCursor" | "prevCursor"
) {
  const repo = yield* MessageRepo
  const pages: Array<ReadonlyArray<string>> = []
  let request: PageRequest | undefined = first
  while (request !== undefined) {
    const page: Page<Message> = yield* repo.list(tenant, request, everything)
    pages.push(page.data.map(({ id }) => id))
    const cursor: string | null = page[way]
    request =
      cursor === null ? undefined : { ...first, cursor: Option.getOrThrow(decodeCursor(cursor)) }
  }
  return pages
})

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stage>) => {
  it.effect("insert keeps a message as it was given, whatever its bytes are", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const made = yield* draft(tenant, webhooks, {
        uid: "order~7",
        type: "order.paid",
        resource: { type: "order", id: `7' "ü" \\` },
        orderingKey: `k' "ü" \\`,
        channels: [`c,' "ü" \\ {}`, "null", "NULL", " b "],
        deliverAt: 4_000,
        expiresAt: 9_000,
        contentType: "text/plain; charset=utf-8",
        body: Uint8Array.from({ length: 512 }, (_, i) => i % 256)
      })
      const repo = yield* MessageRepo
      assert.deepStrictEqual(yield* repo.insert([made]), [{ _tag: "Inserted" }])
      assert.deepStrictEqual(yield* repo.find(tenant, made.message.id), Option.some(made.message))
    })
  )

  it.effect("decisions are kept with their message, and shown to its tenant alone", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const repo = yield* MessageRepo
      const made = yield* draft(tenant, [])
      const decisions = [
        { webhookId: webhooks[0]!, reason: "filter" as const, clause: `/a"\\~1/$gt` },
        { webhookId: webhooks[1]!, reason: "paused" as const, clause: null }
      ]
      const plain = yield* draft(tenant, [])
      yield* repo.insert([{ ...made, decisions }, plain])
      assert.deepStrictEqual(yield* repo.decisions(tenant, made.message.id), decisions)
      assert.deepStrictEqual(yield* repo.decisions(tenant, plain.message.id), [])
      const other = yield* tenantWith(0)
      assert.deepStrictEqual(yield* repo.decisions(other.tenant, made.message.id), [])
    })
  )

  it.effect("insert keeps an empty body and one of several hundred kilobytes", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      for (const length of [0, 400_000]) {
        const body = Uint8Array.from({ length }, (_, i) => (i * 7919) % 251)
        const message = yield* publish(tenant, [], { body })
        const found = Option.getOrThrow(yield* repo.find(tenant, message.id))
        assert.isTrue(Buffer.compare(found.body, body) === 0)
      }
    })
  )

  it.effect("insert lets memory hold deliveries without a due time and the others wait", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(3)
      const queue = yield* DeliveryQueue
      const made = yield* draft(tenant, webhooks)
      const [held, first, second] = made.deliveries
      yield* (yield* MessageRepo).insert([
        { ...made, deliveries: [held!, { ...first!, dueAt: 5_000 }, { ...second!, dueAt: 7_000 }] }
      ])
      const owed = (yield* queue.owed).filter(({ tenantId }) => tenantId === tenant)
      assert.deepStrictEqual(owed, [
        { id: deliveryOf(made.message.id, 1), tenantId: tenant, webhookId: webhooks[0]! }
      ])
      const agenda = (yield* queue.agenda).filter(({ webhookId }) => webhooks.includes(webhookId))
      assert.sameDeepMembers(
        [...agenda],
        [
          { webhookId: webhooks[1]!, dueAt: 5_000 },
          { webhookId: webhooks[2]!, dueAt: 7_000 }
        ]
      )
    })
  )

  it.effect("insert answers each of many messages in its place", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(1)
      const repo = yield* MessageRepo
      yield* insertOne(tenant, { idempotencyKey: "k1", content: "a" })
      yield* insertOne(tenant, { uid: "u1", content: "a" })
      const drafts: ReadonlyArray<Draft> = [
        {},
        { idempotencyKey: "k1", content: "a" },
        { uid: "u2", content: "b" },
        { idempotencyKey: "k1", content: "b" },
        { uid: "u1", content: "b" },
        { idempotencyKey: "k2", uid: "u3" }
      ]
      const [first, ...rest] = yield* Effect.all(drafts.map((one) => draft(tenant, webhooks, one)))
      const results = yield* repo.insert([first!, ...rest])
      assert.deepStrictEqual(tags(results), [
        "Inserted",
        "Existing",
        "Inserted",
        "IdempotencyConflict",
        "UidConflict",
        "Inserted"
      ])
      assert.strictEqual(yield* countOf(tenant), 5)
      const owed = (yield* (yield* DeliveryQueue).owed).filter(
        ({ tenantId }) => tenantId === tenant
      )
      const expected = [first!, rest[1]!, rest[4]!].map(({ message }) => deliveryOf(message.id, 1))
      assert.sameMembers(
        owed.map(({ id }) => id),
        expected
      )
    })
  )

  it.effect("insert answers a repeated key with the first message and writes nothing", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(2)
      const repo = yield* MessageRepo
      const key = { idempotencyKey: "k1", type: "order.paid" }
      const first = yield* publish(tenant, webhooks, key)
      const again = yield* draft(tenant, webhooks, key)
      assert.deepStrictEqual(yield* repo.insert([again]), [
        {
          _tag: "Existing",
          message: {
            id: first.id,
            uid: null,
            type: "order.paid",
            fanOut: 2,
            createdAt: first.createdAt
          }
        }
      ])
      assert.deepStrictEqual(yield* repo.find(tenant, again.message.id), Option.none())
      const owed = (yield* (yield* DeliveryQueue).owed).filter(
        ({ tenantId }) => tenantId === tenant
      )
      assert.strictEqual(owed.length, 2)
    })
  )

  it.effect("insert answers a repeated uid with the first message", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const first = yield* insertOne(tenant, { uid: "u1", fanOut: 3 })
      const { result } = yield* insertOne(tenant, { uid: "u1", idempotencyKey: "new" })
      assert.deepStrictEqual(result, {
        _tag: "Existing",
        message: {
          id: first.message.id,
          uid: "u1",
          type: "invoice.paid",
          fanOut: 3,
          createdAt: first.message.createdAt
        }
      })
    })
  )

  it.effect("insert refuses a key or a uid that came with other content", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      yield* insertOne(tenant, { uid: "u1", idempotencyKey: "k1", content: "a" })
      const tagOf = (fields: Draft) =>
        Effect.map(insertOne(tenant, fields), ({ result }) => result._tag)
      const other = { content: "b" }
      assert.strictEqual(yield* tagOf({ ...other, idempotencyKey: "k1" }), "IdempotencyConflict")
      assert.strictEqual(yield* tagOf({ ...other, uid: "u1" }), "UidConflict")
      assert.strictEqual(
        yield* tagOf({ ...other, uid: "u1", idempotencyKey: "k1" }),
        "IdempotencyConflict"
      )
      assert.strictEqual(yield* tagOf({ ...other, uid: "u1", idempotencyKey: "k2" }), "UidConflict")
      // Asked again under the same key, it is refused for the same reason.
      assert.strictEqual(yield* tagOf({ ...other, uid: "u1", idempotencyKey: "k2" }), "UidConflict")
    })
  )

  it.effect("claim passes for the request that used a key first, and for no other one", () =>
    Effect.gen(function* () {
      const repo = yield* MessageRepo
      const { tenant } = yield* tenantWith(0)
      const id = yield* (yield* Ids).nextMessage
      const claim = (key: string, request: string, tenantId = tenant) =>
        Effect.map(
          Effect.result(repo.claim({ tenantId, key, digest: Buffer.from(request.padEnd(32)), id })),
          (result) => (Result.isSuccess(result) ? "passed" : result.failure._tag)
        )
      const both = yield* Effect.all([claim("k1", "a"), claim("k1", "b")], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(both.sort(), ["IdempotencyConflict", "passed"])
      assert.strictEqual(yield* claim("k2", "a"), "passed")
      assert.strictEqual(yield* claim("k2", "a"), "passed")
      assert.strictEqual(yield* claim("k2", "b"), "IdempotencyConflict")
      assert.strictEqual(yield* claim("k2", "b", (yield* tenantWith(0)).tenant), "passed")
      const { result } = yield* insertOne(tenant, { idempotencyKey: "k2", content: "c" })
      assert.strictEqual(result._tag, "IdempotencyConflict")
    })
  )

  it.effect("insert leaves the uid of a message whose key was refused to others", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      yield* insertOne(tenant, { idempotencyKey: "k1", content: "a" })
      const refused = yield* insertOne(tenant, { idempotencyKey: "k1", uid: "u1", content: "b" })
      assert.strictEqual(refused.result._tag, "IdempotencyConflict")
      const { result } = yield* insertOne(tenant, { uid: "u1", content: "c" })
      assert.strictEqual(result._tag, "Inserted")
    })
  )

  it.effect("insert lets the first of equal names in one call win", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const drafts: ReadonlyArray<Draft> = [
        { idempotencyKey: "z", content: "a" },
        { idempotencyKey: "z", content: "a" },
        { idempotencyKey: "z", content: "b" },
        { uid: "a", content: "a" },
        { uid: "a", content: "a" },
        { uid: "a", content: "b" },
        { idempotencyKey: "z", uid: "free", content: "c" },
        { uid: "free", content: "d" }
      ]
      const [first, ...rest] = yield* Effect.all(drafts.map((one) => draft(tenant, [], one)))
      const results = yield* repo.insert([first!, ...rest])
      assert.deepStrictEqual(tags(results), [
        "Inserted",
        "Existing",
        "IdempotencyConflict",
        "Inserted",
        "Existing",
        "UidConflict",
        "IdempotencyConflict",
        "Inserted"
      ])
      const ids = results.map((result) => (result._tag === "Existing" ? result.message.id : null))
      assert.strictEqual(ids[1], first!.message.id)
      assert.strictEqual(ids[4], rest[2]!.message.id)
    })
  )

  it.effect("insert keeps the names of tenants apart", () =>
    Effect.gen(function* () {
      const names = { uid: "u1", idempotencyKey: "k1" }
      for (let i = 0; i < 2; i++) {
        const { tenant } = yield* tenantWith(0)
        const { result } = yield* insertOne(tenant, { ...names, content: String(i) })
        assert.strictEqual(result._tag, "Inserted")
      }
    })
  )

  it.effect("insert writes one of two messages that name one key at the same time", () =>
    Effect.gen(function* () {
      const { tenant, webhooks } = yield* tenantWith(1)
      const repo = yield* MessageRepo
      const rounds = 25
      for (let i = 0; i < rounds; i++) {
        const name: Draft = i % 2 === 0 ? { idempotencyKey: `k${i}` } : { uid: `u${i}` }
        const drafts = yield* Effect.all([1, 2, 3].map(() => draft(tenant, webhooks, name)))
        const results = yield* Effect.forEach(drafts, (one) => repo.insert([one]), {
          concurrency: "unbounded"
        })
        assert.sameMembers(tags(results.flat()), ["Inserted", "Existing", "Existing"])
        const written = results.findIndex(([result]) => result!._tag === "Inserted")
        for (const result of results.flat()) {
          if (result._tag === "Existing") {
            assert.strictEqual(result.message.id, drafts[written]!.message.id)
          }
        }
      }
      assert.strictEqual(yield* countOf(tenant), rounds)
    })
  )

  it.effect("insert writes calls that name the same keys and uids in opposite orders", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const names = Array.from({ length: 40 }, (_, i) => ({
        idempotencyKey: `k${i}`,
        uid: `u${i}`
      }))
      const calls = yield* Effect.forEach([names, names.toReversed(), names], (order) =>
        Effect.all(order.map((name) => draft(tenant, [], name)))
      )
      const results = yield* Effect.forEach(
        calls,
        ([first, ...rest]) => repo.insert([first!, ...rest]),
        { concurrency: "unbounded" }
      )
      const inserted = tags(results.flat()).filter((tag) => tag === "Inserted")
      assert.strictEqual(inserted.length, names.length)
      assert.strictEqual(yield* countOf(tenant), names.length)
    })
  )

  it.effect("insert answers a repetition after its message is gone", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const retention = yield* Retention
      for (const name of [{ uid: "u1" }, { idempotencyKey: "k1" }]) {
        const first = yield* insertOne(tenant, { ...name, fanOut: 9 })
        yield* retention.forget(first.message.id)
        const { result } = yield* insertOne(tenant, name)
        assert.deepStrictEqual(result, {
          _tag: "Existing",
          message: {
            id: first.message.id,
            uid: first.message.uid,
            type: "invoice.paid",
            fanOut: 0,
            createdAt: createdAt(first.message.id)
          }
        })
      }
    })
  )

  it.effect("insert takes a character that SQL text cannot keep for U+FFFD", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const first = yield* insertOne(tenant, {
        resource: { type: "a\0b", id: "\0" },
        idempotencyKey: "\0"
      })
      assert.strictEqual(first.result._tag, "Inserted")
      const found = Option.getOrThrow(yield* repo.find(tenant, first.message.id))
      assert.deepStrictEqual(found.resource, { type: "a\uFFFDb", id: "\uFFFD" })
      const { result } = yield* insertOne(tenant, { idempotencyKey: "\0" })
      assert.strictEqual(result._tag, "Existing")
    })
  )

  it.effect("expireKeys frees keys that were used before an instant, and no uids", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      yield* TestClock.adjust("1 hour")
      yield* repo.expireKeys(Number.MAX_SAFE_INTEGER)
      const old = yield* insertOne(tenant, { idempotencyKey: "old", uid: "u1" })
      yield* insertOne(tenant, { idempotencyKey: "older", content: "a" })
      yield* TestClock.adjust("1 hour")
      const young = yield* insertOne(tenant, { idempotencyKey: "young" })
      assert.strictEqual(yield* repo.expireKeys(old.message.createdAt), 0)
      assert.strictEqual(yield* repo.expireKeys(young.message.createdAt), 2)
      assert.strictEqual(yield* repo.expireKeys(young.message.createdAt), 0)
      const again = yield* insertOne(tenant, { idempotencyKey: "older", content: "b" })
      assert.strictEqual(again.result._tag, "Inserted")
      for (const name of [{ uid: "u1" }, { idempotencyKey: "young" }]) {
        assert.strictEqual((yield* insertOne(tenant, name)).result._tag, "Existing")
      }
    })
  )

  it.effect("find reads a message by id and by uid, for its tenant only", () =>
    Effect.gen(function* () {
      const mine = yield* tenantWith(0)
      const other = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const { delivery, ...message } = yield* publish(mine.tenant, [], { uid: "u1" })
      for (const ref of [message.id, "u1"]) {
        assert.deepStrictEqual(yield* repo.find(mine.tenant, ref), Option.some(message))
        assert.deepStrictEqual(yield* repo.find(other.tenant, ref), Option.none())
      }
      for (const ref of [delivery, "u2", "", "no uid", "\0", "u1\0"]) {
        assert.deepStrictEqual(yield* repo.find(mine.tenant, ref), Option.none())
      }
    })
  )

  it.effect("list shows a tenant's messages, newest first, without their bodies", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const other = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const first = yield* publish(tenant, [], { resource: { type: "a", id: "1" }, uid: "u1" })
      yield* publish(other.tenant, [])
      const second = yield* publish(tenant, [])
      const expected = [second, first].map((published) => {
        const { delivery, ...message } = published
        assert.strictEqual(delivery, deliveryOf(message.id, 1))
        return message
      })
      const bare = expected.map((message) => ({ ...message, body: new Uint8Array() }))
      const list = (includeBody: boolean) =>
        repo.list(tenant, firstPage, { ...everything, includeBody })
      assert.deepStrictEqual(yield* list(false), {
        data: bare,
        nextCursor: null,
        prevCursor: null
      })
      assert.deepStrictEqual((yield* list(true)).data, expected)
    })
  )

  it.effect("list is walked by cursor in both directions, also among ids of one millisecond", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const published = yield* Effect.all(Array.from({ length: 7 }, () => publish(tenant, [])))
      const newest = published.map(({ id }) => id).toReversed()
      const forth = yield* pagesOf(tenant, { ...firstPage, limit: 3 }, "nextCursor")
      assert.deepStrictEqual(forth, [newest.slice(0, 3), newest.slice(3, 6), newest.slice(6)])
      const back = yield* pagesOf(
        tenant,
        { ...firstPage, limit: 3, cursor: { direction: "newer", id: newest[6]! } },
        "prevCursor"
      )
      assert.deepStrictEqual(back, [newest.slice(3, 6), newest.slice(0, 3)])
    })
  )

  it.effect("list keeps to the time asked for, also with a cursor", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const published = []
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("1 hour")
        published.push(yield* publish(tenant, []))
      }
      const [a, b, c, d] = published
      const idsOf = (request: Partial<PageRequest>) =>
        Effect.map(repo.list(tenant, { ...firstPage, ...request }, everything), ({ data }) =>
          data.map(({ id }) => id)
        )
      const after = { after: b!.createdAt }
      const before = { before: d!.createdAt }
      assert.deepStrictEqual(yield* idsOf(after), [d!.id, c!.id, b!.id])
      assert.deepStrictEqual(yield* idsOf(before), [c!.id, b!.id, a!.id])
      assert.deepStrictEqual(yield* idsOf({ ...after, ...before }), [c!.id, b!.id])
      assert.deepStrictEqual(yield* idsOf({ after: -1, before: 2 ** 60 }), [
        d!.id,
        c!.id,
        b!.id,
        a!.id
      ])
      const older = { direction: "older", id: c!.id } as const
      assert.deepStrictEqual(yield* idsOf({ ...after, cursor: older }), [b!.id])
      const newer = { direction: "newer", id: b!.id } as const
      assert.deepStrictEqual(yield* idsOf({ ...before, cursor: newer }), [c!.id])
    })
  )

  it.effect("list narrows by type, by type of resource, by its id and by all of them", () =>
    Effect.gen(function* () {
      const { tenant } = yield* tenantWith(0)
      const repo = yield* MessageRepo
      const of = (type: string, resource: Draft["resource"] = null) =>
        Effect.map(publish(tenant, [], { type, resource }), ({ id }) => id)
      const plain = yield* of("a")
      const one = yield* of("a", { type: "order", id: "1" })
      const two = yield* of("b", { type: "order", id: "2" })
      const user = yield* of("b", { type: "user", id: "1" })
      const idsOf = (filter: Partial<MessageFilter>) =>
        Effect.map(repo.list(tenant, firstPage, { ...everything, ...filter }), ({ data }) =>
          data.map(({ id }) => id)
        )
      assert.deepStrictEqual(yield* idsOf({ type: "a" }), [one, plain])
      assert.deepStrictEqual(yield* idsOf({ resourceType: "order" }), [two, one])
      assert.deepStrictEqual(yield* idsOf({ resourceId: "1" }), [user, one])
      assert.deepStrictEqual(yield* idsOf({ resourceType: "order", resourceId: "1" }), [one])
      assert.deepStrictEqual(
        yield* idsOf({ type: "b", resourceType: "order", resourceId: "1" }),
        []
      )
    })
  )
}
