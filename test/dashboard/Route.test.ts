import { assert, describe, it } from "@effect/vitest"
import { parse, to } from "../../src/dashboard/web/Route.ts"

describe("Route", () => {
  it("reads what it writes, whatever stands in it", () => {
    const parts = ["webhooks", "a/b?c#d %&=é"]
    const query = { q: "x&y=z #?%", status: "paused" }
    assert.deepStrictEqual(parse(to(parts, query)), { parts, query })
  })

  it("leaves out what is empty", () => {
    assert.strictEqual(to([]), "#/")
    assert.strictEqual(to(["deliveries"], { type: "", status: null, q: undefined }), "#/deliveries")
    assert.deepStrictEqual(parse("#/deliveries?type="), { parts: ["deliveries"], query: {} })
  })

  it("takes an address that cannot be read for the start page", () => {
    assert.deepStrictEqual(parse("#/webhooks/%E0%A4%A"), { parts: [], query: {} })
    assert.deepStrictEqual(parse(""), { parts: [], query: {} })
  })
})
