/**
 * A key of a key ring, and the text in which people keep a ring. Apart from `KeyRing`, so that
 * settings are read without loading what seals.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

/** A key of a ring: 32 bytes, and what sealed secrets call it. */
export interface RingKey {
  /** 1 to 32 of `A-Z a-z 0-9 _ -`. */
  readonly id: string
  readonly key: Redacted.Redacted<Uint8Array>
}

/** Reads a ring from `id:base64,…`; fails with what was expected, without a byte of a key. */
export const parse = (text: string): Result.Result<ReadonlyArray<RingKey>, string> => {
  const keys: Array<RingKey> = []
  for (const entry of text.split(",").map((entry) => entry.trim())) {
    const [, id, base64] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=?)$/.exec(entry) ?? []
    if (id === undefined || base64 === undefined) {
      return Result.fail("expected id:base64,… with 32 bytes in each base64")
    }
    if (keys.some((key) => key.id === id)) {
      return Result.fail(`expected an id of its own for each key, got "${id}" twice`)
    }
    keys.push({ id, key: Redacted.make(new Uint8Array(Buffer.from(base64, "base64"))) })
  }
  return Result.succeed(keys)
}
