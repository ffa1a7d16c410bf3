import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { toUuid } from "../../src/domain/TypeId.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground, postgres } from "./Ground.ts"
import { create, suite } from "./WebhookRepo.suite.ts"
import { suite as sqlSuite } from "./WebhookSql.suite.ts"

layer(Layer.provideMerge(WebhookRepo.layer, postgres), { timeout: "60 seconds" })(
  "WebhookRepo on Postgres",
  (it) => {
    suite(it)
    sqlSuite(it)

    it.effect("a change that meets a deadlock is made all the same", () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const sql = yield* SqlClient
        const ground = yield* Ground
        const tenant = yield* ground.tenant
        const { id } = yield* create(tenant)
        yield* ground.setHealth(id, { version: 1, consecutiveFailures: 1 })
        const locked = yield* Deferred.make<void>()
        // It locks the health first and then waits for the webhook.
        const pausing = yield* Effect.forkChild(
          Effect.andThen(Deferred.await(locked), repo.setStatus(tenant, id, "paused"))
        )
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`update webhook set name = 'other' where id = ${toUuid(id)}`
            yield* Deferred.succeed(locked, void 0)
            while ((yield* sql`select 1 from pg_locks where not granted`).length === 0) {
              yield* Effect.yieldNow
            }
            yield* sql`update webhook_health set version = 2 where webhook_id = ${toUuid(id)}`
          })
        )
        const paused = yield* Fiber.join(pausing)
        assert.deepStrictEqual(
          [paused.status, paused.name, paused.health.version],
          ["paused", "other", 2]
        )
      })
    )
  }
)
