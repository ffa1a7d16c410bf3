/**
 * What a program that embeds the engine finds of it in its own process: nothing.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { host, type HostReport } from "../support/Host.ts"

/** Variables that packages read for themselves: how they parse, and where they are tested. */
const readByPackages = [
  "undici read UNDICI_NO_WASM_SIMD",
  "undici read UNDICI_USE_MILO",
  "undici read JEST_WORKER_ID",
  "ws read WS_NO_BUFFER_UTIL"
]

/** Effect's own note of the fiber that runs, in every program that uses it. */
const effects = "globalThis.~effect/Fiber/currentFiber is new"

/** How long a host may take to end once it has told all, in milliseconds: a busy machine is slow. */
const endMs = 20_000

const home = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-host-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

const without = (found: ReadonlyArray<string>, known: ReadonlyArray<string>) =>
  found.filter((one) => !known.includes(one))

for (const [name, what, requests] of [
  ["Importing the library", "import", 0],
  ["An embedded engine that delivers and is closed", "run", 2]
] as const) {
  describe(`${name}`, () => {
    let report: HostReport
    const dataDir = path.join(home, what)
    beforeAll(async () => {
      report = await host(what, dataDir, endMs)
    })

    it("changes nothing that the process shares, then or afterwards", () => {
      assert.deepStrictEqual(without(report.during, [effects]), [])
      assert.deepStrictEqual(without(report.after, [effects]), [])
    })

    it("reads and writes no variable of the environment", () => {
      const uses = report.environment
        .filter(({ by }) => by !== "node")
        .map(({ by, how, name }) => `${by} ${how} ${name}`)
      assert.deepStrictEqual(without(uses, readByPackages), [])
    })

    it("leaves V8 and the dispatcher behind fetch alone", () => {
      assert.deepStrictEqual(report.flags, [])
      assert.isFalse(report.undiciGlobal)
    })

    it("leaves no rejection to the host, and nothing for Node to warn of", () => {
      assert.deepStrictEqual(report.complaints, [])
    })

    it("lets the process end by itself", () => {
      assert.deepStrictEqual(report.open, [])
      assert.strictEqual(report.exit, 0, report.said)
    })

    it("starts what it is told to start, and delivers", () => {
      assert.strictEqual(report.received, requests)
      assert.strictEqual(fs.existsSync(dataDir), what === "run")
      if (what === "import") assert.strictEqual(report.said, "")
    })
  })
}

describe("The host's look at itself", () => {
  it("finds what a library must not do", async () => {
    const report = await host("plant", home, 1_000)
    for (const found of [report.during, report.after]) {
      assert.deepStrictEqual(found.toSorted(), [
        "console.log is another one",
        "globalThis.Error.stackTraceLimit is another one",
        "globalThis.console.log is another one",
        "globalThis.planted is new",
        "process.env is another one",
        "process.on SIGTERM 0 is new"
      ])
    }
    assert.deepInclude(report.environment, {
      name: "PLANTED",
      how: "written",
      by: "test/support/Host.child.ts"
    })
    assert.lengthOf(report.flags, 1)
    assert.lengthOf(report.complaints, 1)
    assert.deepStrictEqual(report.open, ["Timeout"])
    assert.isTrue(report.undiciGlobal)
    assert.strictEqual(report.exit, "SIGKILL")
  })
})
