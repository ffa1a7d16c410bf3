import { assert, describe, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import * as fs from "node:fs"
import { startPostgres } from "./Postgres.ts"
import { createDatabase, database } from "./TestDatabase.ts"

const connect = (url: string) =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1 }).pipe(
    Effect.provide(Reactivity.layer)
  )

describe("TestDatabase", () => {
  it.effect("gives each caller an empty database of its own", () =>
    Effect.gen(function* () {
      const urls = yield* Effect.all([Effect.promise(createDatabase), database])
      for (const url of urls) {
        const sql = yield* connect(url)
        yield* sql`create table mine (id int)`
      }
      assert.notStrictEqual(urls[0], urls[1])
    })
  )

  it.effect("drops a database with its scope, even while a connection is open", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(
        Effect.gen(function* () {
          const url = yield* database
          yield* (yield* connect(url))`select 1`
          return url
        })
      )
      const exit = yield* Effect.exit(Effect.flatMap(connect(url), (sql) => sql`select 1`))
      assert.strictEqual(exit._tag, "Failure")
    })
  )
})

describe("startPostgres", () => {
  it("keeps committed rows when the server is killed and started again", async () => {
    const server = await startPostgres()
    try {
      const run = <A>(f: (sql: PgClient.PgClient) => Effect.Effect<A, unknown>) =>
        Effect.runPromise(Effect.scoped(Effect.flatMap(connect(server.url), f)))
      await run((sql) => sql`create table kept as select 7 as number`)
      const before = server.pid
      await server.kill("SIGKILL")
      await server.restart()
      assert.notStrictEqual(server.pid, before)
      assert.deepStrictEqual(await run((sql) => sql`select number from kept`), [{ number: 7 }])
    } finally {
      await server.stop()
    }
    assert.isFalse(fs.existsSync(server.dataDir))
  })
})
