import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { postgres } from "./Ground.ts"
import { suite } from "./TenantRepo.suite.ts"
import { suite as sqlSuite } from "./TenantSql.suite.ts"

layer(Layer.provideMerge(TenantRepo.layer, postgres), { timeout: "60 seconds" })(
  "TenantRepo on Postgres",
  (it) => {
    suite(it)
    sqlSuite(it)

    it.effect("a request does not wait until the use of its key is noted", () =>
      Effect.gen(function* () {
        const repo = yield* TenantRepo
        const sql = yield* SqlClient
        const made = yield* repo.createKey({
          tenantId: null,
          name: "",
          scopes: [],
          expiresAt: null
        })
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`lock table api_key in share mode`
            // This effect's own transaction reads with the lock; the note is made outside of it.
            assert.isTrue(Option.isSome(yield* repo.authenticate(Option.getOrThrow(made.key))))
          })
        )
      })
    )
  }
)
