import { assert, describe, it } from "@effect/vitest"
import { fault, layOut } from "../../src/dashboard/web/JsonText.ts"

describe("JsonText", () => {
  it("lays JSON out without changing a digit of it", () => {
    const text =
      '{"n":10000000000000000001,"e":1E+2,"s":"a:{[,]}\\"\\\\","l":[1,[ ],{ }],"o":{"a":null}}'
    assert.strictEqual(
      layOut(text),
      [
        "{",
        '  "n": 10000000000000000001,',
        '  "e": 1E+2,',
        '  "s": "a:{[,]}\\"\\\\",',
        '  "l": [',
        "    1,",
        "    [],",
        "    {}",
        "  ],",
        '  "o": {',
        '    "a": null',
        "  }",
        "}"
      ].join("\n")
    )
  })

  it("lays out what JSON.stringify lays out the same way", () => {
    const value = { a: [], b: {}, c: [1, "x y", { d: [true, null] }], "": -0.5 }
    assert.strictEqual(layOut(JSON.stringify(value)), JSON.stringify(value, null, 2))
    assert.strictEqual(layOut(JSON.stringify(value, null, 7)), JSON.stringify(value, null, 2))
  })

  it("leaves alone what is no JSON", () => {
    for (const text of ["<b>no</b>", "{a: 1}", '{"a":1', "NaN", ""]) {
      assert.strictEqual(layOut(text), text)
    }
  })

  it("says what is wrong, and nothing where nothing is", () => {
    assert.isNull(fault("3"))
    assert.isNull(fault(' {"a": 1} '))
    assert.isString(fault("{'a': 1}"))
    assert.include(fault(" "), "Expected JSON")
  })
})
