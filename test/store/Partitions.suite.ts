/**
 * What partitions promise, on whatever migrated database a layer gives.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Migrations from "../../src/store/Migrations.ts"
import * as Partitions from "../../src/store/Partitions.ts"

/** 2026-11-23T13:30:00Z */
const now = Date.UTC(2026, 10, 23, 13, 30)

const names = Effect.flatMap(
  SqlClient,
  (sql) => sql<{ readonly name: string }>`
    select c.oid::regclass::text as name
    from pg_inherits join pg_class c on c.oid = inhrelid
    where c.relkind = 'r' and c.oid::regclass::text like '%\_p2%'
    order by name
  `
).pipe(Effect.map((rows) => rows.map(({ name }) => name)))

/** The partition that a message of an instant goes to. */
const partitionOf = Effect.fnUntraced(function* (instant: number) {
  const sql = yield* SqlClient
  const id = `${Partitions.firstId(instant).slice(0, 14)}7${Partitions.firstId(instant).slice(15)}`
  const [row] = yield* sql<{ readonly name: string }>`
    insert into message (id, tenant_id, type, content_type, body, fan_out, created_at)
    values (${id}, ${id}, 'a.b', 'text/plain', '', 0, to_timestamp(0))
    returning tableoid::regclass::text as name
  `
  return row?.name
})

/** Checks the promises, each on an empty database of its own. */
export const suite = (name: string, layer: Layer.Layer<SqlClient, unknown>) =>
  describe(`Partitions on ${name}`, () => {
    const migrated = Migrations.layer.pipe(Layer.provideMerge(layer))
    const on = <A, E>(test: Effect.Effect<A, E, SqlClient>) =>
      Effect.provide(test, migrated, { local: true }).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )

    it.live(
      "prepares yesterday to the third day from now, by many at once and again",
      () =>
        Effect.gen(function* () {
          yield* Effect.all(
            Array.from({ length: 5 }, () => Partitions.ensure(now)),
            { concurrency: "unbounded" }
          )
          yield* Partitions.ensure(now)
          const days = ["20261122", "20261123", "20261124", "20261125", "20261126"]
          assert.deepStrictEqual(
            yield* names,
            ["attempt", "message"].flatMap((table) => days.map((day) => `${table}_p${day}`))
          )
        }).pipe(on),
      30_000
    )

    it.live(
      "gives each partition its day, to the millisecond",
      () =>
        Effect.gen(function* () {
          yield* Partitions.ensure(now)
          const midnight = Date.UTC(2026, 10, 24)
          assert.strictEqual(yield* partitionOf(midnight - 1), "message_p20261123")
          assert.strictEqual(yield* partitionOf(midnight), "message_p20261124")
          assert.strictEqual(yield* partitionOf(Date.UTC(2026, 10, 27)), "message_default")
        }).pipe(on),
      30_000
    )

    it.live(
      "leaves a day to the default partition that already holds rows of it",
      () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* partitionOf(now), "message_default")
          yield* Partitions.ensure(now)
          assert.notInclude(yield* names, "message_p20261123")
          assert.include(yield* names, "message_p20261124")
          assert.include(yield* names, "attempt_p20261123")
          assert.strictEqual(yield* partitionOf(now + 1), "message_default")
          yield* Partitions.ensure(now)
        }).pipe(on),
      30_000
    )
  })
