import { assert, describe, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Exit, Fiber, Layer, Redacted, References, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { Database } from "../../src/store/Database.ts"
import * as Migrations from "../../src/store/Migrations.ts"
import { Fenced, Ownership } from "../../src/store/Ownership.ts"
import { startPostgres } from "../support/Postgres.ts"
import { database } from "../support/TestDatabase.ts"

/** An engine that comes to own the database; its scope is its life. */
const engine = Effect.fnUntraced(function* (url: string, scope: Scope.Scope) {
  const below = Layer.provideMerge(
    Migrations.layer,
    Database.layerPostgres({ url: Redacted.make(url), maxConnections: 2 })
  )
  const layer = Layer.fresh(Layer.provideMerge(Ownership.layer, below))
  return Context.get(yield* Layer.buildWithScope(layer, scope), Ownership)
})

const client = (url: string) =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1 }).pipe(
    Effect.provide(Reactivity.layer)
  )

const holders = (sql: PgClient.PgClient) => sql<{ readonly pid: number }>`
  select pid from pg_stat_activity a join pg_locks l using (pid)
  where locktype = 'advisory' and granted and a.application_name = 'posthaste owner'
    and a.datname = current_database()
`
const waiters = (sql: PgClient.PgClient) => sql<{ readonly pid: number }>`
  select pid from pg_stat_activity a
  where a.application_name = 'posthaste owner' and a.datname = current_database()
    and not exists (select from pg_locks l where l.pid = a.pid and locktype = 'advisory')
`
const some = (rows: ReadonlyArray<unknown>) => rows.length > 0

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

describe("Ownership on Postgres", () => {
  it.live("lets a second engine wait until the first one's scope closes, one epoch later", () =>
    Effect.gen(function* () {
      const url = yield* database
      const sql = yield* client(url)
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      const first = yield* engine(url, scopes[0])
      assert.strictEqual(first.epoch, 1)
      const second = yield* Effect.forkChild(engine(url, scopes[1]))
      yield* Effect.repeat(waiters(sql), { until: some })
      assert.isUndefined(second.pollUnsafe())
      yield* Scope.close(scopes[0], Exit.void)
      assert.strictEqual((yield* Fiber.join(second)).epoch, 2)
      const [row] =
        yield* sql`select epoch, holder, taken_at > to_timestamp(0) as timed from engine`
      assert.deepInclude(row, { epoch: 2n, timed: true })
      assert.match(String(row?.["holder"]), new RegExp(`:${process.pid}$`))
      yield* Scope.close(scopes[1], Exit.void)
    }).pipe(quiet)
  )

  it.live("goes on under its epoch when its session is ended, also while another waits", () =>
    Effect.gen(function* () {
      const url = yield* database
      const sql = yield* client(url)
      const scope = yield* Effect.scope
      const first = yield* engine(url, scope)
      const second = yield* Effect.forkChild(engine(url, scope))
      yield* Effect.repeat(waiters(sql), { until: some })
      const [before] = yield* holders(sql)
      yield* sql`select pg_terminate_backend(${before!.pid})`
      const again = yield* Effect.repeat(holders(sql), {
        until: ([now]) => now !== undefined && now.pid !== before!.pid
      })
      assert.strictEqual(again.length, 1)
      assert.deepStrictEqual(yield* sql`select epoch from engine`, [{ epoch: 1n }])
      assert.isUndefined(second.pollUnsafe())
      const fenced = yield* Effect.forkChild(first.fenced, { startImmediately: true })
      assert.isUndefined(fenced.pollUnsafe())
      yield* Fiber.interrupt(second)
    }).pipe(Effect.scoped, quiet)
  )

  it.live("is fenced when another engine came in between", () =>
    Effect.gen(function* () {
      const url = yield* database
      const sql = yield* client(url)
      const first = yield* engine(url, yield* Effect.scope)
      // What another engine does while the first one is frozen.
      yield* sql`update engine set epoch = epoch + 1, holder = 'another:7'`
      const [holder] = yield* holders(sql)
      yield* sql`select pg_terminate_backend(${holder!.pid})`
      const error = yield* Effect.flip(first.fenced)
      assert.instanceOf(error, Fenced)
      assert.strictEqual(error.message, "another:7 has taken over the deliveries as epoch 2")
    }).pipe(Effect.scoped, quiet)
  )

  it.live("goes on under its epoch after the server was killed and started again", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => startPostgres()),
        ({ stop }) => Effect.promise(stop)
      )
      const scope = yield* Effect.scope
      const first = yield* engine(server.url, scope)
      yield* Effect.promise(() => server.kill("SIGKILL"))
      yield* Effect.promise(() => server.restart())
      const sql = yield* client(server.url)
      yield* Effect.repeat(holders(sql), { until: some })
      assert.deepStrictEqual(yield* sql`select epoch from engine`, [{ epoch: 1n }])
      const fenced = yield* Effect.forkChild(first.fenced, { startImmediately: true })
      assert.isUndefined(fenced.pollUnsafe())
    }).pipe(Effect.scoped, quiet)
  )

  it.live("fails at once on a database that was never migrated", () =>
    Effect.gen(function* () {
      const layer = Layer.provide(
        Ownership.layer,
        Database.layerPostgres({ url: Redacted.make(yield* database) })
      )
      const error = yield* Effect.flip(Effect.provide(Effect.void, layer, { local: true }))
      assert.strictEqual(error._tag, "StoreError")
    }).pipe(quiet)
  )
})
