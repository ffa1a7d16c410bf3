import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import * as path from "node:path"
import { Database } from "../../src/store/Database.ts"
import { DirectoryLocked } from "../../src/store/DirectoryLock.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"

describe("Database.layerEmbedded", () => {
  it.live(
    "locks the directory for as long as the database in it is open",
    () =>
      Effect.gen(function* () {
        const dataDir = path.join(yield* EmptyPglite.temporary, "data")
        fs.mkdirSync(dataDir)
        fs.renameSync(yield* EmptyPglite.directory, path.join(dataDir, "pglite"))
        const layer = Database.layerEmbedded({ dataDir })
        const lock = path.join(dataDir, "posthaste.lock")
        yield* Effect.gen(function* () {
          const database = yield* Database
          assert.strictEqual(database.kind, "pglite")
          assert.strictEqual(database.durability, "process")
          yield* database.check
          const second = yield* Effect.flip(Effect.provide(Effect.void, layer, { local: true }))
          assert.instanceOf(second, DirectoryLocked)
          assert.isTrue(fs.existsSync(lock))
        }).pipe(Effect.provide(layer, { local: true }))
        assert.isFalse(fs.existsSync(lock))
        yield* Effect.flatMap(SqlClient, (sql) => sql`select 1`).pipe(
          Effect.provide(layer, { local: true })
        )
      }),
    30_000
  )
})
