/**
 * What the census promises, on whatever database a layer gives.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import * as Census from "../../src/store/Census.ts"
import * as Migrations from "../../src/store/Migrations.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"

const id = (kind: number, n: number) =>
  `00000000-0000-7000-800${kind}-${String(n).padStart(12, "0")}`

const nothing: Census.Counts = {
  enabled: 0,
  paused: 0,
  disabled: 0,
  open: 0,
  halfOpen: 0,
  pending: 0,
  waiting: 0,
  held: 0,
  due: 0,
  oldestDueAt: null,
  active: 0,
  idle: 0
}

/** Five webhooks: one that flows, one paused, one disabled, one open, one half open. */
const webhooks = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`insert into tenant (id, uid, name, created_at, updated_at)
    values (${id(0, 1)}, 'default', 'default', to_timestamp(0), to_timestamp(0))`
  for (const [n, status] of ["enabled", "paused", "disabled", "enabled", "enabled"].entries()) {
    yield* sql`insert into webhook (id, tenant_id, url, status, created_at, updated_at)
      values (${id(1, n)}, ${id(0, 1)}, 'https://a.example', ${status}, to_timestamp(0),
        to_timestamp(0))`
  }
  yield* sql`insert into webhook_health (webhook_id, circuit_open_until)
    values (${id(1, 3)}, to_timestamp(2000)), (${id(1, 4)}, to_timestamp(500))`
})

/** Makes so many deliveries wait for a webhook, `attempts` made, due at so many seconds. */
const wait = Effect.fnUntraced(function* (
  webhook: number,
  first: number,
  howMany: number,
  attempts: number,
  dueSeconds: number
) {
  const sql = yield* SqlClient
  yield* sql`insert into waiting (delivery_id, tenant_id, webhook_id, attempts, due_at)
    select ('00000000-0000-7000-9000-' || lpad((${first}::int + n)::text, 12, '0'))::uuid,
      ${id(0, 1)}, ${id(1, webhook)}, ${attempts}::int, to_timestamp(${dueSeconds}::float8)
    from generate_series(1, ${howMany}::int) n`
})

/** Runs the suite. */
export const suite = <E>(name: string, database: Layer.Layer<SqlClient, E>) =>
  describe(`Census on ${name}`, { timeout: 20_000 }, () => {
    const migrated = Layer.provideMerge(Migrations.layer, database).pipe(
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error"))
    )
    const counts = Effect.flatMap(SqlClient, (sql) => Census.count(sql))
    const withoutSessions = Effect.map(counts, (all) => ({ ...all, active: 0, idle: 0 }))

    it.effect("counts nothing in an empty database", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* withoutSessions, nothing)
      }).pipe(Effect.provide(migrated))
    )

    it.effect("tells apart what could go out, what waits for a retry and what is held back", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        yield* webhooks
        const sql = yield* SqlClient
        yield* sql`insert into owed (delivery_id, tenant_id, webhook_id)
          values (${id(2, 1)}, ${id(0, 1)}, ${id(1, 0)})`
        yield* wait(0, 1_000, 3, 0, 400)
        yield* wait(0, 2_000, 2, 1, 700)
        yield* wait(0, 3_000, 1, 1, 5_000)
        yield* wait(1, 4_000, 1, 0, 100)
        yield* wait(3, 5_000, 1, 1, 100)
        yield* wait(4, 6_000, 1, 1, 450)
        assert.deepStrictEqual(yield* withoutSessions, {
          ...nothing,
          enabled: 3,
          paused: 1,
          disabled: 1,
          open: 1,
          halfOpen: 1,
          pending: 1 + 3,
          waiting: 2 + 1,
          held: 3,
          due: 3 + 2 + 1,
          oldestDueAt: 400_000
        })
      }).pipe(Effect.provide(migrated))
    )

    it.effect("is asked every five seconds at most, and says when the store is away", () =>
      Effect.gen(function* () {
        const value = (gauge: Metric.Gauge<number>) =>
          Effect.map(Metric.value(gauge), ({ value }) => value)
        yield* TestClock.setTime(1_000_000)
        const census = yield* Census.Census
        const sql = yield* SqlClient
        yield* webhooks
        yield* census.refresh
        assert.strictEqual(yield* value(Metrics.storeUp), 1)
        assert.strictEqual(yield* value(Metrics.webhooks.enabled), 3)
        assert.isAbove(yield* value(Metrics.heapBytes), 1_000_000)
        assert.isAbove(yield* value(Metrics.residentBytes), 1_000_000)
        yield* wait(0, 1_000, 3, 0, 400)
        yield* census.refresh
        assert.strictEqual(yield* value(Metrics.backlogDue), 0)
        yield* TestClock.adjust("5 seconds")
        yield* census.refresh
        assert.strictEqual(yield* value(Metrics.backlogDue), 3)
        assert.strictEqual(yield* value(Metrics.backlogOldest), 605)
        yield* sql`alter table waiting rename to elsewhere`
        yield* TestClock.adjust("5 seconds")
        yield* census.refresh
        assert.strictEqual(yield* value(Metrics.storeUp), 0)
        assert.strictEqual(yield* value(Metrics.backlogDue), 3)
      }).pipe(
        Effect.provide(Layer.provideMerge(Census.Census.layer, migrated)),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    )

    it.effect("counts no more than its bound one by one, and estimates the rest", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        yield* webhooks
        const sql = yield* SqlClient
        yield* wait(0, 0, 1_500, 0, 400)
        yield* sql`analyze waiting`
        const { due, pending } = yield* Census.count(sql, 1_000)
        assert.deepStrictEqual([due, pending], [1_500, 1_500])
      }).pipe(Effect.provide(migrated))
    )
  })
