/**
 * What signs a webhook's requests, in three kinds:
 *
 * - `hmac`: `whsec_` and the base64 of 24 to 64 random bytes, which are the key.
 * - `ed25519`: `whsk_` and the base64 of 64 bytes, a private seed and its public key. Receivers
 *   verify with the public key alone, `whpk_`.
 * - `text`: any other text, taken over from another sender. Its UTF-8 is the key of hex signatures.
 *
 * A secret is kept as bytes that tell their kind. A key of kind `hmac` is kept as it is, in 24 to 64
 * bytes; the other kinds are kept in more than 64 bytes, of which the first names the kind.
 *
 * Source: Standard Webhooks 1.0.0, "Signature scheme".
 */
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { SecretId } from "./TypeId.ts"

/** What a secret is: it decides how it signs. */
export const SecretKind = Schema.Literals(["hmac", "ed25519", "text"])
export type SecretKind = typeof SecretKind.Type

/** The shortest and longest `hmac` key, the length of a generated one, the longest text: bytes. */
export const secretBytes = { min: 24, max: 64, generated: 32, textMax: 512 } as const

/** The bytes of a private Ed25519 key: its seed, then its public key. */
export const ed25519Bytes = { seed: 32, pair: 64 } as const

const prefixes = { hmac: "whsec_", private: "whsk_", public: "whpk_" } as const

/** The first bytes of what is longer than any `hmac` key. */
const marks = { ed25519: 1, text: 2 } as const

/** Decodes `whsec_…` or `whsk_…` to the bytes that are kept; none when it is neither. */
export const decode = (text: string): Option.Option<Uint8Array> => {
  if (text.startsWith(prefixes.hmac)) {
    return Option.filter(
      bytesOf(text.slice(prefixes.hmac.length)),
      ({ length }) => length >= secretBytes.min && length <= secretBytes.max
    )
  }
  if (!text.startsWith(prefixes.private)) return Option.none()
  return bytesOf(text.slice(prefixes.private.length)).pipe(
    Option.filter(({ length }) => length === ed25519Bytes.pair),
    Option.map((pair) => marked(marks.ed25519, pair))
  )
}

/**
 * Decodes a secret of any kind to the bytes that are kept; none when it is no secret.
 *
 * **Gotchas**
 *
 * What begins with `whsec_` and does not go on as the base64 of a key is a `text`, as secrets of
 * other senders begin so too. `whsk_` and `whpk_` never begin a text: a private key that lost a
 * character, or a public key, must not become a shared one.
 */
export const decodeAny = (text: string): Option.Option<Uint8Array> => {
  const standard = decode(text)
  if (Option.isSome(standard) || !isText(text)) return standard
  return Option.some(marked(marks.text, new TextEncoder().encode(text)))
}

/** Formats the bytes that are kept as the text of the secret: the reverse of `decodeAny`. */
export const encode = (kept: Uint8Array): string => {
  const key = keyOf(kept)
  switch (kindOf(kept)) {
    case "hmac":
      return prefixes.hmac + base64Of(key)
    case "ed25519":
      return prefixes.private + base64Of(key)
    case "text":
      return new TextDecoder().decode(key)
  }
}

/** Keeps a private Ed25519 key: 64 bytes, its seed and its public key. */
export const keepEd25519 = (pair: Uint8Array): Uint8Array => marked(marks.ed25519, pair)

/** Tells the kind of a secret by the bytes that are kept. Throws when no version wrote such bytes. */
export const kindOf = (kept: Uint8Array): SecretKind => {
  if (kept.length <= secretBytes.max) return "hmac"
  switch (kept[0]) {
    case marks.ed25519:
      return "ed25519"
    case marks.text:
      return "text"
    default:
      throw new Error("A secret is kept in a form that this version does not know")
  }
}

/** Reads the key: of an HMAC, or the 64 bytes of a private Ed25519 key. */
export const keyOf = (kept: Uint8Array): Uint8Array => {
  switch (kindOf(kept)) {
    case "hmac":
      return kept
    case "ed25519":
      return kept.subarray(1, 1 + ed25519Bytes.pair)
    case "text": {
      // A text holds no zero byte, so those behind it only fill up.
      const end = kept.indexOf(0)
      return kept.subarray(1, end === -1 ? kept.length : end)
    }
  }
}

/** Formats what receivers verify with, `whpk_…`; none for a secret that they share. */
export const publicKey = (kept: Uint8Array): Option.Option<string> =>
  kindOf(kept) === "ed25519"
    ? Option.some(prefixes.public + base64Of(keyOf(kept).subarray(ed25519Bytes.seed)))
    : Option.none()

/** A secret that makes standard signatures, in its text form. */
export const SecretText = Schema.String.check(
  Schema.makeFilter((text: string) =>
    Option.isSome(decode(text))
      ? undefined
      : "Expected whsec_ followed by the base64 of 24 to 64 bytes, or whsk_ by that of 64 bytes"
  )
)
export type SecretText = typeof SecretText.Type

/** A secret of any kind, in its text form. */
export const AnySecretText = Schema.String.check(
  Schema.makeFilter((text: string) =>
    Option.isSome(decodeAny(text))
      ? undefined
      : `Expected whsec_…, whsk_…, or a text of 1 to ${secretBytes.textMax} bytes ` +
        "without control characters and without spaces at its ends"
  )
)
export type AnySecretText = typeof AnySecretText.Type

/** One of a webhook's secrets. The current one has no end; a rotated one signs until `expiresAt`. */
export interface Secret {
  readonly id: SecretId
  /** The bytes that are kept: `decode` makes them, `keyOf` and `kindOf` read them. */
  readonly key: Redacted.Redacted<Uint8Array>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds, or null while current. */
  readonly expiresAt: number | null
}

/** The secrets that sign at an instant (epoch milliseconds), the current one first. */
export const active = (secrets: ReadonlyArray<Secret>, now: number): ReadonlyArray<Secret> =>
  secrets.filter((secret) => secret.expiresAt === null || secret.expiresAt > now)

const marked = (mark: number, bytes: Uint8Array): Uint8Array => {
  const kept = new Uint8Array(Math.max(1 + bytes.length, secretBytes.max + 1))
  kept[0] = mark
  kept.set(bytes, 1)
  return kept
}

const isText = (text: string): boolean =>
  !text.startsWith(prefixes.private) &&
  !text.startsWith(prefixes.public) &&
  text !== "" &&
  text === text.trim() &&
  !/\p{Cc}/u.test(text) &&
  text.isWellFormed() &&
  new TextEncoder().encode(text).length <= secretBytes.textMax

/** Base64 whose padding is whole or left out: RFC 4648 section 4. */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

const bytesOf = (text: string): Option.Option<Uint8Array> =>
  // Buffer skips what is no base64 instead of refusing it, so the form is checked first.
  base64.test(text) ? Option.some(new Uint8Array(Buffer.from(text, "base64"))) : Option.none()

const base64Of = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
