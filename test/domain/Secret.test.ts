import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Option, Redacted, Schema } from "effect"
import {
  active,
  decode,
  encode,
  type Secret,
  secretBytes,
  SecretText
} from "../../src/domain/Secret.ts"
import { fromUuid } from "../../src/domain/TypeId.ts"

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const key = Arbitrary.map(
  Arbitrary.array(byte, { minLength: secretBytes.min, maxLength: secretBytes.max }),
  (bytes) => new Uint8Array(bytes)
)

const whsec = (length: number) => encode(new Uint8Array(length).fill(0xab))

describe("decode", () => {
  it.prop("reads what encode made, with and without padding", { key }, ({ key }) => {
    const text = encode(key)
    assert.isTrue(Schema.is(SecretText)(text))
    assert.deepStrictEqual(decode(text), Option.some(key))
    assert.deepStrictEqual(decode(text.replace(/=+$/, "")), Option.some(key))
  })

  // Source: the test suites of the Standard Webhooks and Svix libraries.
  it("reads secrets that are used in the wild", () => {
    const known = [
      ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 24],
      ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", 24],
      ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr==", 25],
      ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr", 25]
    ] as const
    for (const [text, length] of known) {
      const bytes = Option.getOrThrow(decode(text))
      assert.strictEqual(bytes.length, length)
      assert.deepStrictEqual(bytes, new Uint8Array(Buffer.from(text.slice(6), "base64")))
    }
  })

  it("takes keys of 24 to 64 bytes", () => {
    for (const length of [24, 32, 64]) assert.isTrue(Option.isSome(decode(whsec(length))))
    for (const length of [0, 1, 23, 65, 81]) assert.isTrue(Option.isNone(decode(whsec(length))))
  })

  it("answers none for what is no secret", () => {
    const body = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    const refused = [
      "",
      "w",
      "whsec_",
      "whsec_%",
      "whsec_wronglength",
      body,
      `hwsec_${body}`,
      `WHSEC_${body}`,
      `whpk_${body}`,
      `whsk_${body}`,
      ` whsec_${body}`,
      `whsec_${body}\n`,
      `whsec_${body} `,
      `whsec_${body.slice(0, 16)}\n${body.slice(16)}`,
      `whsec_${body.slice(0, 16)}=${body.slice(16)}`,
      // A single digit in the last group is no byte, and padding fills up to four.
      `whsec_${body}A`,
      `whsec_${body}A===`,
      `whsec_${body}=`,
      `whsec_${body}Br=`,
      // Another alphabet: base64url.
      `whsec_${body.slice(0, -2)}-_`
    ]
    for (const text of refused) {
      assert.isTrue(Option.isNone(decode(text)), JSON.stringify(text))
      assert.isFalse(Schema.is(SecretText)(text), JSON.stringify(text))
    }
  })
})

describe("active", () => {
  const secret = (id: number, expiresAt: number | null): Secret => ({
    id: fromUuid("secret", `00000000-0000-0000-0000-00000000000${id}`),
    key: Redacted.make(new Uint8Array(24)),
    createdAt: 0,
    expiresAt
  })

  it("keeps the current secret and those before their end, in their order", () => {
    const secrets = [secret(3, null), secret(2, 1_001), secret(1, 1_000)]
    assert.deepStrictEqual(active(secrets, 999), secrets)
    assert.deepStrictEqual(active(secrets, 1_000), secrets.slice(0, 2))
    assert.deepStrictEqual(active(secrets, 5_000), secrets.slice(0, 1))
  })
})
