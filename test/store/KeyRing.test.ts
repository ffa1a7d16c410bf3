import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result, Schema } from "effect"
import { createCipheriv, randomBytes } from "node:crypto"
import { decodeAny, encode, keepEd25519 } from "../../src/domain/Secret.ts"
import { generate, KeyRing } from "../../src/store/KeyRing.ts"
import { parse, type RingKey } from "../../src/store/RingKey.ts"

const key = (id: string, fill: number): RingKey => ({
  id,
  key: Redacted.make(new Uint8Array(32).fill(fill))
})

const withRing =
  (...keys: ReadonlyArray<RingKey>) =>
  <A, E>(effect: Effect.Effect<A, E, KeyRing>) =>
    Effect.provide(effect, KeyRing.layer({ keys }))

const first = key("first", 1)
const second = key("second", 2)

const seal = (identity: string, secret: Uint8Array) =>
  Effect.flatMap(KeyRing, (ring) => ring.seal(identity, secret))
const open = (identity: string, stored: Uint8Array) =>
  Effect.flatMap(KeyRing, (ring) => ring.open(identity, stored))
const reasonOf = (identity: string, stored: Uint8Array) =>
  Effect.map(Effect.flip(open(identity, stored)), ({ reason }) => reason)

const text = (secret: string) => {
  const kept = decodeAny(secret)
  if (kept._tag === "None") throw new Error("no secret")
  return kept.value
}

const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))

/** 64 bytes or fewer, from which a secret of each kind is kept. */
const Drawn = Bytes.check(Schema.isMinLength(24), Schema.isMaxLength(64))

const kept = (drawn: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const bytes = Uint8Array.from(drawn)
  const pair = new Uint8Array(64)
  pair.set(bytes)
  return [bytes, keepEd25519(pair), text(`é🪝 ${Buffer.from(bytes).toString("hex")}`)]
}

describe("KeyRing", () => {
  it.effect.prop("opens what it sealed, for the same row", [Drawn, Schema.String], ([drawn, row]) =>
    Effect.gen(function* () {
      for (const secret of kept(drawn)) {
        const sealed = yield* seal(row, secret)
        assert.isAbove(sealed.length, 64)
        assert.strictEqual(sealed[0], 0xe1)
        assert.strictEqual(Buffer.from(sealed).indexOf(secret), -1)
        assert.deepStrictEqual(yield* open(row, sealed), secret)
      }
    }).pipe(withRing(first))
  )

  it.effect.prop("reads what was kept before there were rings", [Drawn], ([drawn]) =>
    Effect.gen(function* () {
      for (const secret of kept(drawn)) {
        assert.deepStrictEqual(yield* open("row", secret), secret)
      }
    }).pipe(withRing(first))
  )

  it.effect("refuses a sealed secret in which any one bit was changed, or which was cut", () =>
    Effect.gen(function* () {
      for (const secret of [randomBytes(24), text("a text"), keepEd25519(randomBytes(64))]) {
        const sealed = yield* seal("row", secret)
        for (let bit = 0; bit < sealed.length * 8; bit++) {
          const changed = sealed.slice()
          changed[bit >> 3]! ^= 1 << (bit & 7)
          yield* reasonOf("row", changed)
        }
        // What begins like a plain secret has to be one.
        for (const mark of [0, 1, 2, 3]) {
          yield* reasonOf("row", Uint8Array.from([mark, ...sealed.subarray(1)]))
        }
        for (let length = 65; length < sealed.length; length++) {
          yield* reasonOf("row", sealed.subarray(0, length))
        }
        yield* reasonOf("row", Buffer.concat([sealed, new Uint8Array(1)]))
      }
    }).pipe(withRing(first))
  )

  it.effect("refuses a sealed secret in another row's place", () =>
    Effect.gen(function* () {
      const a = yield* seal("webhook_secret/t/a/1", randomBytes(32))
      const b = yield* seal("webhook_secret/t/b/2", randomBytes(32))
      assert.strictEqual(yield* reasonOf("webhook_secret/t/a/1", b), "NotAuthentic")
      assert.strictEqual(yield* reasonOf("webhook_secret/t/b/2", a), "NotAuthentic")
    }).pipe(withRing(first))
  )

  it.effect("seals with its first key and opens with each", () =>
    Effect.gen(function* () {
      const secret = randomBytes(32)
      const old = yield* seal("row", secret).pipe(withRing(first))
      const now = yield* seal("row", secret).pipe(withRing(second, first))
      const both = withRing(second, first)
      assert.deepStrictEqual(yield* both(open("row", old)), new Uint8Array(secret))
      assert.deepStrictEqual(yield* both(open("row", now)), new Uint8Array(secret))
      assert.strictEqual(yield* withRing(first)(reasonOf("row", now)), "KeyMissing")
      assert.strictEqual(yield* withRing(key("second", 9))(reasonOf("row", now)), "NotAuthentic")
      const plain = Effect.provide(KeyRing.layerPlain)
      assert.strictEqual(yield* plain(reasonOf("row", now)), "KeyMissing")
      assert.deepStrictEqual(yield* plain(seal("row", secret)), secret)
    })
  )

  it.effect("seals the same secret to other bytes each time, as long for every hmac key", () =>
    Effect.gen(function* () {
      const secret = randomBytes(24)
      const a = yield* seal("row", secret)
      const b = yield* seal("row", secret)
      assert.notDeepEqual(a, b)
      assert.lengthOf(yield* seal("row", randomBytes(64)), a.length)
    }).pipe(withRing(first))
  )

  it.effect("writes the form that its description draws", () =>
    Effect.gen(function* () {
      const secret = randomBytes(32)
      const sealed = Buffer.from(yield* seal("row", secret))
      const head = Buffer.from([0xe1, 5, ...Buffer.from("first")])
      const inside = Buffer.concat([Buffer.from([0, 32]), secret, Buffer.alloc(32)])
      const cipher = createCipheriv("aes-256-gcm", Buffer.alloc(32, 1), sealed.subarray(7, 19))
      cipher.setAAD(Buffer.concat([head, Buffer.from("row")]))
      const expected = [head, sealed.subarray(7, 19), cipher.update(inside), cipher.final()]
      assert.deepStrictEqual(sealed, Buffer.concat([...expected, cipher.getAuthTag()]))
    }).pipe(withRing(first))
  )

  it.effect("reads its keys from text, and words what is wrong without a byte of them", () =>
    Effect.gen(function* () {
      const one = Redacted.value(yield* generate)
      const two = `b:${Buffer.alloc(32, 2).toString("base64")}`
      const keys = Result.getOrThrow(parse(`${one}, ${two}\n`))
      assert.deepStrictEqual([keys.length, keys[1]?.id], [2, "b"])
      assert.strictEqual(encode(Redacted.value(keys[0]!.key)).slice(6), one.split(":")[1])
      const wrong = [
        "",
        ",",
        "a",
        "a:",
        `${two},`,
        `${two},${two}`,
        "ä:" + two.slice(2),
        two.slice(0, -4)
      ]
      for (const text of wrong) {
        const parsed = parse(text)
        assert.isTrue(Result.isFailure(parsed), text)
        if (Result.isFailure(parsed)) assert.notInclude(parsed.failure, two.slice(2, 20))
      }
    })
  )
})
