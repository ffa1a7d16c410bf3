/**
 * What attempts leave behind that TLS refuses (SEC-45): nothing, in memory or in open files.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { scaled } from "../support/Scale.ts"
import type { Leftovers } from "./BadTls.ts"

const attempts = scaled(2_000, 100_000)

describe("a receiver with a bad certificate", () => {
  it(`leaves nothing behind after ${attempts} attempts`, { timeout: 1_800_000 }, () => {
    const { stderr, stdout } = spawnSync(
      process.execPath,
      ["--expose-gc", fileURLToPath(new URL("BadTls.ts", import.meta.url)), String(attempts)],
      { encoding: "utf8" }
    )
    const left: Leftovers = JSON.parse(stdout.trim().split("\n").at(-1) || `"${stderr}"`)
    assert.strictEqual(left.refusedByTls, attempts)
    // Least squares over the later half, in bytes for each attempt.
    const later = left.heap.slice(5)
    const middle = (later.length - 1) / 2
    const mean = later.reduce((sum, bytes) => sum + bytes, 0) / later.length
    const slope =
      later.reduce((sum, bytes, i) => sum + (i - middle) * (bytes - mean), 0) /
      later.reduce((sum, _, i) => sum + (i - middle) ** 2, 0) /
      (attempts / 10)
    console.log(
      `heap ${left.heap.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(" ")} MiB, ` +
        `${slope.toFixed(1)} bytes an attempt; open files ${left.files.join(" then ")}`
    )
    // A kept socket, TLS context or error would be thousands of bytes each.
    assert.isBelow(slope, scaled(1_000, 20))
    assert.isAtMost(left.files[1], left.files[0] + 2)
  })
})
