/**
 * What every TenantRepo does, wherever it keeps its tenants: a function of the layer under test. The
 * first test needs a ground without the default tenant.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Clock, Effect, Exit, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { decodeCursor, firstPage } from "../../src/domain/Page.ts"
import { type ApiKey, noLimits, type Scope } from "../../src/domain/Tenant.ts"
import { createdAt, type KeyId, type TenantId } from "../../src/domain/TypeId.ts"
import { Ids } from "../../src/store/Ids.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { Ground } from "./Ground.ts"

/** Makes a key and answers it with its record. */
export const createKey = Effect.fnUntraced(function* (
  tenantId: TenantId | null,
  scopes: ReadonlyArray<Scope> = ["publish", "read"],
  expiresAt: number | null = null
) {
  const repo = yield* TenantRepo
  const { key, record } = yield* repo.createKey({ tenantId, name: "a key", scopes, expiresAt })
  return { key: Option.getOrThrow(key), record }
})

const authenticate = Effect.fnUntraced(function* (key: Redacted.Redacted | string) {
  const repo = yield* TenantRepo
  const found = yield* repo.authenticate(typeof key === "string" ? Redacted.make(key) : key)
  return Option.getOrUndefined(found)
})

/** The same key but for its last character. */
const almost = (key: Redacted.Redacted): string => {
  const text = Redacted.value(key)
  return text.slice(0, -1) + (text.endsWith("a") ? "b" : "a")
}

const sameButUse = (actual: ApiKey | undefined, expected: ApiKey) =>
  assert.deepStrictEqual(actual && { ...actual, lastUsedAt: null }, {
    ...expected,
    lastUsedAt: null
  })

