/**
 * What every AuditLog does, and what the stores write into it: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Result } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import type { AuditChange, Origin } from "../../src/domain/AuditEntry.ts"
import { firstPage, decodeCursor } from "../../src/domain/Page.ts"
import { mask } from "../../src/domain/Mask.ts"
import type { TenantId } from "../../src/domain/TypeId.ts"
import { Acting } from "../../src/store/Acting.ts"
import { AuditLog } from "../../src/store/AuditLog.ts"
import { EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground } from "./Ground.ts"
import * as Stage from "./Stage.ts"

/** What the suite needs. */
export type Stores = AuditLog | WebhookRepo | TenantRepo | EventTypeRepo | HoldRepo | Ids | Ground

/** The stores that write into it, over a database. */
export const inSql = Layer.mergeAll(
  WebhookRepo.layer,
  TenantRepo.layer,
  EventTypeRepo.layer,
  HoldRepo.layer
)

/** The same in Maps. */
export const inMemory = Layer.mergeAll(
  WebhookRepo.layerMemory,
  TenantRepo.layerMemory,
  EventTypeRepo.layerMemory,
  HoldRepo.layerMemory
)

const all = { action: null, target: null, actor: null }

const origin: Origin = {
  actor: { keyId: null, name: "somebody" },
  ip: "192.0.2.1",
  requestId: "req_1"
}

const inName = <A, E, R>(effect: Effect.Effect<A, E, R>, by: Origin = origin) =>
  Effect.provideService(effect, Acting, by)

const entriesOf = Effect.fnUntraced(function* (tenantId: TenantId | null, filter = {}) {
  const { data } = yield* (yield* AuditLog).list(tenantId, firstPage, { ...all, ...filter })
  return data
})

const toldOf = (tenantId: TenantId | null) =>
  Effect.map(entriesOf(tenantId), (entries) =>
    entries.map(({ action, after, before }) => [action, before, after]).toReversed()
  )

/** A webhook whose URL holds a credential. */
const newWebhook = Effect.fnUntraced(function* (tenantId: TenantId) {
  const made = yield* Stage.newWebhook(tenantId)
  return { ...made, fields: { ...made.fields, url: "https://example.com/hook?token=canary" } }
})

