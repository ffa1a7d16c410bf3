import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, References } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import * as path from "node:path"
import { deliveryOf } from "../../src/domain/TypeId.ts"
import { AuditLog } from "../../src/store/AuditLog.ts"
import { Database } from "../../src/store/Database.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import * as Migrations from "../../src/store/Migrations.ts"
import { Ownership } from "../../src/store/Ownership.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"
import { draft, settlement } from "./Stage.ts"

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

  it.effect("of the Maps goes to whoever comes last, and fences what the one before writes", () =>
    Effect.gen(function* () {
      const own = Layer.build(
        Layer.fresh(DeliveryLog.layerMemory).pipe(
          Layer.provide(WebhookRepo.layerMemory),
          Layer.provide(AuditLog.layerMemory),
          Layer.provideMerge(Layer.fresh(Ownership.layerMemory))
        )
      )
      const [first, second] = [yield* own, yield* own]
      assert.deepStrictEqual(
        [first, second].map((context) => Context.get(context, Ownership).epoch),
        [1, 2]
      )
      const { attempts } = yield* MemoryTables
      const ids = yield* Ids
      const [id, tenantId, webhookId] = [
        deliveryOf(yield* ids.nextMessage, 1),
        yield* ids.next("tenant"),
        yield* ids.next("webhook")
      ]
      const batch = [yield* settlement({ id, tenantId, webhookId })] as const
      const exit = yield* Effect.exit(Context.get(first, DeliveryLog).settle(batch))
      assert.include(String(exit), "Fenced")
      assert.strictEqual(attempts.size, 0)
      yield* Context.get(second, DeliveryLog).settle(batch)
      assert.strictEqual(attempts.size, 1)
    }).pipe(Effect.provide([MemoryTables.layer, Ids.layer]))
  )

  it.effect("of the Maps fences what the one before accepts, its idempotency key included", () =>
    Effect.gen(function* () {
      const own = Layer.build(
        Layer.fresh(MessageRepo.layerMemory).pipe(Layer.provide(Layer.fresh(Ownership.layerMemory)))
      )
      const [first, second] = [yield* own, yield* own]
      const { idempotency, messages } = yield* MemoryTables
      const tenant = yield* (yield* Ids).next("tenant")
      const made = yield* draft(tenant, [], { idempotencyKey: "k" })
      const exit = yield* Effect.exit(Context.get(first, MessageRepo).insert([made]))
      assert.include(String(exit), "another engine owns the deliveries")
      assert.deepStrictEqual([messages.size, idempotency.size], [0, 0])
      yield* Context.get(second, MessageRepo).insert([made])
      assert.deepStrictEqual([messages.size, idempotency.size], [1, 1])
    }).pipe(Effect.provide([MemoryTables.layer, Ids.layer]))
  )
})
