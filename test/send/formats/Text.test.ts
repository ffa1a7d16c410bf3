import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { cutFor, fit, isVisible, plain, titleOf } from "../../../src/send/formats/Text.ts"

describe("titleOf", () => {
  it("makes words of a type", () => {
    for (const [type, title] of [
      ["invoice.paid", "Invoice paid"],
      ["user_sign-up.done", "User sign up done"],
      ["A", "A"],
      ["userSignup.v2", "UserSignup v2"],
      ["_", "_"],
      ["-.-", "-.-"]
    ] as const) {
      assert.strictEqual(titleOf(type), title)
    }
  })
})

describe("fit", () => {
  const doubled = { escape: (char: string) => (char === "*" ? "\\*" : char) }

  it("cuts between code points and escapes, with an ellipsis in the length", () => {
    for (const [text, lengthMax, expected] of [
      ["abc", 3, "abc"],
      ["abcd", 3, "ab…"],
      ["😀😀", 4, "😀😀"],
      ["😀😀", 3, "😀…"],
      ["😀😀", 2, "…"],
      ["***", 6, "\\*\\*\\*"],
      ["***", 5, "\\*\\*…"],
      ["***", 4, "\\*…"],
      ["a", 1, "a"],
      ["ab", 1, "…"],
      ["ab", 0, ""],
      ["", 0, ""]
    ] as const) {
      assert.strictEqual(fit(text, lengthMax, doubled), expected)
    }
  })

  it("writes what can be shown", () => {
    assert.strictEqual(fit("a\r\nb\0c\u2028d\u202ee\ud800f\tg", 99, plain), "a\nb c\nde\ufffdf\tg")
  })
})

describe("isVisible", () => {
  it("wants something to see", () => {
    for (const text of [
      "",
      " \n\t",
      "\u200b\u2060",
      "\u2800",
      "\u3164",
      "\0",
      "\ufe0f",
      "\u00ad"
    ]) {
      assert.isFalse(isVisible(text), JSON.stringify(text))
    }
    for (const text of ["a", " .", "😀", "é", "\u200bx"]) assert.isTrue(isVisible(text), text)
  })
})

describe("cutFor", () => {
  it("keeps short texts whole and shares the rest among the long ones", () => {
    assert.strictEqual(cutFor([10, 100, 200], 110), 50)
    assert.strictEqual(cutFor([10, 20], 30), 30)
    assert.strictEqual(cutFor([], 30), 30)
    assert.strictEqual(cutFor([5, 5], 3), 1)
    assert.strictEqual(cutFor([5], -3), 0)
  })

  it.prop(
    "never gives more than there is",
    [
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9_000 }))
    ],
    ([lengths, inAll]) => {
      const cut = cutFor(lengths, inAll)
      assert.isAtMost(
        lengths.reduce((sum, length) => sum + Math.min(length, cut), 0),
        inAll
      )
    }
  )
})
