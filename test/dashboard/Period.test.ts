import { assert, describe, it } from "@effect/vitest"
import { period } from "../../src/dashboard/web/Period.ts"

const now = Date.parse("2026-03-12T12:00:00.000Z")

describe("Period", () => {
  it("reads a while ago, which wins over instants", () => {
    assert.deepStrictEqual(period({ within: "1h", after: "2026-01-01T00:00" }, now), {
      after: "2026-03-12T11:00:00.000Z",
      before: undefined
    })
  })

  it("reads instants of a field as UTC, and those with a zone as they are", () => {
    assert.deepStrictEqual(
      period({ after: "2026-03-01T10:30", before: "2026-03-02T00:00:05+02:00" }, now),
      {
        after: "2026-03-01T10:30:00.000Z",
        before: "2026-03-01T22:00:05.000Z"
      }
    )
  })

  it("takes what cannot be read for nothing", () => {
    const none = { after: undefined, before: undefined }
    assert.deepStrictEqual(period({ within: "soon", after: "yesterday" }, now), none)
    assert.deepStrictEqual(period({}, now), none)
  })
})
