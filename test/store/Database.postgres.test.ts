import { assert, describe, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Redacted, References } from "effect"
import { Reactivity } from "effect/reactivity"
import { Database } from "../../src/store/Database.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { database } from "../support/TestDatabase.ts"

const layer = (url: string) => Database.layerPostgres({ url: Redacted.make(url) })

const refusal = (url: string) =>
  Effect.flip(Effect.provide(Effect.void, layer(url), { local: true }))

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

describe("Database.layerPostgres", () => {
  it.live("says what it reached", () =>
    Effect.gen(function* () {
      const url = yield* database
      const found = yield* Effect.provide(Database, layer(url), { local: true })
      assert.strictEqual(found.kind, "postgres")
      // The server of the tests does not wait for the disk.
      assert.strictEqual(found.durability, "process")
    }).pipe(quiet)
  )

  it.live("refuses, in a line without the password, what it cannot reach", () =>
    Effect.gen(function* () {
      const url = new URL(yield* database)
      url.password = "sekret"
      const missing = new URL(url)
      missing.pathname = "/missing"
      const closed = new URL(url)
      closed.port = "1"
      const expected = [
        [missing, /^cannot use Postgres at 127\.0\.0\.1:\d+\/missing: database "missing" does not/],
        [closed, /^cannot use Postgres at 127\.0\.0\.1:1\/\w+: connect ECONNREFUSED/],
        ["postgres://user:sekret@", /^cannot use Postgres at the given URL: /]
      ] as const
      for (const [bad, message] of expected) {
        const error = yield* refusal(String(bad))
        assert.strictEqual(error.reason, "Unreachable")
        assert.match(error.message, message)
        for (const text of [error.message, JSON.stringify(error), String(error.stack)]) {
          assert.notInclude(text, "sekret")
          assert.notInclude(error.message, "\n")
        }
      }
    })
  )

  it.live("refuses a read-only database and another encoding than UTF8", () =>
    Effect.gen(function* () {
      const url = new URL(yield* database)
      const other = new URL(url)
      other.pathname += "_ascii"
      const name = other.pathname.slice(1)
      url.searchParams.set("options", "-c default_transaction_read_only=on")
      assert.strictEqual((yield* refusal(url.href)).reason, "ReadOnly")
      url.searchParams.delete("options")
      const sql = yield* PgClient.PgClient
      yield* Effect.acquireRelease(
        sql.unsafe(`create database ${name} encoding 'SQL_ASCII' template template0`).unprepared,
        () => Effect.ignore(sql.unsafe(`drop database ${name} with (force)`).unprepared)
      )
      assert.strictEqual((yield* refusal(other.href)).reason, "EncodingNotUtf8")
    }).pipe(Effect.scoped, (test) =>
      Effect.flatMap(database, (url) => Effect.provide(test, layer(url), { local: true })).pipe(
        quiet
      )
    )
  )

  it.live("fails what runs when its sessions are ended, and serves the next", () =>
    Effect.gen(function* () {
      const url = yield* database
      const killer = yield* PgClient.make({ url: Redacted.make(url), maxConnections: 1 }).pipe(
        Effect.provide(Reactivity.layer)
      )
      yield* Effect.gen(function* () {
        const { check } = yield* Database
        const sql = yield* PgClient.PgClient
        const sleeping = yield* Effect.forkChild(Effect.flip(sql`select pg_sleep(60)`))
        const sleepers = killer<{ readonly pid: number }>`
          select pid, pg_terminate_backend(pid) from pg_stat_activity
          where query like '%pg_sleep(60)' and pid <> pg_backend_pid()
        `
        yield* Effect.repeat(sleepers, { until: (rows) => rows.length > 0 })
        const error = StoreError.from("test")(yield* Fiber.join(sleeping))
        assert.isTrue(error.isRetryable)
        yield* check
      }).pipe(Effect.provide(layer(url), { local: true }))
    }).pipe(quiet)
  )
})
