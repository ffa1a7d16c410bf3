import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { spawnSync } from "node:child_process"
import { load } from "../../src/Settings.ts"
import { failpoints, parse, reach } from "../../src/telemetry/Failpoint.ts"
import { readSources } from "../support/Sources.ts"

const places = [...readSources("src")].flatMap(([, text]) =>
  [...text.matchAll(/\breach\(\s*"([^"]*)"\s*\)/g)].map(([, name]) => name)
)

describe("Failpoints", () => {
  it("are passed in one place each, and all are listed", () => {
    assert.deepStrictEqual(places.toSorted(), [...failpoints].toSorted())
  })

  it("do nothing unless one is armed", () => {
    for (const name of failpoints) reach(name)
  })

  it("kill the process at the armed step, the time that was said", () => {
    const program = `
      const { arm, parse, reach } = await import("./src/telemetry/Failpoint.ts")
      const { runSync } = await import("effect/Effect")
      runSync(arm(parse("send.taken:3")))
      for (const name of ["send.taken", "send.ended", "send.taken"]) reach(name)
      process.stdout.write("alive")
      reach("send.taken")
      process.stdout.write(" and well")`
    const { signal, stdout } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", program],
      {
        encoding: "utf8"
      }
    )
    assert.strictEqual(signal, "SIGKILL")
    assert.match(stdout, /alive$/)
  })

  it("are named with a number or without", () => {
    assert.deepStrictEqual(parse("settle.committed"), { name: "settle.committed", hit: 1 })
    assert.deepStrictEqual(parse("settle.committed:12"), { name: "settle.committed", hit: 12 })
    for (const text of ["", "settle", "settle.committed:0", "settle.committed:x", "true"]) {
      assert.isUndefined(parse(text), text)
    }
  })

  it.effect("stop the start when there is none of that name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load)
      assert.match(error.message, /^POSTHASTE_FAILPOINT: expected/)
    }).pipe(
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: { POSTHASTE_FAILPOINT: "yes" } })
      )
    )
  )
})
