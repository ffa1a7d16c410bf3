import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compact, parse, textOf } from "../../../src/send/formats/JsonText.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("parse", () => {
  it("keeps the digits of numbers, which compact writes again", () => {
    const text = '{"a":1.0,"b":[12345678901234567890,-0,1e3,1E400],"c":5,"d":0.1}'
    assert.strictEqual(compact(parse(bytes(text)), 200), text)
    assert.deepStrictEqual(parse(bytes("[5,0.1,-2]")), [5, 0.1, -2])
    assert.strictEqual(textOf(parse(bytes("1.50")), 10), "1.50")
  })

  it("answers nothing for what is no JSON in UTF-8", () => {
    for (const text of ["", "{", "{'a':1}", "NaN", "[1,]"]) assert.isUndefined(parse(bytes(text)))
    assert.isUndefined(parse(new Uint8Array([0x22, 0xff, 0x22])))
  })

  it("reads what is nested too deep for recursion", () => {
    const text = `${"[".repeat(120_000)}${"]".repeat(120_000)}`
    assert.strictEqual(compact(parse(bytes(text)), Infinity), text)
  })
})

describe("textOf", () => {
  it("writes text as it is, nothing for null, and JSON for the rest", () => {
    assert.strictEqual(textOf('a"b', 9), 'a"b')
    assert.strictEqual(textOf(null, 9), "")
    assert.strictEqual(textOf(undefined, 9), "")
    assert.strictEqual(textOf(false, 9), "false")
    assert.strictEqual(textOf({ a: ["x"] }, 99), '{"a":["x"]}')
  })
})

describe("compact", () => {
  it.prop("writes JSON as it is", [Schema.Json], ([value]) => {
    assert.strictEqual(compact(value, Infinity), JSON.stringify(value))
  })

  it("stops soon after what is asked for", () => {
    const wide = Array.from({ length: 10_000 }, (_, i) => i)
    assert.isAtMost(compact(wide, 50).length, 60)
    assert.strictEqual(compact(wide, 50).slice(0, 50), JSON.stringify(wide).slice(0, 50))
    assert.isAtMost(compact({ ["k".repeat(9_000)]: "v".repeat(9_000) }, 50).length, 120)
    let deep: unknown = 0
    for (let i = 0; i < 100_000; i++) deep = { a: deep }
    assert.isAtMost(compact(deep, 50).length, 60)
    assert.lengthOf(compact(deep, Infinity), 600_001)
  })
})
