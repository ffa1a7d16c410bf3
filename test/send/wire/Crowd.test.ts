/**
 * The bound on requests in flight to one address.
 */
import { assert, describe, it } from "@effect/vitest"
import { Crowd } from "../../../src/send/wire/Crowd.ts"

describe("Crowd", () => {
  it("lets so many through to one address, and others to another", () => {
    const crowd = new Crowd(2)
    assert.deepStrictEqual(
      ["a", "a", "a", "b"].map((address) => crowd.enter(address)),
      [true, true, false, true]
    )
    crowd.leave("a")
    assert.isTrue(crowd.enter("a"))
    assert.isFalse(crowd.enter("a"))
  })
})