const fields = {
  displayName: "a.b",
  description: null,
  schema: null,
  example: "\0\ud800",
  archived: false
}

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<Stores>) => {
  it.effect("what nobody does is done and not written down", () =>
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const change: AuditChange = {
        action: "tenant.updated",
        tenantId: null,
        target: "nobody",
        before: null,
        after: null
      }
      const target = { target: "nobody" }
      assert.strictEqual(yield* audit.changing(Effect.succeed(1), () => change), 1)
      assert.deepStrictEqual(yield* entriesOf(null, target), [])
      yield* inName(audit.changing(Effect.succeed(1), () => null))
      yield* Effect.flip(inName(audit.changing(Effect.fail("refused"), () => change)))
      assert.deepStrictEqual(yield* entriesOf(null, target), [])
      yield* inName(audit.changing(Effect.succeed(1), () => change))
      assert.lengthOf(yield* entriesOf(null, target), 1)
    })
  )

  it.effect("an entry says who did it, when, from where and in which request", () =>
    Effect.gen(function* () {
      const tenantId = yield* (yield* Ground).tenant
      const keyId = yield* (yield* Ids).next("key")
      yield* TestClock.setTime(1_000_000)
      const webhook = yield* newWebhook(tenantId)
      const by = { ...origin, actor: { keyId, name: "key" } }
      yield* inName((yield* WebhookRepo).create(webhook), by)
      const [entry] = yield* entriesOf(tenantId)
      const { action, actor, after, at, ip, requestId, target } = entry!
      assert.deepStrictEqual(
        { action, actor, at, ip, requestId, target, tenantId: entry!.tenantId },
        { action: "webhook.created", ...by, at: 1_000_000, target: webhook.id, tenantId }
      )
      assert.strictEqual(entry!.before, null)
      assert.strictEqual(after?.["url"], `https://example.com/hook?token=${mask}`)
      assert.strictEqual(after?.["secret"], mask)
    })
  )

  it.effect("webhooks tell what people do to them, and what changed", () =>
    Effect.gen(function* () {
      const webhooks = yield* WebhookRepo
      const ids = yield* Ids
      const tenantId = yield* (yield* Ground).tenant
      const { id } = yield* webhooks.create(yield* newWebhook(tenantId))
      const rotation = {
        id: yield* ids.next("secret"),
        key: Redacted.make(yield* ids.bytes(32)),
        graceMs: 0
      }
      yield* inName(
        Effect.gen(function* () {
          yield* webhooks.update(tenantId, id, { name: "a", url: "https://example.com/b" })
          yield* webhooks.update(tenantId, id, { name: "a" })
          yield* webhooks.setStatus(tenantId, id, "paused")
          yield* webhooks.setStatus(tenantId, id, "paused")
          yield* webhooks.setStatus(tenantId, id, "enabled")
          yield* webhooks.rotateSecret(tenantId, id, rotation)
          yield* webhooks.reveal(tenantId, id)
          yield* Effect.flip(webhooks.update(tenantId, id, () => Result.fail("refused")))
          yield* webhooks.delete(tenantId, id)
          yield* Effect.flip(webhooks.delete(tenantId, id))
          yield* Effect.flip(webhooks.reveal(tenantId, id))
        })
      )
      const told = yield* toldOf(tenantId)
      assert.deepStrictEqual(told.slice(0, -1), [
        [
          "webhook.updated",
          { name: null, url: `https://example.com/hook?token=${mask}` },
          { name: "a", url: "https://example.com/b" }
        ],
        ["webhook.paused", { status: "enabled" }, { status: "paused" }],
        ["webhook.resumed", { status: "paused" }, { status: "enabled" }],
        ["webhook.secret_rotated", { secret: mask }, { secret: mask }],
        ["webhook.secret_viewed", null, null]
      ])
      const [action, before, after] = told.at(-1)!
      assert.deepStrictEqual([action, after], ["webhook.deleted", null])
      assert.deepInclude(before, { name: "a", status: "enabled" })
    })
  )

  it.effect("catalogues tell of types and of the policy", () =>
    Effect.gen(function* () {
      const eventTypes = yield* EventTypeRepo
      const tenantId = yield* (yield* Ground).tenant
      yield* inName(
        Effect.gen(function* () {
          yield* eventTypes.create(tenantId, "a.b", fields, null)
          yield* Effect.flip(eventTypes.create(tenantId, "a.b", fields, null))
          for (const archived of [true, true]) {
            yield* eventTypes.update(tenantId, "a.b", (one) => Result.succeed({ ...one, archived }))
          }
          yield* eventTypes.setUnknown(tenantId, "refuse")
          yield* eventTypes.setUnknown(tenantId, "refuse")
          yield* eventTypes.delete(tenantId, "a.b")
          yield* Effect.flip(eventTypes.delete(tenantId, "a.b"))
        })
      )
      assert.deepStrictEqual(yield* toldOf(tenantId), [
        ["event_type.created", null, fields],
        ["event_type.updated", { archived: false }, { archived: true }],
        ["event_type_policy.updated", { unknown: "allow" }, { unknown: "refuse" }],
        ["event_type.deleted", { ...fields, archived: true }, null]
      ])
    })
  )

  it.effect("tenants and keys tell of themselves, and a tenant that is gone of its end alone", () =>
    Effect.gen(function* () {
      const tenants = yield* TenantRepo
      const made = yield* inName(
        Effect.gen(function* () {
          const digest = new Uint8Array(32)
          const idempotency = { key: `same ${yield* (yield* Ids).next("tenant")}`, digest }
          const tenant = yield* tenants.create({ uid: null, name: "a", idempotency })
          yield* tenants.create({ uid: null, name: "a", idempotency })
          yield* tenants.update(tenant.id, { name: "b" })
          yield* tenants.update(tenant.id, { name: "b" })
          yield* tenants.update(tenant.id, { limits: { webhooks: 5 } })
          const input = {
            tenantId: tenant.id,
            name: "k",
            scopes: ["read"],
            expiresAt: null
          } as const
          const { record } = yield* tenants.createKey({ ...input, idempotency })
          yield* tenants.createKey({ ...input, idempotency })
          yield* tenants.updateKey(tenant.id, record.id, { expiresAt: 1_000 })
          yield* tenants.updateKey(tenant.id, record.id, {})
          yield* tenants.revokeKey(tenant.id, record.id)
          yield* Effect.flip(tenants.revokeKey(tenant.id, record.id))
          return { tenant, record }
        })
      )
      const { id, uid } = made.tenant
      const limits = { webhooks: null, messagesPerSecond: null }
      const key = { name: "k", prefix: made.record.prefix, scopes: ["read"] }
      const end = "1970-01-01T00:00:01.000Z"
      assert.deepStrictEqual(yield* toldOf(id), [
        ["tenant.created", null, { uid, name: "a", limits }],
        ["tenant.updated", { name: "a" }, { name: "b" }],
        ["tenant.updated", { limits }, { limits: { ...limits, webhooks: 5 } }],
        ["key.created", null, { ...key, expiresAt: null }],
        ["key.updated", { expiresAt: null }, { expiresAt: end }],
        ["key.revoked", { ...key, expiresAt: end }, null]
      ])
      yield* inName(tenants.retire(id))
      yield* Effect.flip(inName(tenants.retire(id)))
      assert.lengthOf(yield* toldOf(id), 7)
      yield* tenants.purge(id)
      assert.deepStrictEqual(yield* toldOf(id), [
        ["tenant.deleted", { uid, name: "b", limits: { ...limits, webhooks: 5 } }, null]
      ])
    })
  )

  it.effect("a key that is imported again is told of once", () =>
    Effect.gen(function* () {
      const tenants = yield* TenantRepo
      const key = yield* tenants.newKey
      const input = { key, tenantId: null, name: "imported", scopes: ["admin"] } as const
      const first = yield* inName(tenants.importKey(input))
      yield* inName(tenants.importKey(input))
      const told = yield* entriesOf(null, { target: first.id })
      assert.deepStrictEqual(
        told.map(({ action, tenantId }) => [action, tenantId]),
        [["key.created", null]]
      )
    })
  )

  it.effect("the hold of all sending is of no tenant", () =>
    Effect.gen(function* () {
      const holds = yield* HoldRepo
      yield* holds.release
      yield* TestClock.setTime(2_000)
      yield* inName(
        Effect.gen(function* () {
          yield* holds.release
          yield* holds.hold("flood")
          yield* holds.hold(null)
          yield* holds.hold("other")
          yield* holds.release
        })
      )
      const since = "1970-01-01T00:00:02.000Z"
      const told = yield* entriesOf(null, { target: "hold" })
      assert.deepStrictEqual(
        told.toReversed().map(({ action, after, before }) => [action, before, after]),
        [
          ["hold.started", null, { reason: "flood", since }],
          ["hold.updated", { reason: "flood" }, { reason: "other" }],
          ["hold.released", { reason: "other", since }, null]
        ]
      )
      assert.isTrue(told.every(({ tenantId }) => tenantId === null))
    })
  )

  it.effect("a list is of one tenant or of all, goes page by page, and is narrowed", () =>
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const ids = yield* Ids
      const ground = yield* Ground
      const [one, other] = [yield* ground.tenant, yield* ground.tenant]
      const keyId = yield* ids.next("key")
      const write = (tenantId: TenantId, n: number, by: Origin) =>
        inName(
          audit.changing(Effect.void, () => ({
            action: n % 2 === 0 ? "key.created" : "key.updated",
            tenantId,
            target: `target ${n}`,
            before: null,
            after: { n }
          })),
          by
        )
      yield* TestClock.setTime(5_000_000)
      for (let n = 0; n < 5; n++) {
        yield* write(one, n, origin)
        yield* write(other, n, { ...origin, actor: { keyId, name: "key" } })
        yield* TestClock.adjust(1)
      }
      const numbers = Effect.fnUntraced(function* (tenantId: TenantId | null, filter = {}) {
        const found = yield* entriesOf(tenantId, filter)
        return found.map(({ after }) => after?.["n"])
      })
      assert.deepStrictEqual(yield* numbers(one), [4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* numbers(one, { action: "key.created" }), [4, 2, 0])
      assert.deepStrictEqual(yield* numbers(one, { target: "target 3" }), [3])
      assert.deepStrictEqual(yield* numbers(one, { actor: "operator" }), [4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* numbers(one, { actor: keyId }), [])
      assert.deepStrictEqual(yield* numbers(null, { actor: keyId }), [4, 3, 2, 1, 0])

      const request = { ...firstPage, limit: 2 }
      const first = yield* audit.list(one, request, all)
      const cursor = decodeCursor(first.nextCursor!)
      const next = yield* audit.list(one, { ...request, cursor: Option.getOrThrow(cursor) }, all)
      assert.deepStrictEqual(
        [...first.data, ...next.data].map(({ target }) => target),
        [4, 3, 2, 1].map((n) => `target ${n}`)
      )
      const between = { ...firstPage, after: 5_000_001, before: 5_000_003 }
      const some = yield* audit.list(one, between, all)
      assert.deepStrictEqual(
        some.data.map(({ at }) => at),
        [5_000_002, 5_000_001]
      )
    })
  )

  it.effect("entries go when they are old", () =>
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const tenantId = yield* (yield* Ground).tenant
      yield* TestClock.setTime(9_000_000)
      yield* audit.expire(9_000_000)
      const write = inName(
        audit.changing(Effect.void, () => ({
          action: "key.updated",
          tenantId,
          target: "key",
          before: null,
          after: null
        }))
      )
      yield* Effect.repeat(write, { times: 2 })
      yield* TestClock.adjust("1 minute")
      yield* write
      assert.strictEqual(yield* audit.expire(9_000_000 - 1), 0)
      assert.strictEqual(yield* audit.expire(9_060_000), 3)
      assert.lengthOf(yield* entriesOf(tenantId), 1)
    })
  )
}

