import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createdAt, toBytes, toUuid, WebhookId, type TypeId } from "../../src/domain/TypeId.ts"
import { Ids } from "../../src/store/Ids.ts"

const start = 1_700_000_000_000

const many = <A>(count: number, effect: Effect.Effect<A>) =>
  Effect.forEach(Array.from({ length: count }), () => effect)

const isAscending = (ids: ReadonlyArray<TypeId>) =>
  ids.every((id, i) => i === 0 || toUuid(ids[i - 1]!) < toUuid(id))

describe("Ids", () => {
  it.effect("next makes a UUIDv7 of the clock's time, with the prefix of its kind", () =>
    Effect.gen(function* () {
      const ids = yield* Ids
      yield* TestClock.setTime(start)
      const id = yield* ids.next("webhook")
      assert.isTrue(Schema.is(WebhookId)(id))
      assert.strictEqual(createdAt(id), start)
      assert.match(
        toUuid(id),
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(createdAt(yield* ids.next("tenant")), start + 1_000)
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("ids ascend in the order of their making, whatever the clock does", () =>
    Effect.gen(function* () {
      const ids = yield* Ids
      yield* TestClock.setTime(start)
      const standing = yield* many(20_000, ids.next("attempt"))
      assert.isTrue(isAscending(standing))
      // 4,096 fit into a millisecond, the others are dated ahead.
      assert.strictEqual(createdAt(standing[4_095]!), start)
      assert.strictEqual(createdAt(standing[4_096]!), start + 1)
      assert.strictEqual(createdAt(standing.at(-1)!), start + 4)
      yield* TestClock.adjust("1 millis")
      const behind = yield* ids.next("attempt")
      const before = { ...(yield* Clock.Clock), currentTimeMillis: Effect.succeed(start - 60_000) }
      const backwards = yield* ids.next("attempt").pipe(Effect.provideService(Clock.Clock, before))
      assert.isTrue(isAscending([standing.at(-1)!, behind, backwards]))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(createdAt(yield* ids.next("attempt")), start + 1_001)
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("the id of a message leaves its last 16 bits free and is still unique", () =>
    Effect.gen(function* () {
      const ids = yield* Ids
      yield* TestClock.setTime(start)
      const made = yield* many(5_000, ids.nextMessage)
      for (const id of made) assert.deepStrictEqual(toBytes(id).slice(14), new Uint8Array(2))
      assert.isTrue(isAscending(made))
      assert.strictEqual(new Set(made).size, made.length)
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("two processes make no id twice in the same millisecond", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const process = Effect.gen(function* () {
        const ids = yield* Ids
        return yield* many(4_000, ids.nextMessage)
      }).pipe(Effect.provide(Ids.layer, { local: true }))
      const made = [...(yield* process), ...(yield* process)]
      assert.strictEqual(new Set(made).size, 8_000)
      // The versions agree, so what differs is chance.
      assert.strictEqual(new Set(made.map((id) => toUuid(id).slice(0, 18))).size, 4_000)
    })
  )

  it.effect("bytes are of the length asked for, and of all values", () =>
    Effect.gen(function* () {
      const ids = yield* Ids
      for (const length of [0, 1, 16, 32, 4_096, 10_000]) {
        assert.lengthOf(yield* ids.bytes(length), length)
      }
      const counts = Array.from({ length: 256 }, () => 0)
      const total = 256 * 1_000
      for (const bytes of yield* many(total / 32, ids.bytes(32))) {
        for (const byte of bytes) counts[byte]!++
      }
      // Each count is 1,000 but for chance, whose standard deviation is 32: eight of them.
      for (const count of counts) assert.isTrue(count > 750 && count < 1_250, String(count))
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("bytes are handed out once", () =>
    Effect.gen(function* () {
      const ids = yield* Ids
      const made = yield* many(2_000, ids.bytes(16))
      assert.strictEqual(
        new Set(made.map((bytes) => Buffer.from(bytes).toString("hex"))).size,
        2_000
      )
      const [first, ...others] = made
      first!.fill(0)
      assert.isTrue(others.every((bytes) => bytes.some((byte) => byte !== 0)))
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("a seed repeats the ids and bytes of layerSeeded", () =>
    Effect.gen(function* () {
      const run = (seed: string) =>
        Effect.gen(function* () {
          const ids = yield* Ids
          return [yield* ids.next("webhook"), yield* ids.nextMessage, yield* ids.bytes(32)] as const
        }).pipe(Effect.provide(Ids.layerSeeded, { local: true }), Random.withSeed(seed))
      assert.deepStrictEqual(yield* run("a"), yield* run("a"))
      assert.notDeepEqual(yield* run("a"), yield* run("b"))
      const bytes = (yield* run("a"))[2]
      assert.isAbove(new Set(bytes).size, 16)
    })
  )
})
