/**
 * What a receiver's check accepts and refuses: the behaviours that the official libraries test
 * (SV-…), and those that they leave open.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Redacted, Schema } from "effect"
import { decodeAny, encode, keepEd25519, publicKey } from "../src/domain/Secret.ts"
import type * as Domain from "../src/domain/Signature.ts"
import { pairOf } from "../src/send/Ed25519.ts"
import { Signer } from "../src/send/Signer.ts"
import { type HexSignature, verify, verifyHex, type VerifyOptions } from "../src/verify.ts"
import file from "./send/vectors.json" with { type: "json" }

const vectors = [...file.vectors, ...file.ed25519].map((vector) => ({
  ...vector,
  body: vector.body.repeat("repeat" in vector ? vector.repeat : 1),
  secret: "publicKey" in vector ? vector.publicKey : vector.secret
}))
const vectorOf = (name: string) => vectors.find((vector) => vector.name === name)!
const sw1 = vectorOf("SW-01")
const a1 = vectorOf("SW-A1")
const now = sw1.timestampSeconds
const headersOf = (vector: typeof sw1) => ({
  "webhook-id": vector.id,
  "webhook-timestamp": String(vector.timestampSeconds),
  "webhook-signature": vector.signature
})
const check = (options: Partial<VerifyOptions> & { readonly vector?: typeof sw1 } = {}) => {
  const { vector = sw1, ...given } = options
  const { secret, body, timestampSeconds } = vector
  return verify({
    secret,
    headers: headersOf(vector),
    body,
    nowSeconds: timestampSeconds,
    ...given
  })
}
const accepted = (options?: Parameters<typeof check>[0]) => check(options).ok
const withHeaders = (changed: Record<string, string | ReadonlyArray<string> | undefined>) =>
  accepted({ headers: { ...headersOf(sw1), ...changed } })

const signer = Effect.runSync(Effect.provide(Signer, Signer.layer))
const signed = (
  signature: Domain.Signature,
  secrets: ReadonlyArray<Uint8Array>,
  body: Uint8Array
): Record<string, string> =>
  signer.headers({
    signature,
    id: "msg_1",
    timestampSeconds: now,
    type: "a.b",
    body,
    secrets: secrets.map((kept) => ({ key: Redacted.make(kept) }))
  })

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const bytes = (minLength: number, maxLength: number) =>
  Arbitrary.map(
    Arbitrary.array(byte, { minLength, maxLength }),
    (numbers) => new Uint8Array(numbers)
  )
const key = bytes(24, 64)
const seed = bytes(32, 32)
const body = bytes(1, 60)

/** Every way to change one character for another one, to lose one, or to double one. */
const tampered = (text: string): ReadonlyArray<string> =>
  text.split("").flatMap((char, at) => {
    const [before, after] = [text.slice(0, at), text.slice(at + 1)]
    // The neighbours differ in the lowest bits, which the end of base64 leaves unused.
    const code = text.charCodeAt(at)
    return [
      before + String.fromCharCode(code ^ 1) + after,
      before + String.fromCharCode(code ^ 2) + after,
      before + (char === "A" ? "B" : "A") + after,
      before + after,
      before + char + char + after
    ].filter((changed) => changed !== text)
  })
const flipped = (bytes: Uint8Array<ArrayBuffer>): ReadonlyArray<Uint8Array<ArrayBuffer>> => [
  ...Array.from(bytes, (byte, at) => bytes.with(at, byte ^ (1 << (at % 8)))),
  bytes.subarray(1),
  bytes.subarray(0, -1),
  new Uint8Array([...bytes, 0])
]

