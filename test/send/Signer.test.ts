/**
 * Signatures against every published vector, and against the verifiers that receivers use.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createPublicKey, verify as verifyWith } from "node:crypto"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook as SvixWebhook } from "svix"
import {
  decode,
  decodeAny,
  encode,
  keepEd25519,
  keyOf,
  publicKey
} from "../../src/domain/Secret.ts"
import { Signature, SignatureName } from "../../src/domain/Signature.ts"
import { isPair, pairOf } from "../../src/send/Ed25519.ts"
import { Signer } from "../../src/send/Signer.ts"
import { verify } from "../../src/verify.ts"
import file from "./vectors.json" with { type: "json" }

/** Reads a secret of any length: one vector has a key that Posthaste itself would refuse. */
const secret = (text: string) => ({
  key: Redacted.make(new Uint8Array(Buffer.from(text.slice("whsec_".length), "base64")))
})
const anySecret = (text: string) => ({
  key: Redacted.make(Option.getOrThrow(decodeAny(text)))
})

const bytes = (text: string) => new TextEncoder().encode(text)

const [sw1] = file.vectors as [(typeof file.vectors)[number]]
const [a1] = file.ed25519 as [(typeof file.ed25519)[number]]
const message = {
  id: sw1.id,
  timestampSeconds: sw1.timestampSeconds,
  type: "invoice.paid",
  body: bytes(sw1.body)
}
const id = { "webhook-id": sw1.id, "webhook-timestamp": "1614265330" }
const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

const signing = Effect.provide(Signer.layer)

