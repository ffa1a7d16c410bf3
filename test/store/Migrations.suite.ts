/**
 * What migrations promise, on whatever database a layer gives.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import * as Migrations from "../../src/store/Migrations.ts"

/** The files of the migrations, which are all run, once each, in their order. */
const files = fs
  .readdirSync(new URL("../../migrations", import.meta.url))
  .toSorted()
  .map((file) => ({ id: Number(file.slice(0, 4)), name: file.slice(5, -".sql".length) }))

/** Checks the promises, each on an empty database of its own. */
export const suite = (name: string, layer: Layer.Layer<SqlClient, unknown>) =>
  describe(`Migrations on ${name}`, () => {
    const on = <A, E>(test: Effect.Effect<A, E, SqlClient>) =>
      Effect.provide(test, layer, { local: true }).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )

    it.live(
      "runs what is pending, once, and tells when",
      () =>
        Effect.gen(function* () {
          const pending = files.map((file) => ({ ...file, appliedAt: null }))
          assert.deepStrictEqual(yield* Migrations.status, pending)
          assert.deepStrictEqual(yield* Migrations.run, files)
          assert.deepStrictEqual(yield* Migrations.run, [])
          for (const { appliedAt } of yield* Migrations.status) assert.isNumber(appliedAt)
        }).pipe(on),
      30_000
    )

    it.live(
      "runs each migration once for all who start at the same time",
      () =>
        Effect.gen(function* () {
          const runs = yield* Effect.all(
            Array.from({ length: 6 }, () => Migrations.run),
            { concurrency: "unbounded" }
          )
          // Who runs which is a matter of chance.
          assert.deepStrictEqual(
            runs.flat().sort((a, b) => a.id - b.id),
            files
          )
        }).pipe(on),
      30_000
    )

    it.live(
      "takes up where a failure left it, with nothing half-done",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient
          // In the way of the last table that the first migration makes.
          yield* sql`create table engine (n int)`
          const error = yield* Effect.flip(Migrations.run)
          assert.strictEqual(error._tag, "StoreError")
          const tables = sql`select relname from pg_class where relname = 'tenant'`
          assert.deepStrictEqual(yield* tables, [])
          yield* sql`drop table engine`
          assert.deepStrictEqual(yield* Migrations.run, files)
        }).pipe(on),
      30_000
    )

    it.live(
      "refuses a database that a newer version has migrated",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient
          yield* Migrations.run
          yield* sql`insert into posthaste_migration values (9999, 'later', to_timestamp(0))`
          const error = yield* Effect.flip(Migrations.run)
          assert.isTrue(error._tag === "MigrationError" && error.reason === "SchemaTooNew")
          assert.match(error.message, /9999_later/)
        }).pipe(on),
      30_000
    )
  })