/** Waits until the use of a key is noted in the background, and answers when that was. */
export const noted = (id: KeyId, after: number | null) =>
  Effect.gen(function* () {
    const ground = yield* Ground
    while (true) {
      const at = yield* ground.lastUsedAt(id)
      if (at !== after) return at
      yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
    }
  })

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<TenantRepo | Ids | Ground>) => {
  it.effect("ensureDefault makes the default tenant once, whoever comes together", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      assert.isTrue(Option.isNone(yield* repo.find("default")))
      const now = yield* Clock.currentTimeMillis
      const all = yield* Effect.all(
        Array.from({ length: 10 }, () => repo.ensureDefault),
        { concurrency: "unbounded" }
      )
      const [tenant] = all
      assert.deepStrictEqual(
        { ...tenant, name: "" },
        {
          id: tenant!.id,
          uid: "default",
          name: "",
          limits: noLimits,
          createdAt: now,
          updatedAt: now
        }
      )
      for (const other of all) assert.deepStrictEqual(other, tenant)
      // What was not there a moment ago is found at once.
      assert.deepStrictEqual(yield* repo.find("default"), Option.some(tenant))
      assert.deepStrictEqual(yield* repo.find(tenant!.id), Option.some(tenant))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* repo.ensureDefault, tenant)
    })
  )

  it.effect("find finds tenants by id and uid, and nothing else", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const id = yield* (yield* Ground).tenant
      const tenant = yield* repo.ensureDefault
      assert.strictEqual(Option.getOrThrow(yield* repo.find(id)).id, id)
      assert.deepStrictEqual(yield* repo.find(tenant.uid), Option.some(tenant))
      const others = [yield* (yield* Ids).next("tenant"), yield* (yield* Ids).next("webhook")]
      for (const ref of [...others, "Default", "", "%", "\0", "a b", "x".repeat(10_000)]) {
        assert.isTrue(Option.isNone(yield* repo.find(ref)), ref)
      }
    })
  )

  it.effect("find answers from memory for 5 seconds at most", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const ground = yield* Ground
      const id = yield* ground.tenant
      const name = Effect.map(repo.find(id), (found) => Option.getOrThrow(found).name)
      const before = yield* name
      yield* ground.rename(id, "renamed")
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* name, before)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* name, "renamed")
    })
  )

  it.effect("createKey makes a key that authenticates as what it was made for", () =>
    Effect.gen(function* () {
      const tenantId = yield* (yield* Ground).tenant
      const now = yield* Clock.currentTimeMillis
      for (const owner of [tenantId, null]) {
        const { key, record } = yield* createKey(owner, ["manage", "admin"], now + 60_000)
        const text = Redacted.value(key)
        assert.match(text, /^phk_[0-9A-Za-z]{43}$/)
        assert.deepStrictEqual(record, {
          id: record.id,
          tenantId: owner,
          name: "a key",
          prefix: text.slice(0, 12),
          scopes: ["manage", "admin"],
          createdAt: now,
          lastUsedAt: null,
          expiresAt: now + 60_000
        })
        assert.strictEqual(createdAt(record.id), now)
        sameButUse(yield* authenticate(key), record)
      }
    })
  )

  it.effect("createKey stores nothing that a key could be told from, and repeats none", () =>
    Effect.gen(function* () {
      const tenantId = yield* (yield* Ground).tenant
      const keys = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.map(createKey(tenantId), ({ key }) => Redacted.value(key))
      )
      assert.strictEqual(new Set(keys).size, keys.length)
      const stored = yield* (yield* Ground).keysText
      for (const key of keys) {
        assert.include(stored, key.slice(0, 12))
        assert.notInclude(stored, key.slice(0, 16))
        assert.notInclude(stored, key.slice(12))
      }
    })
  )

  it.effect("authenticate finds no key that was not made", () =>
    Effect.gen(function* () {
      const { key, record } = yield* createKey(yield* (yield* Ground).tenant)
      const text = Redacted.value(key)
      const wrong = [
        "",
        "phk_",
        almost(key),
        text.slice(0, -1),
        text + "a",
        ` ${text}`,
        text.toUpperCase(),
        record.id,
        record.prefix,
        "\0",
        "🔑",
        "x".repeat(100_000)
      ]
      for (const other of wrong) assert.isUndefined(yield* authenticate(other), other)
      sameButUse(yield* authenticate(text), record)
    })
  )

  it.effect("authenticate refuses a key at its end, although it is still in memory", () =>
    Effect.gen(function* () {
      const tenantId = yield* (yield* Ground).tenant
      const now = yield* Clock.currentTimeMillis
      const { key, record } = yield* createKey(tenantId, ["read"], now + 2_000)
      yield* TestClock.adjust("1999 millis")
      sameButUse(yield* authenticate(key), record)
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(yield* authenticate(key))
      const past = yield* createKey(tenantId, ["read"], now)
      assert.isUndefined(yield* authenticate(past.key))
    })
  )

  it.effect("authenticate refuses a revoked key after 5 seconds at most", () =>
    Effect.gen(function* () {
      const ground = yield* Ground
      const { key, record } = yield* createKey(yield* ground.tenant)
      sameButUse(yield* authenticate(key), record)
      yield* ground.revoke(record.id)
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(yield* authenticate(key))
    })
  )

  it.effect("importKey stores a key once and answers it as it is", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const key = Redacted.make("phk_imported-by-a-setting-0123456789")
      assert.isUndefined(yield* authenticate(key))
      const input = { key, tenantId: null, name: "imported", scopes: ["admin"] } as const
      const [first, ...others] = yield* Effect.all(
        Array.from({ length: 5 }, () => repo.importKey(input)),
        { concurrency: "unbounded" }
      )
      // What was refused a moment ago opens at once.
      sameButUse(yield* authenticate(key), first!)
      assert.deepStrictEqual(
        { ...first, id: null, createdAt: null },
        {
          id: null,
          tenantId: null,
          name: "imported",
          prefix: "phk_imported",
          scopes: ["admin"],
          createdAt: null,
          lastUsedAt: null,
          expiresAt: null
        }
      )
      for (const other of others) assert.deepStrictEqual(other, first)
      const changed = yield* repo.importKey({ ...input, name: "other", scopes: ["read"] })
      sameButUse(changed, first!)
    })
  )

  it.effect("importKey shows a third of a short key at most", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const key = Redacted.make("hunter2-xyz")
      const { prefix } = yield* repo.importKey({ key, tenantId: null, name: "", scopes: ["read"] })
      assert.strictEqual(prefix, "hun")
      assert.notInclude(yield* (yield* Ground).keysText, "hunt")
    })
  )

  it.effect(
    "adminKeys counts the keys of no tenant with the scope admin that are not past their end",
    () =>
      Effect.gen(function* () {
        const repo = yield* TenantRepo
        const tenantId = yield* (yield* Ground).tenant
        const before = yield* repo.adminKeys
        const end = (yield* Clock.currentTimeMillis) + 1_000
        yield* createKey(null, ["admin"])
        yield* createKey(null, ["read", "admin"], end)
        yield* createKey(tenantId, ["read", "admin"])
        yield* createKey(tenantId, ["publish", "read", "manage"])
        yield* createKey(null, [])
        assert.strictEqual(yield* repo.adminKeys, before + 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* repo.adminKeys, before + 1)
      })
  )

  it.effect("the last use of a key is noted once a minute at most", () =>
    Effect.gen(function* () {
      const ground = yield* Ground
      const tenantId = yield* ground.tenant
      const { key, record } = yield* createKey(tenantId)
      const other = yield* createKey(tenantId)
      const first = yield* Clock.currentTimeMillis
      yield* authenticate(key)
      assert.strictEqual(yield* noted(record.id, null), first)
      for (const step of ["1 second", "20 seconds", "38999 millis"] as const) {
        yield* TestClock.adjust(step)
        assert.isDefined(yield* authenticate(key))
      }
      // By the time that a later use is noted, an earlier one would be.
      yield* authenticate(other.key)
      yield* noted(other.record.id, null)
      assert.strictEqual(yield* ground.lastUsedAt(record.id), first)
      yield* TestClock.adjust("1 millis")
      const second = yield* Clock.currentTimeMillis
      yield* authenticate(key)
      assert.strictEqual(yield* noted(record.id, first), second)
      assert.strictEqual(second, first + 60_000)
    })
  )

  it.effect("create makes a tenant that is found by id and uid, once for each uid", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const now = yield* Clock.currentTimeMillis
      assert.isTrue(Option.isNone(yield* repo.find("acme")))
      const tenant = yield* repo.create({ uid: "acme", name: "Acme", idempotency: null })
      assert.deepStrictEqual(tenant, {
        id: tenant.id,
        uid: "acme",
        name: "Acme",
        limits: noLimits,
        createdAt: now,
        updatedAt: now
      })
      assert.deepStrictEqual(yield* repo.find("acme"), Option.some(tenant))
      assert.deepStrictEqual(yield* repo.find(tenant.id), Option.some(tenant))
      const again = repo.create({ uid: "acme", name: null, idempotency: null })
      assert.strictEqual((yield* Effect.flip(again))._tag, "TenantUidTaken")
      const plain = yield* repo.create({ uid: null, name: null, idempotency: null })
      assert.deepStrictEqual([plain.uid, plain.name], [plain.id, plain.id])
    })
  )

  it.effect("create answers a repeated idempotency key with the first tenant", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const idempotency = { key: "make-beta", digest: new Uint8Array([1]) }
      const create = (digest: number) =>
        repo.create({
          uid: "beta",
          name: null,
          idempotency: { ...idempotency, digest: new Uint8Array([digest]) }
        })
      const first = yield* create(1)
      assert.deepStrictEqual(yield* create(1), first)
      assert.strictEqual((yield* Effect.flip(create(2)))._tag, "IdempotencyConflict")
      yield* repo.retire(first.id)
      assert.strictEqual((yield* Effect.flip(create(1)))._tag, "IdempotencyConflict")
    })
  )

  it.effect("limits are kept as they are given, changed one by one, and told at once", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const limits = { messagesPerSecond: 7 }
      const one = yield* repo.create({ uid: null, name: null, limits, idempotency: null })
      assert.deepStrictEqual(one.limits, { webhooks: null, messagesPerSecond: 7 })
      assert.strictEqual(repo.messagesPerSecond(one.id), 7)
      assert.deepStrictEqual(yield* repo.find(one.id), Option.some(one))

      const both = yield* repo.update(one.id, { limits: { webhooks: 0 } })
      assert.deepStrictEqual(both.limits, { webhooks: 0, messagesPerSecond: 7 })
      const named = yield* repo.update(one.id, { name: "named" })
      assert.deepStrictEqual(named.limits, both.limits)
      assert.deepStrictEqual(yield* repo.find(one.id), Option.some(named))
      yield* repo.update(one.id, { limits: { messagesPerSecond: 8 } })
      assert.strictEqual(repo.messagesPerSecond(one.id), 8)
      const freed = yield* repo.update(one.id, { limits: noLimits })
      assert.deepStrictEqual(freed.limits, noLimits)
      assert.isNull(repo.messagesPerSecond(one.id))

      const other = yield* repo.create({ uid: null, name: null, idempotency: null })
      assert.isNull(repo.messagesPerSecond(other.id))
      yield* repo.update(other.id, { limits })
      assert.strictEqual(repo.messagesPerSecond(other.id), 7)
      yield* repo.retire(other.id)
      assert.isNull(repo.messagesPerSecond(other.id))
    })
  )

  it.effect("the last change of a limit is the one that is told, however many come at once", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const { id } = yield* repo.create({ uid: null, name: null, idempotency: null })
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n + 1),
        (messagesPerSecond) => repo.update(id, { limits: { messagesPerSecond } }),
        { concurrency: "unbounded", discard: true }
      )
      // What was answered last is what stands in the store, and what memory tells.
      yield* TestClock.adjust("5 seconds")
      const { limits } = Option.getOrThrow(yield* repo.find(id))
      assert.strictEqual(repo.messagesPerSecond(id), limits.messagesPerSecond)
    })
  )

  it.effect("update is in force at once, under the old uid and the new one", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const tenant = yield* repo.create({ uid: "before", name: "Name", idempotency: null })
      yield* repo.find("before")
      assert.isTrue(Option.isNone(yield* repo.find("after")))
      yield* TestClock.adjust("1 second")
      const updated = yield* repo.update(tenant.id, { uid: "after" })
      assert.deepStrictEqual(updated, {
        ...tenant,
        uid: "after",
        updatedAt: tenant.updatedAt + 1_000
      })
      assert.isTrue(Option.isNone(yield* repo.find("before")))
      assert.deepStrictEqual(yield* repo.find("after"), Option.some(updated))
      yield* repo.create({ uid: "taken", name: null, idempotency: null })
      const taken = yield* Effect.flip(repo.update(tenant.id, { uid: "taken" }))
      assert.strictEqual(taken._tag, "TenantUidTaken")
      const home = yield* repo.ensureDefault
      const moved = yield* Effect.flip(repo.update(home.id, { uid: "elsewhere" }))
      assert.strictEqual(moved._tag, "DefaultTenantStays")
      assert.strictEqual((yield* repo.update(home.id, { name: "Home" })).name, "Home")
    })
  )

  it.effect("list walks tenants, newest first, in pages", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const created: Array<TenantId> = []
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("1 milli")
        created.unshift((yield* repo.create({ uid: null, name: null, idempotency: null })).id)
      }
      const first = yield* repo.list({ ...firstPage, limit: 3 })
      assert.deepStrictEqual(
        first.data.map(({ id }) => id),
        created.slice(0, 3)
      )
      const cursor = Option.getOrNull(decodeCursor(first.nextCursor!))
      const second = yield* repo.list({ ...firstPage, limit: 2, cursor })
      assert.deepStrictEqual(
        second.data.map(({ id }) => id),
        created.slice(3)
      )
    })
  )

  it.effect("retire hides a tenant, frees its uid and ends its keys at once", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const tenant = yield* repo.create({ uid: "gone", name: null, idempotency: null })
      const { key } = yield* createKey(tenant.id)
      assert.isDefined(yield* authenticate(key))
      yield* repo.find("gone")
      yield* repo.retire(tenant.id)
      assert.isUndefined(yield* authenticate(key))
      for (const ref of [tenant.id, "gone"]) {
        assert.isTrue(Option.isNone(yield* repo.find(ref)))
      }
      const { data } = yield* repo.list({ ...firstPage, limit: 250 })
      assert.isFalse(data.some(({ id }) => id === tenant.id))
      assert.include(yield* repo.retired, tenant.id)
      assert.strictEqual((yield* Effect.flip(repo.retire(tenant.id)))._tag, "TenantNotFound")
      const renamed = yield* Effect.flip(repo.update(tenant.id, { name: "x" }))
      assert.strictEqual(renamed._tag, "TenantNotFound")
      const next = yield* repo.create({ uid: "gone", name: null, idempotency: null })
      assert.notStrictEqual(next.id, tenant.id)
      yield* repo.purge(tenant.id)
      assert.notInclude(yield* repo.retired, tenant.id)
      yield* repo.purge(next.id)
      assert.deepStrictEqual(yield* repo.find(next.id), Option.some(next))
      const home = yield* repo.ensureDefault
      assert.strictEqual((yield* Effect.flip(repo.retire(home.id)))._tag, "DefaultTenantStays")
    })
  )

  it.effect("keys are listed, changed and revoked by their owner alone, at once", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const ground = yield* Ground
      const [one, two] = [yield* ground.tenant, yield* ground.tenant]
      const { key, record } = yield* createKey(one)
      yield* TestClock.adjust("1 milli")
      const second = yield* createKey(one)
      const page = yield* repo.listKeys(one, firstPage)
      assert.deepStrictEqual(page.data, [second.record, record])
      assert.deepStrictEqual((yield* repo.listKeys(two, firstPage)).data, [])
      assert.deepStrictEqual(yield* repo.getKey(one, record.id), record)
      for (const owner of [two, null]) {
        for (const asked of [
          repo.getKey(owner, record.id),
          repo.updateKey(owner, record.id, { name: "x" }),
          repo.revokeKey(owner, record.id)
        ]) {
          const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(asked)
          assert.strictEqual(error._tag, "KeyNotFound")
        }
      }
      assert.isDefined(yield* authenticate(key))
      const expiresAt = (yield* Clock.currentTimeMillis) + 1_000
      const changed = yield* repo.updateKey(one, record.id, { name: "old", expiresAt })
      assert.strictEqual(changed.name, "old")
      assert.strictEqual((yield* authenticate(key))?.name, "old")
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* authenticate(key))
      assert.isDefined(yield* authenticate(second.key))
      yield* repo.revokeKey(one, second.record.id)
      assert.isUndefined(yield* authenticate(second.key))
    })
  )

  it.effect("createKey answers a repeated idempotency key without the key", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      for (const tenantId of [yield* (yield* Ground).tenant, null]) {
        const create = (digest: number) =>
          repo.createKey({
            tenantId,
            name: "once",
            scopes: ["read"],
            expiresAt: null,
            idempotency: { key: "make-key", digest: new Uint8Array([digest]) }
          })
        const first = yield* create(1)
        const again = yield* create(1)
        assert.deepStrictEqual(again, { record: first.record, key: Option.none() })
        assert.strictEqual((yield* Effect.flip(create(2)))._tag, "IdempotencyConflict")
        yield* repo.revokeKey(tenantId, first.record.id)
        assert.strictEqual((yield* Effect.flip(create(1)))._tag, "IdempotencyConflict")
      }
    })
  )

  it.effect("the last admin key without an end can be neither revoked nor given one", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const soon = (yield* Clock.currentTimeMillis) + 60_000
      const one = yield* createKey(null, ["admin"])
      for (const { expiresAt, id } of (yield* repo.listKeys(null, { ...firstPage, limit: 250 }))
        .data)
        if (expiresAt === null && id !== one.record.id) yield* repo.revokeKey(null, id)
      yield* createKey(null, ["admin"], soon)
      yield* createKey(yield* (yield* Ground).tenant, ["admin"])
      for (const asked of [
        repo.revokeKey(null, one.record.id),
        repo.updateKey(null, one.record.id, { expiresAt: soon })
      ]) {
        const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(asked)
        assert.strictEqual(error._tag, "LastAdminKey")
      }
      yield* repo.updateKey(null, one.record.id, { name: "renamed" })
      const two = yield* createKey(null, ["admin"])
      // Of two that are revoked together one stays.
      const results = yield* Effect.forEach(
        [one, two],
        ({ record }) => Effect.exit(repo.revokeKey(null, record.id)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(Exit.isSuccess).length, 1)
      yield* createKey(null, ["admin"])
    })
  )
}
