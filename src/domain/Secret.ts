/**
 * What signs a webhook's requests: `whsec_` and the base64 of 24 to 64 random bytes.
 *
 * Source: Standard Webhooks 1.0.0, "Signature scheme". The HMAC key is the decoded bytes.
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { SecretId } from "./TypeId.ts"

/** The shortest and longest key, in bytes, and the length of a generated one. */
export const secretBytes = { min: 24, max: 64, generated: 32 } as const

const prefix = "whsec_"

/** Base64 whose padding is whole or left out: RFC 4648 section 4. */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

/** Decodes `whsec_…` to the bytes of the key; none when it is not such a secret. */
export const decode = (text: string): Option.Option<Uint8Array> => {
  if (!text.startsWith(prefix)) return Option.none()
  const body = text.slice(prefix.length)
  // Buffer skips what is no base64 instead of refusing it, so the form is checked first.
  if (!base64.test(body)) return Option.none()
  const bytes = new Uint8Array(Buffer.from(body, "base64"))
  return bytes.length >= secretBytes.min && bytes.length <= secretBytes.max
    ? Option.some(bytes)
    : Option.none()
}

/** Formats a key as `whsec_…`. */
export const encode = (key: Uint8Array): string => prefix + Buffer.from(key).toString("base64")

/** A secret in its text form, as the API takes it. */
export const SecretText = Schema.String.check(
  Schema.makeFilter((text: string) =>
    Option.isSome(decode(text))
      ? undefined
      : "Expected whsec_ followed by the base64 of 24 to 64 bytes"
  )
)
export type SecretText = typeof SecretText.Type

/** One of a webhook's keys. The current one has no end; a rotated one signs until `expiresAt`. */
export interface Secret {
  readonly id: SecretId
  readonly key: Redacted.Redacted<Uint8Array>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds, or null while current. */
  readonly expiresAt: number | null
}

/** The secrets that sign at an instant (epoch milliseconds), the current one first. */
export const active = (secrets: ReadonlyArray<Secret>, now: number): ReadonlyArray<Secret> =>
  secrets.filter((secret) => secret.expiresAt === null || secret.expiresAt > now)
