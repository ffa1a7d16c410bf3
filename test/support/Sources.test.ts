import { assert, describe, it } from "@effect/vitest"
import { blank, importsOf } from "./Sources.ts"

describe("importsOf", () => {
  it("finds every form of import and resolves relative ones", () => {
    const text = `
import "./side.ts"
import { a } from "../store/A.ts"
import type { B } from "./B.ts"
import * as C from 'node:fs'
import D, {
  type E
} from "effect/E"
export { local }
import F from "./F.ts"
export * from "./G.ts"
export * as H from "./H.ts"
export type { I } from "./I.ts"
const j = await import("./J.ts")
type K = import("./K.ts").K
const worker = new URL("./L.ts", import.meta.url)
`
    assert.deepStrictEqual(
      importsOf("src/send/X.ts", text).map((found) => found.target ?? found.specifier),
      [
        "src/send/side.ts",
        "src/store/A.ts",
        "src/send/B.ts",
        "node:fs",
        "effect/E",
        "src/send/F.ts",
        "src/send/G.ts",
        "src/send/H.ts",
        "src/send/I.ts",
        "src/send/J.ts",
        "src/send/K.ts",
        "src/send/L.ts"
      ]
    )
    assert.deepStrictEqual(
      importsOf("src/send/X.ts", text)
        .filter((found) => found.reexport)
        .map((found) => found.line),
      [11, 12, 13]
    )
  })

  it("ignores comments, strings and templates", () => {
    const text = `
/** import { a } from "./A.ts" */
// export * from "./B.ts"
const c = 'import "./C.ts"'
const d = \`import "./D.ts"\`
`
    assert.deepStrictEqual(importsOf("src/X.ts", text), [])
  })
})

describe("blank", () => {
  const code = (text: string) => blank(text, { strings: true }).replaceAll(/ +/g, " ")

  it("keeps code inside templates, however deep", () => {
    assert.strictEqual(code("`a ${b({ c: `d ${e} f` })} g` + h"), "` ${b({ c: ` ${e} ` })} ` + h")
  })

  it("is not misled by quotes in regular expressions, nor by escapes", () => {
    assert.strictEqual(code(`x.test(/["'/]+/g, 'a\\'b') // c`), "x.test(/ /g, ' ') ")
    assert.strictEqual(code("a / b // c"), "a / b ")
    assert.strictEqual(blank("f(/a+/) /* x */", { strings: false }).trimEnd(), "f(/a+/)")
  })

  it("keeps lengths and lines", () => {
    const text = "a /* b\nc */ `d\n${e}` 'f' // g\nh"
    const blanked = blank(text, { strings: true })
    assert.strictEqual(blanked.length, text.length)
    assert.strictEqual(blanked.split("\n").length, text.split("\n").length)
  })
})
