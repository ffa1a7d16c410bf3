import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Option, Redacted, Schema } from "effect"
import {
  active,
  AnySecretText,
  decode,
  decodeAny,
  ed25519Bytes,
  encode,
  keepEd25519,
  keyOf,
  kindOf,
  publicKey,
  type Secret,
  secretBytes,
  SecretText
} from "../../src/domain/Secret.ts"
import { fromUuid } from "../../src/domain/TypeId.ts"
import vectors from "../send/vectors.json" with { type: "json" }

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const bytes = (minLength: number, maxLength: number) =>
  Arbitrary.map(
    Arbitrary.array(byte, { minLength, maxLength }),
    (numbers) => new Uint8Array(numbers)
  )
const key = bytes(secretBytes.min, secretBytes.max)
const pair = bytes(ed25519Bytes.pair, ed25519Bytes.pair)
/** What people type: letters of several scripts, signs, and spaces that are no control characters. */
const texts = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(Schema.Literals(["a", "Z", "0", "ß", "東", "🪝", "_", " ", "%"])),
    {
      minLength: 1,
      maxLength: 128
    }
  ),
  (chars) => chars.join("").trim() || "x"
)

const body = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
const whsec = (length: number) => encode(new Uint8Array(length).fill(0xab))
const whsk = (length: number) => `whsk_${Buffer.alloc(length, 0xab).toString("base64")}`

describe("decode", () => {
  it.prop("reads what encode made, with and without padding", { key }, ({ key }) => {
    const text = encode(key)
    assert.isTrue(Schema.is(SecretText)(text))
    assert.deepStrictEqual(decode(text), Option.some(key))
    assert.deepStrictEqual(decode(text.replace(/=+$/, "")), Option.some(key))
  })

  it.prop("reads a private key that encode made", { pair }, ({ pair }) => {
    const kept = keepEd25519(pair)
    assert.match(encode(kept), /^whsk_[A-Za-z0-9+/]{86}==$/)
    assert.isTrue(Schema.is(SecretText)(encode(kept)))
    assert.deepStrictEqual(decode(encode(kept)), Option.some(kept))
    assert.strictEqual(kindOf(kept), "ed25519")
    assert.deepStrictEqual(keyOf(kept), pair)
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

  it("takes keys of 24 to 64 bytes, and private keys of 64", () => {
    for (const length of [24, 32, 64]) assert.isTrue(Option.isSome(decode(whsec(length))))
    for (const length of [0, 1, 23, 65, 81]) {
      const text = `whsec_${Buffer.alloc(length, 0xab).toString("base64")}`
      assert.isTrue(Option.isNone(decode(text)), text)
    }
    for (const length of [0, 1, 32, 63, 65]) assert.isTrue(Option.isNone(decode(whsk(length))))
    assert.isTrue(Option.isSome(decode(whsk(64))))
  })

  it("answers none for what is no secret", () => {
    const refused = [
      ...vectors.verification.importsRefused,
      "",
      "whsec_",
      "whsk_",
      "whpk_",
      body,
      `hwsec_${body}`,
      `WHSEC_${body}`,
      `whpk_${body}`,
      `whsk_${body}`,
      whsk(64).toUpperCase(),
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

describe("decodeAny", () => {
  it.prop("reads any text, which encode gives back", { text: texts }, ({ text }) => {
    const kept = Option.getOrThrow(decodeAny(text))
    assert.isAbove(kept.length, secretBytes.max)
    assert.strictEqual(kindOf(kept), "text")
    assert.strictEqual(encode(kept), text)
    assert.deepStrictEqual(keyOf(kept), new TextEncoder().encode(text))
    assert.isTrue(Option.isNone(publicKey(kept)))
  })

  it.prop("reads what decode reads, to the same bytes", { key, pair }, ({ key, pair }) => {
    for (const text of [encode(key), encode(keepEd25519(pair))]) {
      assert.deepStrictEqual(decodeAny(text), decode(text))
    }
  })

  it("takes as a text what others begin with whsec_, and texts of 1 to 512 bytes", () => {
    const taken = [
      ...vectors.hex.map(({ secret }) => secret),
      "whsec_",
      `whsec_${body}A`,
      body,
      "x",
      "a b",
      "x".repeat(64),
      "x".repeat(65),
      "x".repeat(512),
      "ß".repeat(256)
    ]
    for (const text of taken) {
      const kept = Option.getOrThrow(decodeAny(text))
      assert.strictEqual(kindOf(kept), "text", text)
      assert.strictEqual(encode(kept), text)
      assert.isTrue(Schema.is(AnySecretText)(text))
    }
  })

  it("answers none for what is no text, a broken private key, or a public one", () => {
    const [{ publicKey, secret }] = vectors.ed25519 as [(typeof vectors.ed25519)[number]]
    const refused = [
      "",
      " ",
      " x",
      "x\n",
      "a\nb",
      "a\0b",
      "a\u007fb",
      "a\u0085b",
      "\ud800",
      "x".repeat(513),
      "ß".repeat(257),
      publicKey,
      "whpk_",
      "whsk_",
      secret.slice(0, -4),
      `${secret}=`
    ]
    for (const text of refused) {
      assert.isTrue(Option.isNone(decodeAny(text)), JSON.stringify(text))
      assert.isFalse(Schema.is(AnySecretText)(text), JSON.stringify(text))
    }
  })
})

describe("What is kept", () => {
  // Webhooks of version 0.1 have these bytes in the store, whatever they begin with.
  it("is the key itself for 24 to 64 bytes, as it always was", () => {
    for (const length of [24, 32, 64]) {
      for (const first of [0, 1, 2, 0x77]) {
        const kept = new Uint8Array(length).fill(0xcd)
        kept[0] = first
        assert.strictEqual(kindOf(kept), "hmac")
        assert.strictEqual(keyOf(kept), kept)
        assert.strictEqual(encode(kept), `whsec_${Buffer.from(kept).toString("base64")}`)
      }
    }
  })

  it("is never read as a key when it is of a kind that nobody knows", () => {
    for (const mark of [0, 3, 255]) {
      const kept = new Uint8Array(65)
      kept[0] = mark
      assert.throws(() => kindOf(kept), /this version does not know/)
      assert.throws(() => keyOf(kept))
      assert.throws(() => encode(kept))
    }
  })
})

describe("publicKey", () => {
  it("is the second half of a private key, and none of a shared one", () => {
    for (const vector of vectors.ed25519) {
      const kept = Option.getOrThrow(decode(vector.secret))
      assert.deepStrictEqual(publicKey(kept), Option.some(vector.publicKey))
    }
    assert.isTrue(Option.isNone(publicKey(new Uint8Array(64))))
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
