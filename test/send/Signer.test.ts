/**
 * Signatures against every published vector, and against the verifiers that receivers use.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook as SvixWebhook } from "svix"
import { decode, encode } from "../../src/domain/Secret.ts"
import { Signer } from "../../src/send/Signer.ts"
import file from "./vectors.json" with { type: "json" }

/** Reads a secret of any length: two vectors have keys that Posthaste itself would refuse. */
const secret = (text: string) => ({
  key: Redacted.make(new Uint8Array(Buffer.from(text.slice("whsec_".length), "base64")))
})

const bytes = (text: string) => new TextEncoder().encode(text)

describe("Signer", () => {
  for (const vector of file.vectors) {
    it.effect(`signs ${vector.name} as published`, () =>
      Effect.gen(function* () {
        const signer = yield* Signer
        assert.strictEqual(
          signer.sign({
            id: vector.id,
            timestampSeconds: vector.timestampSeconds,
            body: bytes(vector.body.repeat(vector.repeat ?? 1)),
            secrets: [secret(vector.secret)]
          }),
          vector.signature
        )
      }).pipe(Effect.provide(Signer.layer))
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
    }).pipe(Effect.provide(Signer.layer))
  )

  it.effect("signs a view of a larger buffer without what surrounds it", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const [vector] = file.vectors
      assert.isDefined(vector)
      const around = bytes(`before${vector.body}after`)
      assert.strictEqual(
        signer.sign({
          id: vector.id,
          timestampSeconds: vector.timestampSeconds,
          body: around.subarray("before".length, -"after".length),
          secrets: [secret(vector.secret)]
        }),
        vector.signature
      )
    }).pipe(Effect.provide(Signer.layer))
  )

  it.live("convinces standardwebhooks and svix, with 1,000 random bodies and keys", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      const timestampSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      for (let round = 0; round < 1_000; round++) {
        const key = new Uint8Array(yield* Random.nextIntBetween(24, 64))
        for (let i = 0; i < key.length; i++) key[i] = yield* Random.nextIntBetween(0, 255)
        const text = encode(key)
        assert.deepStrictEqual(decode(text), Option.some(key))

        const points: Array<number> = []
        const length = yield* Random.nextIntBetween(0, 40)
        for (let i = 0; i < length; i++) points.push(yield* Random.nextIntBetween(0, 0xd7ff))
        const body = JSON.stringify({ round, text: String.fromCodePoint(...points) })
        const id = `msg_${round}`
        const headers = {
          "webhook-id": id,
          "webhook-timestamp": String(timestampSeconds),
          "webhook-signature": signer.sign({
            id,
            timestampSeconds,
            body: bytes(body),
            secrets: [{ key: Redacted.make(key) }]
          })
        }
        assert.deepStrictEqual(new StandardWebhook(text).verify(body, headers), JSON.parse(body))
        new SvixWebhook(text).verify(body, headers)
        assert.throws(() => new StandardWebhook(text).verify(`${body} `, headers))
      }
    }).pipe(Random.withSeed("signer"), Effect.provide(Signer.layer))
  )
})
