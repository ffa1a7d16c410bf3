import { assert, it, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { Ground, memory, pglite } from "./Ground.ts"
import { suite } from "./TenantRepo.suite.ts"
import { suite as sqlSuite } from "./TenantSql.suite.ts"

layer(Layer.provideMerge(TenantRepo.layerMemory, memory))("TenantRepo in memory", suite)

layer(Layer.provideMerge(TenantRepo.layer, pglite), { timeout: "60 seconds" })(
  "TenantRepo on PGlite",
  (it) => {
    suite(it)
    sqlSuite(it)
  }
)

it.effect("TenantRepo remembers 10,000 keys, so that guesses fill no memory", () =>
  Effect.gen(function* () {
    const repo = yield* TenantRepo
    const ground = yield* Ground
    const input = { tenantId: null, name: "", scopes: [], expiresAt: null }
    const { key, record } = yield* repo.createKey(input)
    const opens = repo.authenticate(Option.getOrThrow(key))
    yield* opens
    yield* ground.revoke(record.id)
    const guess = (count: number) =>
      Effect.forEach(
        Array.from({ length: count }, (_, i) => Redacted.make(`phk_${count}_${i}`)),
        repo.authenticate,
        { discard: true }
      )
    yield* guess(9_999)
    assert.isTrue(Option.isSome(yield* opens))
    yield* guess(10_000)
    assert.isTrue(Option.isNone(yield* opens))
  }).pipe(Effect.provide(Layer.provideMerge(TenantRepo.layerMemory, memory)))
)