describe("verify", () => {
  for (const vector of vectors) {
    it(`accepts ${vector.name}, and not with its body changed`, () => {
      const { id, timestampSeconds } = vector
      assert.deepStrictEqual(check({ vector }), { ok: true, id, timestampSeconds })
      assert.isFalse(accepted({ vector, body: `${vector.body} ` }))
    })
  }

  it("accepts one signature that matches among others (SV-01, SV-02)", () => {
    for (const { vector, signature } of file.verification.accepted) {
      const found = vectorOf(vector)
      const headers = { ...headersOf(found), "webhook-signature": signature }
      assert.isTrue(accepted({ vector: found, headers }), signature)
    }
  })

  it("refuses signatures that are wrong, cut, malformed or of another version (SV-02 to SV-05)", () => {
    for (const { vector, signature } of file.verification.refused) {
      const found = vectorOf(vector)
      const headers = { ...headersOf(found), "webhook-signature": signature }
      assert.isFalse(accepted({ vector: found, headers }), signature)
    }
  })

  it("refuses a request without one of the headers, or with an empty one (SV-06)", () => {
    for (const name of Object.keys(headersOf(sw1))) {
      assert.isFalse(withHeaders({ [name]: undefined }), name)
      assert.isFalse(withHeaders({ [name]: "" }), name)
      assert.isFalse(withHeaders({ [name]: [] }), name)
      const fetched = new Headers(headersOf(sw1))
      fetched.delete(name)
      assert.isFalse(accepted({ headers: fetched }), name)
    }
  })

  it("refuses an empty id, although it is signed", () => {
    const body = Buffer.from("{}")
    const input = { id: "", timestampSeconds: now, type: "a", body, signature: "standard" } as const
    const key = Option.getOrThrow(decodeAny(sw1.secret))
    const headers = signer.headers({ ...input, secrets: [{ key: Redacted.make(key) }] })
    assert.isFalse(accepted({ headers, body }))
    assert.isFalse(accepted({ headers: new Headers(headers), body }))
  })

  it("accepts whole seconds up to 300 away, before and after (SV-07)", () => {
    for (const [nowSeconds, ok] of [
      [now - 301, false],
      [now - 300, true],
      [now + 300, true],
      [now + 300.999, true],
      [now + 301, false],
      [Number.NaN, false]
    ] as const) {
      assert.strictEqual(accepted({ nowSeconds }), ok, String(nowSeconds))
    }
    assert.isTrue(accepted({ nowSeconds: now + 10, toleranceSeconds: 10 }))
    assert.isFalse(accepted({ nowSeconds: now + 11, toleranceSeconds: 10 }))
    assert.isFalse(accepted({ nowSeconds: now + 11, toleranceSeconds: Number.NaN }))
  })

  it("goes by the machine's clock where no time is given", () => {
    const { secret, body } = sw1
    const headers = headersOf(sw1)
    assert.isFalse(verify({ secret, headers, body }).ok)
    assert.isTrue(verify({ secret, headers, body, toleranceSeconds: Number.MAX_VALUE }).ok)
  })

  it("accepts header names in any case, and every common shape of headers (SV-08)", () => {
    const headers = headersOf(sw1)
    const renamed = (rename: (name: string) => string) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [rename(name), value]))
    assert.isTrue(accepted({ headers: renamed((name) => name.toUpperCase()) }))
    assert.isTrue(accepted({ headers: renamed((name) => name.replace("webhook", "Webhook")) }))
    assert.isTrue(accepted({ headers: new Headers(headers) }))
    const distinct = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, [value]])
    )
    assert.isTrue(accepted({ headers: distinct }))
  })

  it("accepts a secret with and without whsec_ and padding (SV-09, SV-12)", () => {
    assert.isTrue(accepted({ secret: sw1.secret.slice("whsec_".length) }))
    for (const [padded, unpadded] of [
      ["SW-D6", file.verification.unpadded[0]],
      ["SW-D7", file.verification.unpadded[1]]
    ] as const) {
      assert.isDefined(unpadded)
      assert.isTrue(accepted({ vector: vectorOf(padded), secret: unpadded }))
      assert.isTrue(accepted({ vector: vectorOf(padded), secret: `whsec_${unpadded}` }))
    }
  })

  it("throws where the receiver has no usable secret, whatever the request is (SV-10)", () => {
    const nothing = null as unknown as string
    const broken = [
      ...file.verification.emptySecrets,
      nothing,
      [],
      [nothing],
      [sw1.secret, ""],
      "whsec_%",
      "whsec_a b",
      `${sw1.secret} `,
      "whsec_A",
      "whpk_",
      "whpk_AAAA",
      `${a1.secret}AAAA`,
      file.ed25519[0]!.secret
    ]
    for (const secret of broken) {
      assert.throws(() => check({ secret }), TypeError)
      assert.throws(() => check({ secret, headers: {} }), TypeError)
    }
    assert.throws(() => check({ secret: file.ed25519[0]!.secret }), /private key/)
  })

  it("refuses timestamps that are no whole seconds, even when they are signed (SV-07, SV-11)", () => {
    const timestamps = [
      ...file.verification.timestampsRefused,
      "1614265330abc",
      "1614265330.0",
      " 1614265330",
      "1614265330 ",
      "+1614265330",
      "1.61426533e9",
      "0x60379f32",
      "1614265330, 1614265330",
      "１６１４２６５３３０",
      "99999999999999999999"
    ]
    for (const timestamp of timestamps) {
      const secret = Option.getOrThrow(decodeAny(sw1.secret))
      const signature = signer.sign({
        id: sw1.id,
        // As a sender would sign who never looks at what it signs.
        timestampSeconds: timestamp as unknown as number,
        body: Buffer.from(sw1.body),
        secrets: [{ key: Redacted.make(secret) }]
      })
      const changed = { "webhook-timestamp": timestamp, "webhook-signature": signature }
      assert.isFalse(withHeaders(changed), timestamp)
    }
  })

  it("refuses headers that come twice, however they are joined", () => {
    for (const [name, value] of Object.entries(headersOf(sw1))) {
      assert.isFalse(withHeaders({ [name]: [value, value] }), name)
      assert.isFalse(withHeaders({ [name.toUpperCase()]: value }), name)
      assert.isFalse(withHeaders({ [name]: `${value}, ${value}` }), name)
      const fetched = new Headers(headersOf(sw1))
      fetched.append(name, value)
      assert.isFalse(accepted({ headers: fetched }), name)
    }
  })

  it("refuses an id with a dot, as the signed bytes could be cut in another place", () => {
    const bytes = Buffer.from(`${now}.{}`)
    const headers = signed("standard", [Option.getOrThrow(decodeAny(sw1.secret))], bytes)
    assert.isTrue(accepted({ headers, body: bytes }))
    // The same signed bytes: the old timestamp is now a part of the id.
    const moved = {
      ...headers,
      "webhook-id": `msg_1.${headers["webhook-timestamp"]}`,
      "webhook-timestamp": String(now)
    }
    assert.isFalse(accepted({ headers: moved, body: "{}" }))
  })

  it("accepts any of several secrets, of both kinds", () => {
    const unknown = `whsec_${Buffer.alloc(32).toString("base64")}`
    const unknownPublic = `whpk_${Buffer.from(pairOf(new Uint8Array(32)).subarray(32)).toString("base64")}`
    for (const vector of [sw1, a1]) {
      assert.isTrue(accepted({ vector, secret: [unknown, unknownPublic, vector.secret] }))
      assert.isFalse(accepted({ vector, secret: [unknown, unknownPublic] }))
    }
    const both = `${a1.signature} ${sw1.signature}`
    for (const secret of [sw1.secret, a1.secret]) {
      const headers = { ...headersOf(sw1), "webhook-signature": both }
      assert.isTrue(accepted({ secret, headers }))
    }
  })

  it("believes no signature of one scheme in the other", () => {
    const crossed = (vector: typeof sw1, from: string, to: string) =>
      accepted({
        vector,
        headers: { ...headersOf(vector), "webhook-signature": vector.signature.replace(from, to) }
      })
    assert.isTrue(crossed(sw1, "v1,", "v1,"))
    assert.isFalse(crossed(sw1, "v1,", "v1a,"))
    assert.isFalse(crossed(a1, "v1a,", "v1,"))
    // A public key is no secret, so that what is signed with it proves nothing.
    const asSecret = a1.secret.replace("whpk_", "whsec_")
    const forged = signed("standard", [Option.getOrThrow(decodeAny(asSecret))], Buffer.from("{}"))
    assert.isFalse(accepted({ vector: a1, headers: forged, body: "{}" }))
  })

  it("compares no more than 32 signatures", () => {
    const many = (count: number) => `${"v1a,AAAA ".repeat(count - 1)}${sw1.signature}`
    assert.isTrue(withHeaders({ "webhook-signature": many(32) }))
    assert.isFalse(withHeaders({ "webhook-signature": many(33) }))
  })

  it("takes the body as text or as bytes", () => {
    for (const vector of [vectorOf("SW-D2"), a1]) {
      assert.isTrue(accepted({ vector, body: Buffer.from(vector.body) }))
      assert.isTrue(accepted({ vector, body: new TextEncoder().encode(vector.body) }))
    }
  })

  it.prop(
    "accepts what the signer signed, and nothing of it with one byte changed",
    { key, seed, body },
    ({ key, seed, body }) => {
      const kept = keepEd25519(pairOf(seed))
      const whpk = Option.getOrThrow(publicKey(kept))
      for (const [secret, signs] of [
        [encode(key), key],
        [whpk, kept]
      ] as const) {
        const headers = signed("standard", [signs], body)
        const ok = (changed: Record<string, string>, changedBody = body) =>
          accepted({ secret, headers: { ...headers, ...changed }, body: changedBody })
        assert.isTrue(ok({}))
        for (const changed of flipped(body)) assert.isFalse(ok({}, changed))
        // One in seven positions keeps the run short; the properties together reach them all.
        for (const [name, value] of Object.entries(headers)) {
          const all = tampered(value)
          for (let i = body.length % 7; i < all.length; i += 7) {
            assert.isFalse(ok({ [name]: all[i]! }), `${name}: ${all[i]}`)
          }
        }
      }
    }
  )

  it("accepts no other spelling of any header", () => {
    for (const vector of [sw1, a1]) {
      for (const [name, value] of Object.entries(headersOf(vector))) {
        for (const changed of tampered(value)) {
          const headers = { ...headersOf(vector), [name]: changed }
          assert.isFalse(accepted({ vector, headers }), changed)
        }
      }
    }
  })
})

