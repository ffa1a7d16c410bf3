import { assert, describe, it } from "@effect/vitest"
import { Result, type Schema } from "effect"
import { compile, schemaLimits } from "../../src/publish/JsonSchema.ts"

const check = (schema: Schema.JsonObject, value: unknown) =>
  Result.getOrThrow(compile(schema))(value)

const refused = (schema: Schema.JsonObject): string => {
  const result = compile(schema)
  assert.isTrue(Result.isFailure(result), JSON.stringify(schema).slice(0, 200))
  return Result.isFailure(result) ? result.failure.pointer : ""
}

describe("A JSON Schema", () => {
  it("says where a value differs", () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "https://example.com/invoice",
      type: "object",
      required: ["amount"],
      properties: {
        amount: { type: "number", minimum: 0 },
        currency: { enum: ["EUR", "USD"] },
        lines: { type: "array", items: { $ref: "#/$defs/line" } },
        "a/b": { type: "string", pattern: "^x+$" }
      },
      additionalProperties: false,
      $defs: { line: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] } }
    }
    assert.isNull(check(schema, { amount: 1, currency: "EUR", lines: [{ n: 1 }], "a/b": "xx" }))
    for (const [value, pointer] of [
      [{}, "/amount"],
      [{ amount: -1 }, "/amount"],
      [{ amount: "1" }, "/amount"],
      [{ amount: 1, currency: "GBP" }, "/currency"],
      [{ amount: 1, lines: [{ n: 1 }, { n: 1.5 }] }, "/lines/1/n"],
      [{ amount: 1, lines: [{}] }, "/lines/0/n"],
      [{ amount: 1, "a/b": "y" }, "/a~1b"],
      [{ amount: 1, other: 1 }, "/other"],
      [[], ""],
      [undefined, ""]
    ] as const) {
      assert.strictEqual(check(schema, value)?.pointer, pointer, JSON.stringify(value))
    }
  })

  it("tells patterns apart, and takes no text for one that is too long to be tried", () => {
    const schema = { properties: { a: { pattern: "^a" }, b: { pattern: "^b" } } }
    assert.isNull(check(schema, { a: "a", b: "b" }))
    assert.strictEqual(check(schema, { a: "a", b: "a" })?.pointer, "/b")
    const long = "a".repeat(schemaLimits.patternReads + 1)
    assert.strictEqual(check(schema, { a: long })?.pointer, "/a")
  })

  it("is refused where it could cost too much, lead out of itself or is none", () => {
    const deep = (levels: number): Schema.JsonObject =>
      levels === 0 ? {} : { items: deep(levels - 1) }
    const doubling = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [
        `d${i}`,
        { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] }
      ])
    )
    for (const [schema, pointer] of [
      [{ type: "strnig" }, undefined],
      [{ required: "a" }, undefined],
      [{ $schema: "http://json-schema.org/draft-07/schema#" }, undefined],
      [{ $ref: "https://example.com/other" }, "/$ref"],
      [{ $ref: "file:///etc/passwd" }, "/$ref"],
      [{ $ref: "#/$defs/none" }, "/$ref"],
      [{ $ref: "#" }, "/$ref"],
      [{ properties: { a: { $ref: "#" } } }, "/properties/a/$ref"],
      [{ $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }] } } }, "/$defs/a/anyOf/0/$ref"],
      [{ $dynamicRef: "#x" }, "/$dynamicRef"],
      [{ properties: { a: { $id: "x" } } }, "/properties/a/$id"],
      [{ $ref: "#/$defs/d0", $defs: { ...doubling, d10: {} } }, ""],
      [{ uniqueItems: true }, "/uniqueItems"],
      [{ pattern: "(" }, undefined],
      [{ pattern: "(?=a)" }, undefined],
      [{ pattern: "((a{1,99}){1,99}){1,99}" }, undefined],
      [{ allOf: Array.from({ length: 21 }, () => ({ pattern: "a" })) }, "/allOf/20/pattern"],
      [{ description: "x".repeat(schemaLimits.length) }, ""],
      [deep(33), "/items".repeat(33)]
    ] as const) {
      const found = refused(schema)
      if (pointer !== undefined) assert.strictEqual(found, pointer)
    }
    assert.isTrue(Result.isSuccess(compile({ uniqueItems: true, maxItems: 10 })))
    assert.isTrue(Result.isSuccess(compile({ enum: [{ $ref: "x" }], properties: { $id: {} } })))
  })

  it("is compiled anew although one with its $id was before", () => {
    const id = "https://example.com/same"
    assert.isNull(check({ $id: id, type: "string" }, "a"))
    assert.isNotNull(check({ $id: id, type: "number" }, "a"))
    assert.isTrue(Result.isFailure(compile({ $id: id, type: "none" })))
    assert.isNull(check({ $id: id, type: "string" }, "a"))
  })
})
