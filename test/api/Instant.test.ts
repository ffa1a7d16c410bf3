import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { format, Instant } from "../../src/api/Instant.ts"

const decode = (text: string) => Option.getOrNull(Schema.decodeUnknownOption(Instant)(text))

describe("Instant", () => {
  it("reads RFC 3339 with any offset and any number of decimals", () => {
    for (const [text, expected] of [
      ["2026-01-31T12:00:00Z", Date.UTC(2026, 0, 31, 12)],
      ["2026-01-31t12:00:00.5z", Date.UTC(2026, 0, 31, 12, 0, 0, 500)],
      ["2026-01-31T12:00:00.123456789Z", Date.UTC(2026, 0, 31, 12, 0, 0, 123)],
      ["2026-01-31T12:00:00+05:30", Date.UTC(2026, 0, 31, 6, 30)],
      ["2026-01-31T12:00:00-00:00", Date.UTC(2026, 0, 31, 12)],
      ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
      ["0001-01-01T00:00:00Z", -62_135_596_800_000]
    ] as const) {
      assert.strictEqual(decode(text), expected, text)
    }
  })

  it("refuses days that do not exist and other forms", () => {
    for (const text of [
      "2026-02-29T00:00:00Z",
      "2026-02-30T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-01-00T00:00:00Z",
      "2026-01-31T24:00:00Z",
      "2026-01-31T12:60:00Z",
      "2026-01-31T12:00:60Z",
      "2026-01-31T12:00:00",
      "2026-01-31T12:00Z",
      "2026-01-31 12:00:00Z",
      "2026-01-31",
      "+002026-01-31T12:00:00Z",
      "1769860800000",
      "yesterday",
      ""
    ]) {
      assert.isNull(decode(text), text)
    }
  })

  it("prints UTC with milliseconds, and reads what it prints", () => {
    for (const epochMs of [0, 1, 1_769_860_800_123, -1]) {
      const text = Schema.encodeSync(Instant)(epochMs)
      assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      assert.strictEqual(text, format(epochMs))
      assert.strictEqual(decode(text), epochMs)
    }
  })
})
