import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { EventTypeName, EventTypePattern, matches, wants } from "../../src/domain/EventType.ts"

const isName = Schema.is(EventTypeName)
const isPattern = Schema.is(EventTypePattern)

const segment = Arbitrary.schema(Schema.Literals(["a", "ab", "A", "0", "_", "-", "invoice"]))
const name = Arbitrary.map(Arbitrary.array(segment, { minLength: 1, maxLength: 4 }), (segments) =>
  segments.join(".")
)

describe("EventTypeName", () => {
  it("is segments of letters, digits, _ or - joined by dots", () => {
    for (const text of ["a", "invoice.paid", "A.b-c.d_e.9", "posthaste.webhook.disabled"]) {
      assert.isTrue(isName(text), text)
    }
    const refused = [
      "",
      ".",
      "a.",
      ".a",
      "a..b",
      "a b",
      "a.*",
      "*",
      "ä",
      "a/b",
      "a\n",
      "a.b\n",
      "a\0"
    ]
    for (const text of refused) assert.isFalse(isName(text), JSON.stringify(text))
  })

  it("has 256 characters at most", () => {
    assert.isTrue(isName("a".repeat(256)))
    assert.isFalse(isName("a".repeat(257)))
  })
})

describe("EventTypePattern", () => {
  it("is a name, the beginning of one with .*, or *", () => {
    for (const text of ["*", "a", "a.*", "invoice.paid", "invoice.paid.*"]) {
      assert.isTrue(isPattern(text), text)
    }
    for (const text of ["", "**", ".*", "a*", "a.*.b", "*.a", "a.**", "a.*\n"]) {
      assert.isFalse(isPattern(text), JSON.stringify(text))
    }
  })

  it.prop("every name is a pattern that matches itself alone", { a: name, b: name }, ({ a, b }) => {
    assert.isTrue(isName(a) && isPattern(a))
    assert.strictEqual(matches(a, b), a === b)
  })
})

describe("matches", () => {
  it("matches with .* whatever is below, and not the beginning itself", () => {
    assert.isTrue(matches("invoice.*", "invoice.paid"))
    assert.isTrue(matches("invoice.*", "invoice.paid.late"))
    assert.isFalse(matches("invoice.*", "invoice"))
    assert.isFalse(matches("invoice.*", "invoices.paid"))
    assert.isFalse(matches("invoice.*", "INVOICE.paid"))
    assert.isFalse(matches("invoice.paid", "invoice.paid.late"))
  })

  it.prop(
    "matches below exactly what begins with the same segments",
    { a: name, b: name },
    ({ a, b }) => {
      const [segments, of] = [a.split("."), b.split(".")]
      const below = of.length > segments.length && segments.every((part, i) => of[i] === part)
      assert.strictEqual(matches(`${a}.*`, b), below)
    }
  )
})

describe("wants", () => {
  it("wants every type with no pattern and with *", () => {
    assert.isTrue(wants([], "a.b"))
    assert.isTrue(wants(["*"], "a.b"))
  })

  it("wants what any of the patterns matches", () => {
    assert.isTrue(wants(["x", "a.*"], "a.b"))
    assert.isFalse(wants(["x", "b.*"], "a.b"))
  })
})
