import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { scaled } from "../support/Scale.ts"
import * as History from "./History.ts"
import { applied } from "./Planting.ts"
import { planted } from "./planted.ts"
import { regressions } from "./regressions.ts"

const live = (seed: number) =>
  it(`seed ${seed} breaks no promise`, { timeout: 300_000 }, async () => {
    const { violations } = await Effect.runPromise(History.run(seed))
    assert.deepStrictEqual(violations, [], `npm run simulate -- --seed ${seed}`)
  })

describe("A history", () => {
  const seeds = scaled(20, 2_000)
  for (let seed = 1_001; seed <= 1_000 + seeds; seed++) live(seed)

  it("is the same for the same seed", { timeout: 300_000 }, async () => {
    const [first, second, other] = [
      await Effect.runPromise(History.run(1_003)),
      await Effect.runPromise(History.run(1_003)),
      await Effect.runPromise(History.run(1_004))
    ]
    assert.strictEqual(first.hash, second.hash)
    assert.notStrictEqual(first.hash, other.hash)
  })
})

describe("A history that once broke a promise", () => {
  for (const { seed } of regressions) live(seed)

  it("catches a bug that is planted, or none is", () => {
    const names = planted.map(({ name }) => name)
    for (const { planted: name } of regressions) if (name !== null) assert.include(names, name)
  })
})

describe("Each planted bug", () => {
  it("has its place in the sources", () => {
    for (const bug of planted) assert.include(applied(bug), bug.instead)
    assert.strictEqual(new Set(planted.map(({ name }) => name)).size, planted.length)
    assert.isAtLeast(planted.length, 25)
  })
})
