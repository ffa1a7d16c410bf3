import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  clashes,
  resolve,
  Signature,
  SignatureName,
  signsWith
} from "../../src/domain/Signature.ts"

const isSignature = (value: unknown) =>
  Schema.decodeUnknownOption(Signature, { onExcessProperty: "error" })(value)._tag === "Some"

describe("Signature", () => {
  it("is a name, or headers written out", () => {
    const accepted = [
      ...SignatureName.literals,
      { header: "X-GS-Signature", timestampHeader: "X-GS-Timestamp" },
      { scheme: "hex", header: "x" },
      { header: "X", style: "plain", prefix: "sha256=", signs: "body", typeHeader: "X-Type" },
      { header: "X", prefix: "" },
      { header: "X", prefix: "HMAC " },
      { header: "X", signs: "timestamp.body" },
      { header: "X", signs: "timestamp,body" },
      { header: "X", style: "t,v1" },
      { header: "X", style: "t,v1", signs: "timestamp,body", prefix: "" },
      { header: "Authorization" },
      { header: "x".repeat(128) }
    ]
    for (const signature of accepted)
      assert.isTrue(isSignature(signature), JSON.stringify(signature))
  })

  it("refuses what would sign something else than was meant, or cannot be sent", () => {
    const refused = [
      "Standard",
      "none",
      "",
      null,
      {},
      [],
      { scheme: "hex" },
      { scheme: "standard" },
      { scheme: "standard", header: "X" },
      { header: "X", prefx: "a" },
      { header: "X", signs: "body.timestamp" },
      { header: "X", style: "json" },
      { header: "X", prefix: " a" },
      { header: "X", prefix: "a\r\nb: c" },
      { header: "X", prefix: "ä" },
      { header: "X", prefix: "a".repeat(65) },
      { header: "X", style: "t,v1", prefix: "a" },
      { header: "X", style: "t,v1", signs: "body" },
      { header: "X", timestampHeader: "x" },
      { header: "X", typeHeader: "x" },
      { header: "X", timestampHeader: "Y", typeHeader: "y" },
      ...["", "a b", "a:", "ä", "a\r\nb", "__proto__", "x".repeat(129)].map((header) => ({
        header
      })),
      ...["host", "Webhook-Signature", "svix-signature", "Posthaste-Signature", "Date"].flatMap(
        (name) => [
          { header: name },
          { header: "X", timestampHeader: name },
          { header: "X", typeHeader: name }
        ]
      )
    ]
    for (const signature of refused)
      assert.isFalse(isSignature(signature), JSON.stringify(signature))
  })
})

describe("resolve", () => {
  it("signs the body alone unless more is said, and in the style t,v1 the timestamp too", () => {
    const jointOf = (signature: Signature) => {
      const scheme = resolve(signature)
      return scheme.kind === "hex" ? scheme.joint : undefined
    }
    assert.isNull(jointOf({ header: "X" }))
    assert.isNull(jointOf({ header: "X", timestampHeader: "Y" }))
    assert.strictEqual(jointOf({ header: "X", signs: "timestamp.body" }), ".")
    assert.strictEqual(jointOf({ header: "X", signs: "timestamp,body" }), ",")
    assert.strictEqual(jointOf({ header: "X", style: "t,v1" }), ".")
    assert.strictEqual(jointOf({ header: "X", style: "t,v1", signs: "timestamp,body" }), ",")
  })

  it("takes hex for x-signature, and finds presets by their names", () => {
    assert.strictEqual(resolve("hex"), resolve("x-signature"))
    assert.deepStrictEqual(
      resolve("github"),
      resolve({ header: "X-Hub-Signature-256", prefix: "sha256=" })
    )
    assert.deepStrictEqual(
      resolve("stripe"),
      resolve({ header: "Stripe-Signature", style: "t,v1" })
    )
  })
})

describe("clashes", () => {
  it("names the extra headers that the signature sets, in any case", () => {
    const headers = {
      "x-signature": "1",
      "X-TIMESTAMP": "2",
      "X-Hub-Signature-256": "3",
      other: "4"
    }
    assert.deepStrictEqual(clashes("x-signature", headers), ["x-signature", "X-TIMESTAMP"])
    assert.deepStrictEqual(clashes("github", headers), ["X-Hub-Signature-256"])
    assert.deepStrictEqual(clashes({ header: "X", typeHeader: "Other" }, headers), ["other"])
    assert.deepStrictEqual(clashes({ header: "X" }, headers), [])
    assert.deepStrictEqual(clashes("standard", headers), [])
  })
})

describe("signsWith", () => {
  it("lets each kind of secret sign where receivers can verify it", () => {
    for (const name of SignatureName.literals) assert.isTrue(signsWith(name, "hmac"))
    for (const name of ["standard", "svix"] as const) {
      assert.isTrue(signsWith(name, "ed25519"))
      assert.isFalse(signsWith(name, "text"))
    }
    for (const signature of ["hex", "github", "stripe", { header: "X" }] as const) {
      assert.isTrue(signsWith(signature, "text"))
      assert.isFalse(signsWith(signature, "ed25519"))
    }
  })
})
