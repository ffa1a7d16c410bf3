import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Calls, layer as calls } from "./Calls.ts"
import { Fakes } from "./Fakes.ts"

describe("/health", () => {
  layer(calls())((it) => {
    it.effect("is alive without a key and without a database", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const fakes = yield* Fakes
        fakes.down = true
        const answer = yield* call("GET", "/health/live", { key: null })
        fakes.down = false
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(answer.json, { status: "ok" })
      })
    )

    it.effect("is ready while every part is, and says which one is not", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const fakes = yield* Fakes
        const ready = call("GET", "/health/ready", { key: null })
        const parts = {
          database: "ok",
          migrations: "ok",
          ownership: "ok",
          lanes: "ok",
          draining: "ok"
        }
        const well = yield* ready
        assert.strictEqual(well.status, 200)
        assert.deepStrictEqual(well.json, {
          status: "ready",
          checks: parts,
          sending: "on",
          durability: "process",
          egress: "direct"
        })

        fakes.down = true
        assert.strictEqual((yield* ready).status, 200, "the last answer is kept for a second")
        yield* TestClock.adjust("1 second")
        const down = yield* ready
        assert.strictEqual(down.status, 503)
        assert.deepStrictEqual(down.json, {
          status: "unavailable",
          checks: { ...parts, database: "failed" },
          sending: "on",
          durability: "process",
          egress: "direct"
        })

        fakes.down = false
        fakes.unmigrated = true
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual((yield* ready).json.checks, { ...parts, migrations: "failed" })

        fakes.unmigrated = false
        fakes.unowned = true
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual((yield* ready).json.checks, { ...parts, ownership: "failed" })

        fakes.unowned = false
        fakes.held = true
        yield* TestClock.adjust("1 second")
        const held = yield* ready
        fakes.held = false
        assert.strictEqual(held.status, 200)
        assert.strictEqual(held.json.sending, "held")
      })
    )
  })
})