describe("Signer", () => {
  for (const vector of [...file.vectors, ...file.ed25519]) {
    it.effect(`signs ${vector.name} as published`, () =>
      Effect.gen(function* () {
        const signer = yield* Signer
        const repeat = "repeat" in vector ? vector.repeat : 1
        assert.strictEqual(
          signer.sign({
            id: vector.id,
            timestampSeconds: vector.timestampSeconds,
            body: bytes(vector.body.repeat(repeat)),
            secrets: [
              vector.secret.startsWith("whsk_") ? anySecret(vector.secret) : secret(vector.secret)
            ]
          }),
          vector.signature
        )
      }).pipe(signing)
    )
  }

  for (const vector of file.hex) {
    it.effect(`signs ${vector.name} as published`, () =>
      Effect.gen(function* () {
        const signer = yield* Signer
        const headers = signer.headers({
          signature: yield* Schema.decodeUnknownEffect(Signature)(vector.signature),
          id: "msg_1",
          timestampSeconds: vector.timestampSeconds,
          type: "a",
          body: bytes(vector.body),
          secrets: [anySecret(vector.secret)]
        })
        assert.strictEqual(headers[vector.header], vector.value)
      }).pipe(signing)
    )
  }

  it.effect("signs with each secret, the current one first, joined by one space", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const { rotation } = file
      assert.strictEqual(
        signer.sign({
          id: rotation.id,
          timestampSeconds: rotation.timestampSeconds,
          body: bytes(rotation.body),
          secrets: rotation.secrets.map(secret)
        }),
        rotation.signature
      )
    }).pipe(signing)
  )

  it.effect("signs in both schemes while a shared secret gives way to a private key", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const signed = (...secrets: ReadonlyArray<string>) =>
        signer.sign({ ...message, secrets: secrets.map(anySecret) })
      assert.strictEqual(signed(a1.secret, sw1.secret), `${a1.signature} ${sw1.signature}`)
      assert.strictEqual(signed(sw1.secret, a1.secret), `${sw1.signature} ${a1.signature}`)
    }).pipe(signing)
  )

  it.effect("signs a view of a larger buffer without what surrounds it", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const around = bytes(`before${sw1.body}after`)
      const body = around.subarray("before".length, -"after".length)
      assert.strictEqual(
        signer.sign({ ...message, body, secrets: [secret(sw1.secret), anySecret(a1.secret)] }),
        `${sw1.signature} ${a1.signature}`
      )
    }).pipe(signing)
  )

  it.effect("writes a signature in the headers of the webhook's choice, and no others", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const headers = (signature: Signature, ...secrets: ReadonlyArray<string>) =>
        signer.headers({ ...message, signature, secrets: secrets.map(anySecret) })
      const { signature } = sw1
      const hex = "e2cb4f5251572539d458bfb8a7adb533b08801e6a794467e06f771debbb0818b"
      assert.deepStrictEqual(headers("standard", sw1.secret), {
        ...id,
        "webhook-signature": signature
      })
      assert.deepStrictEqual(headers("svix", sw1.secret), {
        ...id,
        "webhook-signature": signature,
        "svix-id": sw1.id,
        "svix-timestamp": "1614265330",
        "svix-signature": signature
      })
      for (const name of ["x-signature", "hex"] as const) {
        assert.deepStrictEqual(headers(name, sw1.secret), {
          ...id,
          "X-Signature": hex,
          "X-Signature-256": `sha256=${hex}`,
          "X-Timestamp": "1614265330",
          "X-Event-Type": "invoice.paid"
        })
      }
      assert.deepStrictEqual(headers("github", sw1.secret), {
        ...id,
        "X-Hub-Signature-256": `sha256=${hex}`
      })
      assert.deepStrictEqual(headers("stripe", "whsec_test_secret"), {
        ...id,
        "Stripe-Signature": file.hex[4]!.value
      })
      assert.deepStrictEqual(
        headers(
          {
            header: "X-GS-Signature",
            timestampHeader: "X-GS-Timestamp",
            typeHeader: "X-GS-Type",
            prefix: "HMAC "
          },
          sw1.secret
        ),
        {
          ...id,
          "X-GS-Signature": `HMAC ${hex}`,
          "X-GS-Timestamp": "1614265330",
          "X-GS-Type": "invoice.paid"
        }
      )
    }).pipe(signing)
  )

  it.effect("signs with every secret where a header has room, else with the current one", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const headers = (signature: Signature, ...secrets: ReadonlyArray<string>) =>
        signer.headers({ ...message, signature, secrets: secrets.map(anySecret) })
      const one = headers("stripe", sw1.secret)["Stripe-Signature"]!
      const two = headers("stripe", other)["Stripe-Signature"]!
      assert.strictEqual(
        headers("stripe", sw1.secret, other)["Stripe-Signature"],
        `${one},${two.slice("t=1614265330,".length)}`
      )
      for (const name of ["x-signature", "github"] as const) {
        assert.deepStrictEqual(headers(name, sw1.secret, other), headers(name, sw1.secret))
      }
    }).pipe(signing)
  )

  it.effect("passes over secrets of a kind that makes no such signature", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const headers = (signature: Signature, ...secrets: ReadonlyArray<string>) =>
        signer.headers({ ...message, signature, secrets: secrets.map(anySecret) })
      assert.deepStrictEqual(
        headers("standard", sw1.secret, "a text"),
        headers("standard", sw1.secret)
      )
      assert.deepStrictEqual(headers("github", a1.secret, "a text"), headers("github", "a text"))
    }).pipe(signing)
  )

  it.effect("throws rather than leave a request unsigned", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      for (const signature of SignatureName.literals) {
        assert.throws(() => signer.headers({ ...message, signature, secrets: [] }), /No secret/)
      }
      const text = [anySecret("a text")]
      assert.throws(() => signer.sign({ ...message, secrets: text }), /No secret/)
      const pair = [anySecret(a1.secret)]
      assert.throws(
        () => signer.headers({ ...message, signature: "github", secrets: pair }),
        /No secret/
      )
    }).pipe(signing)
  )

  it.live(
    "convinces standardwebhooks, svix, Node's Ed25519 and verify, with 10,000 random bodies",
    () =>
      Effect.gen(function* () {
        const signer = yield* Signer
        const random = yield* Random.Random
        const below = (max: number) => Math.floor(random.nextDoubleUnsafe() * max)
        const draw = (length: number) => {
          const drawn = new Uint8Array(length)
          for (let i = 0; i < length; i++) drawn[i] = below(256)
          return drawn
        }
        const timestampSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const drawKeys = () => {
          const key = draw(24 + below(41))
          const kept = keepEd25519(pairOf(draw(32)))
          const [text, whpk] = [encode(key), Option.getOrThrow(publicKey(kept))]
          assert.deepStrictEqual(decode(text), Option.some(key))
          assert.isTrue(isPair(keyOf(kept)))
          return {
            key: Redacted.make(key),
            kept: Redacted.make(kept),
            text,
            whpk,
            public: ed25519(whpk)
          }
        }
        let keys = drawKeys()
        for (let round = 0; round < 10_000; round++) {
          if (round % 50 === 0) keys = drawKeys()
          const { key, kept, text, whpk } = keys
          const points = Array.from({ length: below(40) }, () => below(0xd800))
          const body = JSON.stringify({ round, text: String.fromCodePoint(...points) })
          const id = `msg_${round}`
          const headers = signer.headers({
            signature: "svix",
            id,
            timestampSeconds,
            type: "a",
            body: bytes(body),
            secrets: [{ key }, { key: kept }]
          })
          assert.deepStrictEqual(new StandardWebhook(text).verify(body, headers), JSON.parse(body))
          new SvixWebhook(text).verify(body, headers)
          const v1a = headers["webhook-signature"]!.split(" v1a,")[1]!
          assert.isTrue(
            verifyWith(
              null,
              bytes(`${id}.${timestampSeconds}.${body}`),
              keys.public,
              Buffer.from(v1a, "base64")
            )
          )
          const ok = { ok: true, id, timestampSeconds } as const
          const nowSeconds = timestampSeconds
          assert.deepStrictEqual(verify({ secret: text, headers, body, nowSeconds }), ok)
          assert.deepStrictEqual(verify({ secret: whpk, headers, body, nowSeconds }), ok)
          if (round % 50 > 0) continue
          assert.throws(() => new StandardWebhook(text).verify(`${body} `, headers))
          for (const secret of [text, whpk]) {
            assert.isFalse(verify({ secret, headers, body: `${body} `, nowSeconds }).ok)
          }
        }
      }).pipe(Random.withSeed("signer"), signing),
    60_000
  )
})

describe("Ed25519", () => {
  it("knows a public half that belongs to another private one", () => {
    const pair = Buffer.from(a1.secret.slice("whsk_".length), "base64")
    assert.isTrue(isPair(pair))
    assert.deepStrictEqual(pairOf(pair.subarray(0, 32)), new Uint8Array(pair))
    for (const at of [0, 31, 32, 63]) {
      const changed = new Uint8Array(pair)
      changed[at]! ^= 1
      assert.isFalse(isPair(changed))
    }
  })
})

/** Reads a public key in another way than the code under test does: as a JWK. */
const ed25519 = (whpk: string) =>
  createPublicKey({
    key: {
      kty: "OKP",
      crv: "Ed25519",
      x: Buffer.from(whpk.slice("whpk_".length), "base64").toString("base64url")
    },
    format: "jwk"
  })
