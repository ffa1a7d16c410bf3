import { assert, describe, it } from "@effect/vitest"
import { advice } from "../../src/domain/Advice.ts"
import { AttemptClass } from "../../src/domain/Attempt.ts"
import { defaultVerdicts, OnFailure } from "../../src/domain/OnFailure.ts"

describe("advice", () => {
  it("is one sentence of its own for each class that failed, and none for success", () => {
    const texts = AttemptClass.literals.map((of) => advice(of))
    assert.strictEqual(advice("status_2xx"), null)
    const given = texts.filter((text) => text !== null)
    assert.lengthOf(given, AttemptClass.literals.length - 1)
    assert.strictEqual(new Set(given).size, given.length)
    for (const text of given) assert.match(text, /^[A-Z][^.!?]*\.$/)
  })
})

describe("OnFailure", () => {
  it("has a verdict for every class that is a failure", () => {
    const classes = AttemptClass.literals.filter((of) => of !== "status_2xx" && of !== "not_sent")
    assert.sameMembers(Object.keys(OnFailure.fields), classes)
    assert.sameMembers(Object.keys(defaultVerdicts), classes)
  })
})
