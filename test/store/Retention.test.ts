import { assert, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { presets, windowMs } from "../../src/domain/RetryPolicy.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { Retention } from "../../src/store/Retention.ts"
import * as RetentionMemory from "../../src/store/RetentionMemory.ts"
import * as RetentionSql from "../../src/store/RetentionSql.ts"
import { suite } from "./Retention.suite.ts"
import { suite as sqlSuite } from "./RetentionSql.suite.ts"
import { memory, pglite, tenantWith } from "./Stage.ts"

layer(memory)("Retention in memory", suite(RetentionMemory.make))

layer(pglite, { timeout: "60 seconds" })("Retention on PGlite", (it) => {
  suite(RetentionSql.make)(it)
  sqlSuite(it)
})

it.effect("a time that is shorter than the longest retries of a webhook is refused", () =>
  Effect.gen(function* () {
    const build = (days: number) =>
      Effect.flip(Effect.scoped(Layer.build(Retention.layerMemory({ days }))))
    assert.isAbove(windowMs(presets.standard), 3 * 86_400_000)
    const error = yield* build(3)
    assert.match(String(error.message), /^POSTHASTE_RETENTION_DAYS: 3 days .* expected 4 or more$/)
    const { webhook } = yield* tenantWith(1)
    const { webhooks } = yield* MemoryTables
    const found = webhooks.get(webhook)!
    const retry = { kind: "table", delaysMs: [30 * 86_400_000], jitter: 0 } as const
    webhooks.set(webhook, { ...found, settings: { ...found.settings, retry } })
    assert.match(String((yield* build(29)).message), /29 days .* expected 30 or more$/)
    yield* Effect.scoped(Layer.build(Retention.layerMemory({ days: 30 })))
  }).pipe(Effect.provide(memory))
)
