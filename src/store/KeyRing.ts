/**
 * Keeps secrets from whoever reads the database alone: its files, its dumps, its backups.
 *
 * A ring is one key or more. The first one seals; each of them opens what it has sealed, so a ring
 * may grow at its front while everything goes on, and loses a key once nothing is sealed by it.
 *
 * ```
 * 0xE1 | length of the key's id | key's id | nonce (12) | ciphertext (66 or more) | tag (16)
 * ```
 *
 * AES-256-GCM. Inside is the length of the secret in two bytes, the secret, and zeros up to 66 bytes:
 * a secret of up to 65,535 bytes fits.
 * What is authenticated along with it is the head and an identity, which names the row: a sealed
 * secret that is moved to another row does not open there.
 *
 * Secrets written before there were rings are read as they are. A sealed one is never taken for such:
 * it is longer than 64 bytes and begins with 0xE1, and plain ones of more than 64 bytes begin with
 * the kind of the secret (`domain/Secret`).
 *
 * **Gotchas** Who may write to the database can still put a plain secret in the place of a sealed one.
 *
 * Source: NIST SP 800-38D; a key with random nonces seals up to 2^32 times (section 8.3).
 */
import { Context, Effect, Layer, Redacted, Result, Schema } from "effect"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { decodeAny, encode, secretBytes } from "../domain/Secret.ts"
import type { RingKey } from "./RingKey.ts"

export class KeyRing extends Context.Service<
  KeyRing,
  {
    /** Seals a secret's bytes for the row that the identity names. */
    readonly seal: (identity: string, secret: Uint8Array) => Effect.Effect<Uint8Array>
    /**
     * Opens what was sealed for the row, or answers a copy of what was written plain. `isPlain` tells
     * what can have been; when absent, what a secret looks like.
     */
    readonly open: (
      identity: string,
      stored: Uint8Array,
      isPlain?: (stored: Uint8Array) => boolean
    ) => Effect.Effect<Uint8Array, SecretUnreadable>
    /** What begins all that the first key seals; null where nothing is sealed. */
    readonly head: Uint8Array | null
  }
>()("posthaste/store/KeyRing") {
  /** Seals with the first key and opens with all. Dies of a ring that `RingKey.parse` would refuse. */
  static readonly layer = (options: KeyRingOptions): Layer.Layer<KeyRing> =>
    Layer.sync(KeyRing, () => make(options.keys))

  /** Keeps secrets as they are, readable for whoever reads the database. */
  static readonly layerPlain: Layer.Layer<KeyRing> = Layer.sync(KeyRing, () =>
    KeyRing.of({
      seal: (_, secret) => Effect.succeed(secret),
      open: (_, stored, isPlain = isSecret) =>
        opened(isSealed(stored) ? unreadable(stored, "KeyMissing") : plain(stored, isPlain)),
      head: null
    })
  )
}

export interface KeyRingOptions {
  /** At least one, each with an id of its own. The first one seals, all open. */
  readonly keys: ReadonlyArray<RingKey>
}

/** Reports a secret that cannot be opened: its key is not in the ring, or it is not what was sealed. */
export class SecretUnreadable extends Schema.TaggedError<SecretUnreadable>()("SecretUnreadable", {
  reason: Schema.Literals(["KeyMissing", "NotAuthentic"]),
  /** The key that it names; null if it names none. */
  keyId: Schema.NullOr(Schema.String)
}) {
  /** Says why, without a byte of the secret. */
  override get message(): string {
    return this.reason === "KeyMissing"
      ? `The key "${this.keyId}" is not in the key ring`
      : "It is not what was sealed for this row, or was sealed by another key of the same id"
  }
}

/** Makes a ring of one new key, as text that `RingKey.parse` reads. */
export const generate: Effect.Effect<Redacted.Redacted> = Effect.sync(() => {
  const id = `k${randomBytes(4).toString("hex")}`
  return Redacted.make(`${id}:${randomBytes(keyBytes).toString("base64")}`)
})

/** Begins every sealed secret: the form described above. */
export const sealedMark = 0xe1

const cipher = "aes-256-gcm"
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16
/** Makes all `hmac` secrets of one length, and every sealed one longer than a plain `hmac`. */
const insideBytesMin = 2 + secretBytes.max

