/**
 * Makes ids: UUIDv7 from the Clock and secure randomness, in the order of their making.
 *
 * Ids of one process ascend even within a millisecond (RFC 9562 section 6.2, method 1: the 12 bits
 * after the version count). A message's id ends in 16 zero bits, which number its deliveries.
 */
import { Clock, Context, Effect, Layer, Random } from "effect"
import { randomFillSync } from "node:crypto"
import { fromBytes, type Kinds, type MessageId } from "../domain/TypeId.ts"

export class Ids extends Context.Service<
  Ids,
  {
    /** Makes the next id of a kind. */
    readonly next: <K extends keyof Kinds>(kind: K) => Effect.Effect<Kinds[K]>
    /** Makes the id of a message, whose last 16 bits are free for its deliveries. */
    readonly nextMessage: Effect.Effect<MessageId>
    /** Makes random bytes that nobody can guess, for keys and secrets. */
    readonly bytes: (length: number) => Effect.Effect<Uint8Array>
  }
>()("posthaste/store/Ids") {
  /** Ids from the operating system's randomness. */
  static readonly layer = Layer.sync(Ids, () => make(pooled()))

  /** Ids from the `Random` service, so that a seed repeats them. For tests only: guessable. */
  static readonly layerSeeded = Layer.effect(
    Ids,
    Effect.gen(function* () {
      const random = yield* Random.Random
      return make((bytes) => {
        for (let i = 0; i < bytes.length; i++) bytes[i] = random.nextIntUnsafe() & 255
      })
    })
  )
}

const make = (fill: (bytes: Uint8Array) => void) => {
  let lastMs = 0
  let counter = 0
  const mint = (now: number): Uint8Array => {
    if (now > lastMs) {
      lastMs = now
      counter = 0
    } else if (++counter > 0xfff) {
      lastMs++
      counter = 0
    }
    const bytes = new Uint8Array(16)
    fill(bytes)
    bytes[0] = lastMs / 2 ** 40
    bytes[1] = lastMs / 2 ** 32
    bytes[2] = lastMs / 2 ** 24
    bytes[3] = lastMs / 2 ** 16
    bytes[4] = lastMs / 2 ** 8
    bytes[5] = lastMs
    bytes[6] = 0x70 | (counter >> 8)
    bytes[7] = counter
    bytes[8] = 0x80 | (bytes[8]! & 0x3f)
    return bytes
  }
  return Ids.of({
    next: (kind) => Effect.map(Clock.currentTimeMillis, (now) => fromBytes(kind, mint(now))),
    nextMessage: Effect.map(Clock.currentTimeMillis, (now) => {
      const bytes = mint(now)
      bytes[14] = 0
      bytes[15] = 0
      return fromBytes("message", bytes)
    }),
    bytes: (length) =>
      Effect.sync(() => {
        const bytes = new Uint8Array(length)
        fill(bytes)
        return bytes
      })
  })
}

/** Draws from a pool: one call to the operating system for 4 KiB is 14 times cheaper than many. */
const pooled = () => {
  const pool = new Uint8Array(4096)
  let used = pool.length
  return (bytes: Uint8Array): void => {
    if (bytes.length > pool.length) {
      randomFillSync(bytes)
      return
    }
    if (used + bytes.length > pool.length) {
      randomFillSync(pool)
      used = 0
    }
    bytes.set(pool.subarray(used, used + bytes.length))
    // What was handed out must not be found in memory again.
    pool.fill(0, used, used + bytes.length)
    used += bytes.length
  }
}
