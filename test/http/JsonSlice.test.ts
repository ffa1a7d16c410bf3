import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { scan, slice } from "../../src/http/JsonSlice.ts"

const sliceOf = (text: string, key = "data") => slice(text, scan(text), key)

describe("JsonSlice", () => {
  it("keeps a value exactly as it was written", () => {
    for (const [text, expected] of [
      [`{"data":1.0}`, "1.0"],
      [`{"data":1e400}`, "1e400"],
      [`{"data":-0.10E+7}`, "-0.10E+7"],
      [`{"data":12345678901234567890}`, "12345678901234567890"],
      [`{"data":{"a":1,"a":2}}`, `{"a":1,"a":2}`],
      [`{"data":"\\u0000\\/\\ud800"}`, `"\\u0000\\/\\ud800"`],
      [`\n{ "x" : [1] ,\t"data"\r\n:  [ 1 , { } ]  }`, "[ 1 , { } ]"],
      [`{"data":1,"data":2}`, "2"],
      [`{"d\\u0061ta":3}`, "3"],
      [`{"data":1,"\\u0064ata":4,"x":5}`, "4"],
      [`{"x":{"data":1},"y":["data",{"data":2}]}`, undefined],
      [`{"x":"data","y":"\\"data\\":1"}`, undefined],
      [`{"x":"\\\\","data":"\\\\\\""}`, `"\\\\\\""`],
      [`{"":1}`, undefined],
      [`{"__proto__":1,"data":2}`, "2"],
      [`{}`, undefined],
      [`[{"data":1}]`, undefined],
      [`"data"`, undefined],
      [`null`, undefined]
    ] as const) {
      JSON.parse(text)
      assert.strictEqual(sliceOf(text), expected, text)
    }
    assert.strictEqual(sliceOf(`{"":[1]}`, ""), "[1]")
    assert.strictEqual(sliceOf(`{"__proto__":{"a":1}}`, "__proto__"), `{"a":1}`)
  })

  it("measures the deepest nesting and is not misled by strings", () => {
    for (const [text, depth] of [
      ["1", 0],
      [`"[[[["`, 0],
      ["[]", 1],
      [`{"a":[{"b":"}]}]"},[]]}`, 3],
      [`["\\"[[[",[]]`, 2],
      ["[".repeat(100_000) + "]".repeat(100_000), 100_000]
    ] as const) {
      assert.strictEqual(scan(text).depth, depth)
    }
  })

  it.effect("finds what JSON.parse finds, in any text, as it was written", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3_000; i++) {
        const { expected, text } = randomObject(yield* Random.Random)
        const parsed: Record<string, unknown> = JSON.parse(text)
        const found = sliceOf(text)
        assert.strictEqual(found, expected, text)
        assert.strictEqual(found !== undefined, Object.hasOwn(parsed, "data"), text)
        if (found !== undefined) assert.deepStrictEqual(JSON.parse(found), parsed.data, text)
      }
    }).pipe(Random.withSeed("JsonSlice"))
  )
})

type Source = { readonly nextIntUnsafe: () => number }

/** A random text of an object, made of pieces, so that the right slice is known from its making. */
const randomObject = (random: Source) => {
  const below = (n: number) => Math.abs(random.nextIntUnsafe()) % n
  const pick = <A>(all: ReadonlyArray<A>): A => all[below(all.length)]!
  const many = <A>(max: number, make: () => A): Array<A> =>
    Array.from({ length: below(max + 1) }, make)
  const space = () => many(2, () => pick([" ", "\n", "\t", "\r"])).join("")
  const string = (): string => `"${many(6, () => pick(pieces)).join("")}"`
  const key = (): string =>
    pick([`"data"`, `"d\\u0061ta"`, `"Data"`, `"data "`, `"\\\\data"`, string()])
  const value = (depth: number): string => {
    switch (below(depth > 4 ? 3 : 5)) {
      case 0:
        return pick(scalars)
      case 1:
      case 2:
        return string()
      case 3:
        return `[${space()}${many(3, () => space() + value(depth + 1) + space()).join(",")}]`
      default:
        return `{${space()}${many(
          3,
          () => space() + key() + space() + ":" + space() + value(depth + 1) + space()
        ).join(",")}}`
    }
  }
  const members = many(5, () => ({ key: key(), value: value(0) }))
  const text =
    space() +
    "{" +
    space() +
    members
      .map((one) => space() + one.key + space() + ":" + space() + one.value + space())
      .join(",") +
    "}" +
    space()
  const expected = members.findLast((one) => JSON.parse(one.key) === "data")?.value
  return { text, expected }
}

const pieces = [
  "a",
  "data",
  ":",
  ",",
  "{",
  "}",
  "[",
  "]",
  " ",
  "é",
  "😀",
  "\u2028",
  "\u00a0",
  `\\"`,
  "\\\\",
  "\\/",
  "\\n",
  "\\u0000",
  "\\ud83d\\ude00",
  "\\ud800"
]

const scalars = [
  "0",
  "-0",
  "1.0",
  "1e400",
  "-1E-7",
  "12345678901234567890",
  "0.1000",
  "true",
  "false",
  "null"
]