/** Adds the tests of what a commit holds. */
export const sqlSuite = (it: Vitest.MethodsNonLive<Stores | SqlClient>) => {
  it.effect("where an entry cannot be written nothing is changed, shown or told", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const webhooks = yield* WebhookRepo
      const tenants = yield* TenantRepo
      const eventTypes = yield* EventTypeRepo
      const holds = yield* HoldRepo
      const tenantId = yield* (yield* Ground).tenant
      const { id } = yield* webhooks.create(yield* newWebhook(tenantId))
      const another = yield* newWebhook(tenantId)
      const told: Array<string> = []
      yield* webhooks.watch(({ _tag }) => Effect.sync(() => void told.push(_tag)))
      yield* holds.release
      yield* sql`alter table audit_entry rename to away`
      for (const change of [
        Stage.tagOf(inName(webhooks.create(another))),
        Stage.tagOf(inName(webhooks.update(tenantId, id, { name: "changed" }))),
        Stage.tagOf(inName(webhooks.delete(tenantId, id))),
        Stage.tagOf(inName(webhooks.reveal(tenantId, id))),
        Stage.tagOf(inName(tenants.create({ uid: `uid-${id}`, name: null, idempotency: null }))),
        Stage.tagOf(inName(tenants.retire(tenantId))),
        Stage.tagOf(
          inName(tenants.createKey({ tenantId, name: "key", scopes: [], expiresAt: null }))
        ),
        Stage.tagOf(inName(eventTypes.create(tenantId, "a.b", fields, null))),
        Stage.tagOf(inName(eventTypes.setUnknown(tenantId, "refuse"))),
        Stage.tagOf(inName(holds.hold("flood")))
      ]) {
        assert.strictEqual(yield* change, "StoreError")
      }
      yield* sql`alter table away rename to audit_entry`
      assert.deepStrictEqual(told, [])
      assert.strictEqual((yield* webhooks.get(tenantId, id)).name, null)
      assert.deepStrictEqual(yield* webhooks.find(tenantId, another.id), Option.none())
      assert.deepStrictEqual(yield* tenants.find(`uid-${id}`), Option.none())
      assert.isTrue(Option.isSome(yield* tenants.find(tenantId)))
      assert.lengthOf((yield* tenants.listKeys(tenantId, firstPage)).data, 0)
      assert.lengthOf((yield* eventTypes.list(tenantId, firstPage)).data, 0)
      assert.strictEqual(yield* eventTypes.unknown(tenantId), "allow")
      assert.deepStrictEqual(yield* holds.find, Option.none())
    })
  )

  it.effect("old entries go, however many", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const audit = yield* AuditLog
      yield* audit.expire(1_000)
      yield* sql`
        insert into audit_entry (id, at, actor_name, action, target)
        select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, to_timestamp(0),
          'somebody', 'key.updated', 'key'
        from generate_series(1, 2001) n`
      assert.strictEqual(yield* audit.expire(0), 0)
      assert.strictEqual(yield* audit.expire(1), 2_001)
      assert.strictEqual(yield* audit.expire(1), 0)
    })
  )

  it.effect("of policies that are set at the same time each tells what it found", () =>
    Effect.gen(function* () {
      const eventTypes = yield* EventTypeRepo
      const tenantId = yield* (yield* Ground).tenant
      yield* inName(
        Effect.forEach(Array.from({ length: 8 }), () => eventTypes.setUnknown(tenantId, "refuse"), {
          concurrency: "unbounded"
        })
      )
      assert.lengthOf(yield* entriesOf(tenantId), 1)
    })
  )
}
