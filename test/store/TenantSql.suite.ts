/**
 * What a TenantRepo does because its tenants are in a database: faults and other processes.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Option, Redacted, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { TestClock } from "effect/testing"
import type { IdempotencyConflict } from "../../src/domain/Message.ts"
import type { AuditLog } from "../../src/store/AuditLog.ts"
import { DefaultLimits } from "../../src/store/DefaultLimits.ts"
import { Ids } from "../../src/store/Ids.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { Ground } from "./Ground.ts"
import { noted } from "./TenantRepo.suite.ts"

/** The repo of another process on the same database. */
const anotherRepo = Effect.map(Layer.build(Layer.fresh(TenantRepo.layer)), (context) =>
  Context.get(context, TenantRepo)
)

const anyKey = { tenantId: null, name: "", scopes: ["read"], expiresAt: null } as const

const lost = new SqlError({
  reason: new ConnectionError({ cause: new Error("cut"), message: "cut", operation: "test" })
})

/** Makes a key and answers it with its record. */
const made = (repo: TenantRepo["Service"]) =>
  Effect.map(repo.createKey(anyKey), ({ key, record }) => ({
    key: Option.getOrThrow(key),
    record
  }))

/** Adds the tests. */
export const suite = (
  it: Vitest.MethodsNonLive<TenantRepo | AuditLog | Ids | Ground | SqlClient>
) => {
  it.effect("processes that start at once have one default tenant and one imported key", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`delete from tenant where uid = 'default'`
      const repos = [yield* anotherRepo, yield* anotherRepo, yield* anotherRepo]
      const together = { concurrency: "unbounded" } as const
      const tenants = yield* Effect.forEach(repos, (repo) => repo.ensureDefault, together)
      assert.strictEqual(new Set(tenants.map(({ id }) => id)).size, 1)
      const imported = { ...anyKey, key: Redacted.make("phk_the-same-in-every-process") }
      const keys = yield* Effect.forEach(repos, (repo) => repo.importKey(imported), together)
      assert.strictEqual(new Set(keys.map(({ id }) => id)).size, 1)
    })
  )

  it.effect("a fault of the store names the method and is not remembered", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const sql = yield* SqlClient
      const fresh = yield* made(repo)
      const tenantId = yield* (yield* Ground).tenant
      yield* sql`alter table api_key rename to away`
      yield* sql`alter table tenant rename to away_too`
      const faults = [
        ["ensureDefault", repo.ensureDefault],
        ["find", repo.find(tenantId)],
        ["createKey", repo.createKey(anyKey)],
        ["importKey", repo.importKey({ ...anyKey, key: Redacted.make("phk_new") })],
        ["adminKeys", repo.adminKeys],
        ["authenticate", repo.authenticate(fresh.key)]
      ] as const
      for (const [name, method] of faults) {
        const error = yield* Effect.flip<unknown, StoreError | IdempotencyConflict, never>(method)
        assert.instanceOf(error, StoreError)
        assert.strictEqual(error.operation, `TenantRepo.${name}`)
        assert.notInclude(String(error), Redacted.value(fresh.key))
      }
      yield* sql`alter table away rename to api_key`
      yield* sql`alter table away_too rename to tenant`
      assert.isTrue(Option.isSome(yield* repo.authenticate(fresh.key)))
      assert.isTrue(Option.isSome(yield* repo.find(tenantId)))
    })
  )

  it.effect("a start reads the limits, and those that say nothing are the installation's", () =>
    Effect.gen(function* () {
      const repo = yield* TenantRepo
      const own = { uid: null, name: null, limits: { messagesPerSecond: 9 }, idempotency: null }
      const { id } = yield* repo.create(own)
      const plain = yield* repo.create({ ...own, limits: { webhooks: 3 } })
      const next = yield* anotherRepo.pipe(
        Effect.provideService(DefaultLimits, { webhooks: 1, messagesPerSecond: 2 })
      )
      assert.strictEqual(next.messagesPerSecond(id), 9)
      assert.strictEqual(next.messagesPerSecond(plain.id), 2)
    })
  )

  it.effect("a change of a limit whose answer was lost is told once the store answers", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      let isAway = true
      const losing: SqlClient = Object.assign(
        (...args: Parameters<SqlClient>) => sql(...args),
        sql,
        {
          withTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
            Effect.tap(sql.withTransaction(work), () => (isAway ? Effect.fail(lost) : Effect.void))
        }
        // The copy has the client's own members, but its call signatures are many.
      ) as unknown as SqlClient
      const repo = yield* Effect.provideService(anotherRepo, SqlClient, losing)
      const { id } = yield* (yield* TenantRepo).create({ uid: null, name: null, idempotency: null })
      const limits = { messagesPerSecond: 4 }
      assert.strictEqual((yield* Effect.flip(repo.update(id, { limits })))._tag, "StoreError")
      while (repo.messagesPerSecond(id) !== 4) yield* Effect.yieldNow
      isAway = false
      yield* repo.update(id, { limits: { messagesPerSecond: 5 } })
      assert.strictEqual(repo.messagesPerSecond(id), 5)
    })
  )

  it.effect("a request passes although the use of its key cannot be noted", () =>
    Effect.gen(function* () {
      const repo = yield* anotherRepo
      const sql = yield* SqlClient
      const fresh = yield* made(repo)
      // A sequence keeps count although the update is rolled back.
      yield* sql`create sequence refused`
      yield* sql`
        create function refuse() returns trigger language plpgsql as
        $$ begin perform nextval('refused'); raise exception 'no'; end $$`
      yield* sql`
        create trigger refuse before update on api_key for each row execute function refuse()`
      const found = yield* repo.authenticate(fresh.key)
      assert.isTrue(Option.isSome(found))
      while ((yield* sql`select 1 from refused where is_called`).length === 0)
        yield* Effect.yieldNow
      assert.isTrue(Option.isSome(yield* repo.authenticate(fresh.key)))
      yield* sql`drop trigger refuse on api_key`
      yield* sql`drop function refuse`
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.effect("processes that use one key note it once a minute together", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* anotherRepo, yield* anotherRepo]
      const ground = yield* Ground
      const { key: used, record } = yield* made(one)
      const first = yield* Clock.currentTimeMillis
      yield* one.authenticate(used)
      assert.strictEqual(yield* noted(record.id, null), first)
      // Both remember for five seconds that the use was noted at first.
      yield* TestClock.adjust("57 seconds")
      yield* one.authenticate(used)
      yield* two.authenticate(used)
      yield* TestClock.adjust("3 seconds")
      yield* one.authenticate(used)
      assert.strictEqual(yield* noted(record.id, first), first + 60_000)
      yield* TestClock.adjust("1 second")
      yield* two.authenticate(used)
      const later = yield* made(two)
      yield* two.authenticate(later.key)
      yield* noted(later.record.id, null)
      assert.strictEqual(yield* ground.lastUsedAt(record.id), first + 60_000)
    })
  )

  it.effect("a key in use costs no statement while its use need not be noted", () =>
    Effect.gen(function* () {
      const repo = yield* anotherRepo
      const sql = yield* SqlClient
      const { key: used, record } = yield* made(repo)
      yield* sql`create sequence updates`
      yield* sql`
        create function count_updates() returns trigger language plpgsql as
        $$ begin perform nextval('updates'); return null; end $$`
      yield* sql`
        create trigger count_updates before update on api_key
        for each statement execute function count_updates()`
      for (const step of ["0 millis", "1 second", "10 seconds", "40 seconds"] as const) {
        yield* TestClock.adjust(step)
        assert.isTrue(Option.isSome(yield* repo.authenticate(used)))
        yield* noted(record.id, null)
      }
      const other = yield* made(repo)
      yield* repo.authenticate(other.key)
      yield* noted(other.record.id, null)
      const [row] = yield* sql`select last_value::int as count from updates`
      assert.deepStrictEqual(row, { count: 2 })
      yield* sql`drop trigger count_updates on api_key`
    })
  )
}
