import { assert, describe, it } from "@effect/vitest"
import { Option, Result, Schema } from "effect"
import { compile, Filter, filterLimits } from "../../src/domain/Filter.ts"

const failing = (filter: unknown, data: unknown) => Result.getOrThrow(compile(filter)).failing(data)
const matches = (filter: unknown, data: unknown) => failing(filter, data) === null

describe("A filter", () => {
  it("compares numbers with numbers and texts with texts", () => {
    for (const [condition, yes, no] of [
      [{ $eq: 5 }, [5, 5.0, [1, 5]], [6, "5", null, true, {}, [], [[5]]]],
      [5, [5, [5]], ["5"]],
      [null, [null], [0, "", false]],
      [{ $ne: "a" }, ["b", 1, null, ["b"]], ["a", ["b", "a"]]],
      [{ $gt: 5 }, [6, 5.1, [1, 6]], [5, "6", null, true]],
      [{ $gte: 5 }, [5, 6], [4.9, "5"]],
      [{ $lt: "2026-01-01" }, ["2025-12-31T23:59:59Z"], ["2026-01-01", 2025]],
      [{ $lte: 5 }, [5, -1], [5.1, "4"]],
      [{ $in: ["a", 1, null] }, ["a", 1, null, ["z", 1]], ["b", "1", undefined]],
      [{ $nin: ["a", 1] }, ["b", "1", null, []], ["a", 1, ["a"]]],
      [{ $exists: true }, [0, null, "", []], []],
      [{ $startsWith: "in_" }, ["in_1", "in_", ["x", "in_2"]], ["xin_", 1, null]],
      [{ $regex: "^in_[0-9]+$" }, ["in_12", ["x", "in_2"]], ["in_", "xin_1", 12]],
      [{ $not: { $gt: 5 } }, [5, "9", null], [6]],
      [{ $gt: 1, $lt: 5 }, [2], [1, 5]],
      [{ $or: [{ $lt: 1 }, { $gt: 5 }] }, [0, 6], [1, 5]],
      [{ $and: [{ $gt: 1 }, { $lt: 5 }] }, [2], [1, 5]]
    ] as const) {
      const name = JSON.stringify(condition)
      for (const value of yes)
        assert.isTrue(matches({ k: condition }, { k: value }), `${name} ${value}`)
      for (const value of no)
        assert.isFalse(matches({ k: condition }, { k: value }), `${name} ${value}`)
    }
  })

  it("lets a missing key match $exists: false, $ne and $nin, and nothing else", () => {
    const data = { other: 1 }
    for (const condition of [
      null,
      { $eq: null },
      { $gt: 0 },
      { $gte: 0 },
      { $lt: 0 },
      { $lte: 0 },
      { $in: [null] },
      { $exists: true },
      { $startsWith: "" },
      { $regex: "" },
      { $not: { $eq: 1 } },
      { $not: { $exists: false } },
      { deeper: 1 }
    ]) {
      for (const none of [data, [], 1, null, undefined, "k"]) {
        assert.isFalse(matches({ k: condition }, none), JSON.stringify(condition))
      }
    }
    for (const condition of [
      { $exists: false },
      { $ne: 1 },
      { $nin: [1] },
      { $not: { $exists: true } }
    ]) {
      for (const none of [data, [], 1, null, undefined, "k"]) {
        assert.isTrue(matches({ k: condition }, none), JSON.stringify(condition))
      }
    }
    assert.isFalse(matches({ $not: { k: 1 } }, data))
    assert.isFalse(matches({ $not: { k: 1, other: 1 } }, data))
    assert.isTrue(matches({ $not: { k: 1, other: 2 } }, data))
    assert.isTrue(matches({ $or: [{ k: 1 }, { other: 1 }] }, data))
  })

  it("reaches into objects by nesting, and by dots where no member has that name itself", () => {
    const data = { a: { b: { c: 1 } }, "x.y": 2, x: { y: 3 } }
    assert.isTrue(matches({ a: { b: { c: 1 } } }, data))
    assert.isTrue(matches({ "a.b": { c: 1 } }, data))
    assert.isTrue(matches({ "a.b.c": { $gte: 1 } }, data))
    assert.isFalse(matches({ "a.b.c.d": 1 }, data))
    assert.isTrue(matches({ "x.y": 2 }, data))
    assert.isFalse(matches({ "x.y": 3 }, data))
    for (const name of ["__proto__", "constructor", "toString", "a.constructor"]) {
      assert.isTrue(matches({ [name]: { $exists: false } }, data), name)
    }
    assert.isTrue(matches({ $eq: 5 }, 5))
  })

  it("names the clause that did not hold", () => {
    assert.strictEqual(
      failing({ a: 1, b: { "c/d": { $gt: 5 } } }, { a: 1, b: { "c/d": 5 } }),
      "/b/c~1d/$gt"
    )
    assert.strictEqual(failing({ a: 1 }, {}), "/a")
    assert.strictEqual(failing({ $or: [{ a: 1 }, { a: 2 }] }, { a: 3 }), "/$or")
    assert.strictEqual(failing({ $and: [{ a: 3 }, { a: 2 }] }, { a: 3 }), "/$and/1/a")
    assert.strictEqual(failing({ a: { $not: { $eq: 3 } } }, { a: 3 }), "/a/$not")
  })

  it("is refused where it says what no filter can, with the place", () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })
    for (const [filter, ...path] of [
      [[1]],
      [{}],
      [{ a: {} }, "a"],
      [{ a: [1] }, "a"],
      [{ a: { $like: "x" } }, "a", "$like"],
      [{ a: { $eq: {} } }, "a", "$eq"],
      [{ a: { $in: [] } }, "a", "$in"],
      [{ a: { $in: 1 } }, "a", "$in"],
      [{ a: { $in: [{}] } }, "a", "$in"],
      [{ a: { $in: Array.from({ length: 101 }, (_, i) => i) } }, "a", "$in"],
      [{ a: { $exists: 1 } }, "a", "$exists"],
      [{ a: { $gt: null } }, "a", "$gt"],
      [{ a: { $gt: Infinity } }, "a", "$gt"],
      [{ a: { $startsWith: 1 } }, "a", "$startsWith"],
      [{ a: { $regex: "(" } }, "a", "$regex"],
      [{ a: { $regex: "(a)\\1" } }, "a", "$regex"],
      [{ a: { $regex: "(?=a)" } }, "a", "$regex"],
      [{ a: { $regex: "(a{50}){50}" } }, "a", "$regex"],
      [{ a: { $regex: "a".repeat(257) } }, "a", "$regex"],
      [{ $and: [] }, "$and"],
      [{ $or: [{ a: { $x: 1 } }] }, "$or", "0", "a", "$x"],
      [{ a: "\0" }, "a"],
      [{ a: "x".repeat(filterLimits.textLength + 1) }, "a"]
    ] as const) {
      const result = compile(filter)
      assert.isTrue(Result.isFailure(result), JSON.stringify(filter))
      if (Result.isFailure(result)) assert.deepStrictEqual([...result.failure.path], path)
    }
    assert.isTrue(Result.isSuccess(compile(deep(10))))
    assert.isTrue(Result.isFailure(compile(deep(11))))
    const wide = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))
    assert.isTrue(Result.isSuccess(compile(wide(100))))
    assert.isTrue(Result.isFailure(compile(wide(101))))
    const patterns = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, { $regex: "a" }]))
    assert.isTrue(Result.isSuccess(compile(patterns(4))))
    assert.isTrue(Result.isFailure(compile(patterns(5))))
    const isFilter = Schema.decodeUnknownOption(Filter)
    assert.isTrue(Option.isSome(isFilter({ a: 1 })))
    assert.isTrue(Option.isNone(isFilter({ a: { $in: Array(100).fill("x".repeat(300)) } })))
  })

  it("ends at once with patterns that would keep a backtracking engine busy for ever", () => {
    const text = "ab".repeat(130_000)
    for (const pattern of [
      "(a|aa)+$",
      "^(a+)+$",
      "(x+x+)+y",
      "(a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)c",
      "(.*)(.*)(.*)(.*)(.*)[^ab]$",
      "([ab]{1,10}){1,10}c",
      "(\\pL|\\pN|.)*(\\pL|\\pN|.)*(\\pL|\\pN|.)*é"
    ]) {
      const clause = { k: { $regex: pattern } }
      const filter = { $or: [clause, clause, clause, clause] }
      assert.strictEqual(failing(filter, { k: text }), "/$or", pattern)
      const pieces = Array.from({ length: 100 }, () => text.slice(0, 2_600))
      assert.strictEqual(failing(filter, { k: pieces }), "/$or", pattern)
    }
  })
})
