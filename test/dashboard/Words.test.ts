import { assert, describe, it } from "@effect/vitest"
import * as Words from "../../src/dashboard/web/Words.ts"

const now = Date.parse("2026-03-12T12:00:00.000Z")
const day = 86_400_000

describe("Words", () => {
  it("say how far an instant is, in the past and to come", () => {
    const away = (ms: number) => Words.relative(now + ms, now)
    assert.strictEqual(away(0), "now")
    assert.strictEqual(away(-999), "now")
    assert.strictEqual(away(-1_000), "1 s ago")
    assert.strictEqual(away(-59_999), "59 s ago")
    assert.strictEqual(away(-60_000), "1 min ago")
    assert.strictEqual(away(240_000), "in 4 min")
    assert.strictEqual(away(-47 * 3_600_000), "47 h ago")
    assert.strictEqual(away(2 * day), "in 2 days")
    assert.strictEqual(away(-30 * day), "10 Feb 2026")
  })

  it("say how long something took, with at most two units", () => {
    assert.strictEqual(Words.length(0), "0 ms")
    assert.strictEqual(Words.length(840.4), "840 ms")
    assert.strictEqual(Words.length(1_250), "1.2 s")
    assert.strictEqual(Words.length(9_999), "9.9 s")
    assert.strictEqual(Words.length(59_999), "59 s")
    assert.strictEqual(Words.length(60_000), "1 min")
    assert.strictEqual(Words.length(200_000), "3 min 20 s")
    assert.strictEqual(Words.length(7_500_000), "2 h 5 min")
    assert.strictEqual(Words.length(4 * day), "4 d")
    assert.strictEqual(Words.length(4 * day + 3_600_000), "4 d 1 h")
  })

  it("say sizes and numbers", () => {
    assert.strictEqual(Words.size(0), "0 B")
    assert.strictEqual(Words.size(1_023), "1023 B")
    assert.strictEqual(Words.size(4_200), "4.1 KB")
    assert.strictEqual(Words.size(262_144), "256 KB")
    assert.strictEqual(Words.size(3 * 1_048_576), "3.0 MB")
    assert.strictEqual(Words.count(1_234_567), "1,234,567")
    assert.strictEqual(Words.count(-1_000), "-1,000")
    assert.strictEqual(Words.many(1, "delivery", "deliveries"), "1 delivery")
    assert.strictEqual(Words.many(0, "attempt"), "0 attempts")
  })

  it("never round a share up to all or down to nothing", () => {
    assert.strictEqual(Words.share(1), "100 %")
    assert.strictEqual(Words.share(0.99999), "99.9 %")
    assert.strictEqual(Words.share(0.00001), "0.1 %")
    assert.strictEqual(Words.share(0), "0 %")
  })
})