const hexOf = (name: string) => file.hex.find((vector) => vector.name === name)!
const signatureOf = (vector: (typeof file.hex)[number]) =>
  // The file's texts are what the type lists; the compiler sees any text there.
  vector.signature as HexSignature

describe("verifyHex", () => {
  for (const vector of file.hex) {
    it(`accepts ${vector.name}, and not with its body or secret changed`, () => {
      const given = {
        signature: signatureOf(vector),
        secret: vector.secret,
        headers: { [vector.header]: vector.value },
        body: vector.body,
        nowSeconds: vector.timestampSeconds
      }
      assert.isTrue(verifyHex(given).ok)
      assert.isTrue(verifyHex({ ...given, secret: Buffer.from(vector.secret) }).ok)
      assert.isTrue(verifyHex({ ...given, secret: ["other", vector.secret] }).ok)
      assert.isFalse(verifyHex({ ...given, body: `${vector.body} ` }).ok)
      assert.isFalse(verifyHex({ ...given, secret: `${vector.secret}x` }).ok)
      for (const changed of tampered(vector.value)) {
        assert.isFalse(verifyHex({ ...given, headers: { [vector.header]: changed } }).ok, changed)
      }
    })
  }

  const settings: ReadonlyArray<HexSignature> = [
    "x-signature",
    "hex",
    "github",
    "stripe",
    { header: "X-GS-Signature", timestampHeader: "X-GS-Timestamp" },
    { header: "X-A", signs: "timestamp.body", prefix: "HMAC " },
    { scheme: "hex", header: "X-A", signs: "timestamp,body", timestampHeader: "X-B" },
    { header: "X-A", style: "t,v1", typeHeader: "X-C" },
    { header: "X-A", style: "t,v1", signs: "timestamp,body" }
  ]
  // What a webhook's setting may say is what a receiver may say, so each can be copied.
  const sendable: ReadonlyArray<Domain.Signature> = settings
  const texts = Arbitrary.schema(
    Schema.Literals([
      "x",
      "It's a Secret to Everybody",
      "whsec_test_secret",
      "whsec_",
      "whsec_AAAA"
    ])
  )

  it.prop(
    "accepts what the signer signed, and no body with one byte changed",
    { key, text: texts, body },
    ({ key, text, body }) => {
      for (const secret of [encode(key), text]) {
        for (const [i, signature] of settings.entries()) {
          const headers = signed(sendable[i]!, [Option.getOrThrow(decodeAny(secret))], body)
          const given = { signature, secret, headers, nowSeconds: now }
          assert.isTrue(verifyHex({ ...given, body }).ok, JSON.stringify(signature))
          for (const changed of flipped(body)) {
            assert.isFalse(verifyHex({ ...given, body: changed }).ok)
          }
        }
      }
    }
  )

  it("judges the age where the timestamp is signed, and tells it", () => {
    const kept = Option.getOrThrow(decodeAny("a text"))
    for (const [i, signature] of settings.entries()) {
      const headers = signed(sendable[i]!, [kept], Buffer.from("{}"))
      const at = (nowSeconds: number) =>
        verifyHex({ signature, secret: "a text", headers, body: "{}", nowSeconds })
      const signsTime =
        signature === "stripe" ||
        (typeof signature === "object" && (signature.style ?? signature.signs) !== undefined)
      const ok = { ok: true, timestampSeconds: signsTime ? now : null } as const
      assert.deepStrictEqual(at(now), ok)
      assert.strictEqual(at(now + 301).ok, !signsTime)
      assert.strictEqual(at(now - 301).ok, !signsTime)
    }
  })

  it("refuses another time, a time that is missing, and one that comes twice", () => {
    const signature = { header: "X-A", signs: "timestamp.body", timestampHeader: "X-B" } as const
    const headers = signed(signature, [Option.getOrThrow(decodeAny("a text"))], Buffer.from("{}"))
    const ok = (changed: Record<string, string | ReadonlyArray<string> | undefined>) =>
      verifyHex({
        signature,
        secret: "a text",
        headers: { ...headers, ...changed },
        body: "{}",
        nowSeconds: now
      }).ok
    assert.isTrue(ok({}))
    assert.isTrue(ok({ "webhook-timestamp": undefined }))
    for (const time of [String(now + 1), `${now}abc`, undefined, [`${now}`, `${now}`]]) {
      assert.isFalse(ok({ "X-B": time }))
    }
    assert.isFalse(ok({ "X-A": undefined }))
    assert.isFalse(ok({ "x-a": headers["X-A"] }))
  })

  it("reads t,v1 with several signatures, other names between, and no second time", () => {
    const { value, secret, body } = hexOf("HX-05")
    const [t, v1] = value.split(",") as [string, string]
    const wrong = `v1=${"0".repeat(64)}`
    const ok = (value: string) =>
      verifyHex({
        signature: "stripe",
        secret,
        headers: { "stripe-signature": value },
        body,
        nowSeconds: now
      }).ok
    for (const good of [`${v1},${t}`, `${t},${wrong},v0=x,${v1}`, `${t},${v1},${wrong}`]) {
      assert.isTrue(ok(good), good)
    }
    for (const bad of [
      "",
      t,
      v1,
      `${t},${wrong}`,
      `${t},v0=${v1.slice(3)}`,
      `${t},${t},${v1}`,
      `t=1,${t},${v1}`,
      `${t}, ${v1}`,
      `${t},${v1}, ${t},${v1}`,
      `${t},${v1.toUpperCase()}`,
      `${t},${`${wrong},`.repeat(32)}${v1}`
    ]) {
      assert.isFalse(ok(bad), bad)
    }
  })

  it("reads the secret as the signer does: decoded after whsec_, else as its text", () => {
    const key = new Uint8Array(32).fill(7)
    const headers = signed("github", [key], Buffer.from("{}"))
    const ok = (secret: string | Uint8Array) =>
      verifyHex({ signature: "github", secret, headers, body: "{}" }).ok
    assert.isTrue(ok(encode(key)))
    assert.isTrue(ok(encode(key).replace("=", "")))
    assert.isTrue(ok(key))
    assert.isFalse(ok(encode(key).slice("whsec_".length)))
    assert.isFalse(ok(Buffer.from(encode(key))))
  })

  it("throws where the receiver's secret or setting is unusable", () => {
    const given = { headers: {}, body: "{}" }
    const nothing = null as unknown as string
    for (const secret of ["", [], [""], new Uint8Array(), nothing, a1.secret, "whsk_AAAA"]) {
      assert.throws(() => verifyHex({ ...given, signature: "github", secret }), TypeError)
    }
    for (const signature of ["standard", "toString", nothing] as ReadonlyArray<unknown>) {
      const wrong = signature as HexSignature
      assert.throws(() => verifyHex({ ...given, signature: wrong, secret: "x" }), TypeError)
    }
  })
})
