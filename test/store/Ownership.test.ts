import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import * as path from "node:path"
import { Database } from "../../src/store/Database.ts"
import * as Migrations from "../../src/store/Migrations.ts"
import { Ownership } from "../../src/store/Ownership.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"

describe("Ownership", () => {
  it.live(
    "owns an embedded database at once, one epoch later each time",
    () =>
      Effect.gen(function* () {
        const dataDir = yield* EmptyPglite.temporary
        fs.renameSync(yield* EmptyPglite.directory, path.join(dataDir, "pglite"))
        const layer = Ownership.layer.pipe(
          Layer.provideMerge(Migrations.layer),
          Layer.provideMerge(Database.layerEmbedded({ dataDir }))
        )
        for (const epoch of [1, 2]) {
          yield* Effect.gen(function* () {
            const sql = yield* SqlClient
            assert.strictEqual((yield* Ownership).epoch, epoch)
            assert.deepStrictEqual(yield* sql`select epoch from engine`, [{ epoch: BigInt(epoch) }])
          }).pipe(Effect.provide(layer, { local: true }))
        }
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None")),
    30_000
  )

  it.effect("is epoch 1 and never fenced in memory", () =>
    Effect.gen(function* () {
      const { epoch, fenced } = yield* Ownership
      assert.strictEqual(epoch, 1)
      const fiber = yield* Effect.forkChild(fenced, { startImmediately: true })
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(Ownership.layerMemory))
  )
})