const make = (keys: ReadonlyArray<RingKey>): KeyRing["Service"] => {
  const ring = new Map(keys.map(({ id, key }) => [id, Redacted.value(key)]))
  const first = keys[0]
  if (first === undefined || ring.size !== keys.length || !keys.every(isRingKey)) {
    throw new Error("A key ring needs keys of 32 bytes, each with an id of its own")
  }
  const head = headOf(first.id)
  const sealing = Redacted.value(first.key)

  return KeyRing.of({
    seal: (identity, secret) =>
      Effect.sync(() => {
        const inside = Buffer.alloc(Math.max(2 + secret.length, insideBytesMin))
        inside.writeUInt16BE(secret.length)
        inside.set(secret, 2)
        // Not from Ids: a seed that repeats nonces under one key gives away what they sealed.
        const nonce = randomBytes(nonceBytes)
        const sealer = createCipheriv(cipher, sealing, nonce, { authTagLength: tagBytes })
        sealer.setAAD(aadOf(head, identity))
        const ciphertext = sealer.update(inside)
        sealer.final()
        inside.fill(0)
        return new Uint8Array(Buffer.concat([head, nonce, ciphertext, sealer.getAuthTag()]))
      }),
    open: (identity, stored, isPlain = isSecret) => opened(open(ring, identity, stored, isPlain)),
    head
  })
}

type Opened = Result.Result<Uint8Array, SecretUnreadable>

const opened = (result: Opened) => Effect.fromResult(result)

const open = (
  ring: ReadonlyMap<string, Uint8Array>,
  identity: string,
  stored: Uint8Array,
  isPlain: (stored: Uint8Array) => boolean
): Opened => {
  if (!isSealed(stored)) return plain(stored, isPlain)
  const headEnd = 2 + stored[1]!
  const key = ring.get(keyIdOf(stored) ?? "")
  if (key === undefined) return unreadable(stored, "KeyMissing")
  const bodyAt = headEnd + nonceBytes
  if (stored.length < bodyAt + insideBytesMin + tagBytes) return unreadable(stored, "NotAuthentic")
  try {
    const opener = createDecipheriv(cipher, key, stored.subarray(headEnd, bodyAt), {
      authTagLength: tagBytes
    })
    opener.setAAD(aadOf(stored.subarray(0, headEnd), identity))
    opener.setAuthTag(stored.subarray(-tagBytes))
    const inside = opener.update(stored.subarray(bodyAt, -tagBytes))
    opener.final()
    const secret = new Uint8Array(inside.subarray(2, 2 + inside.readUInt16BE()))
    inside.fill(0)
    return Result.succeed(secret)
  } catch {
    return unreadable(stored, "NotAuthentic")
  }
}

const unreadable = (stored: Uint8Array, reason: SecretUnreadable["reason"]): Opened =>
  Result.fail(new SecretUnreadable({ reason, keyId: keyIdOf(stored) }))

const plain = (stored: Uint8Array, isPlain: (stored: Uint8Array) => boolean): Opened =>
  // A copy, because the bytes may be a part of a larger buffer that would stay with them.
  isPlain(stored) ? Result.succeed(stored.slice()) : unreadable(stored, "NotAuthentic")

/** Tells what a version without rings can have written. */
const isSecret = (stored: Uint8Array): boolean =>
  (stored.length <= secretBytes.max || stored[0] === 1 || stored[0] === 2) &&
  decodeAny(encode(stored)).pipe((kept) => kept._tag === "Some" && same(kept.value, stored))

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const isSealed = (stored: Uint8Array): boolean =>
  stored.length > secretBytes.max && stored[0] === sealedMark

const keyIdOf = (stored: Uint8Array): string | null =>
  isSealed(stored) ? Buffer.from(stored.subarray(2, 2 + stored[1]!)).toString("latin1") : null

const headOf = (id: string): Uint8Array =>
  Uint8Array.from([sealedMark, id.length, ...Buffer.from(id, "latin1")])

const aadOf = (head: Uint8Array, identity: string) => Buffer.concat([head, Buffer.from(identity)])

const isRingKey = ({ id, key }: RingKey): boolean =>
  /^[A-Za-z0-9_-]{1,32}$/.test(id) && Redacted.value(key).length === keyBytes
