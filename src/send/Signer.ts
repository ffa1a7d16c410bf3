/**
 * Signs requests: as Standard Webhooks 1.0.0 says, in scheme `v1` (HMAC-SHA256) or `v1a` (Ed25519)
 * as each secret's kind decides, or by an HMAC-SHA256 in hex in the headers of the webhook's choice.
 *
 * Promises: the bytes that are signed are the bytes given, never parsed; a key is prepared once for
 * as long as its secret lives in memory, because preparing costs five times the signing; without a
 * secret that can sign it throws, so that nothing goes out unsigned.
 * Leaves to others: which secrets are active (`domain/Secret.active`), the other headers, the clock.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHmac, createSecretKey, type KeyObject, sign as signWith } from "node:crypto"
import { keyOf, kindOf, type Secret, type SecretKind } from "../domain/Secret.ts"
import { resolve, type Scheme, type Signature } from "../domain/Signature.ts"
import { privateKey } from "./Ed25519.ts"

/** What one request's signature covers, and with which secrets. */
export interface SignInput {
  /** The `webhook-id`: the same for every attempt of a message. It holds no dot. */
  readonly id: string
  /** The `webhook-timestamp`: Unix seconds of this attempt. */
  readonly timestampSeconds: number
  readonly body: Uint8Array
  /** At least one, the current one first. */
  readonly secrets: ReadonlyArray<Pick<Secret, "key">>
}

/** The same, and what tells which headers a signature is written in. */
export interface HeadersInput extends SignInput {
  readonly signature: Signature
  /** The type of the message. */
  readonly type: string
}

/** Signs requests, so that a receiver knows who sent them and when. */
export class Signer extends Context.Service<
  Signer,
  {
    /** Returns the `webhook-signature`: `v1,…` or `v1a,…` for each secret, joined by one space. */
    readonly sign: (input: SignInput) => string
    /** Returns all headers that identify and sign a request, `webhook-id` first. */
    readonly headers: (input: HeadersInput) => Record<string, string>
  }
>()("posthaste/send/Signer") {
  /** Signs with `node:crypto`. */
  static readonly layer = Layer.sync(Signer, () => {
    const prepare = preparing()

    const sign = ({ id, timestampSeconds, body, secrets }: SignInput): string => {
      const head = `${id}.${timestampSeconds}.`
      let signatures = ""
      for (const secret of secrets) {
        const { kind, key } = prepare(secret)
        if (kind === "text") continue
        if (signatures !== "") signatures += " "
        signatures +=
          kind === "hmac"
            ? `v1,${createHmac("sha256", key).update(head).update(body).digest("base64")}`
            : `v1a,${signWith(null, Buffer.concat([Buffer.from(head), body]), key).toString("base64")}`
      }
      if (signatures === "") throw unsigned()
      return signatures
    }

    /** One hex for the current secret, or for each that signs. */
    const hexOf = (scheme: HexScheme, { timestampSeconds, body, secrets }: SignInput) => {
      const found: Array<string> = []
      for (const secret of secrets) {
        const { kind, key } = prepare(secret)
        if (kind === "ed25519") continue
        const mac = createHmac("sha256", key)
        if (scheme.joint !== null) mac.update(`${timestampSeconds}${scheme.joint}`)
        found.push(mac.update(body).digest("hex"))
        // A receiver compares such a header as a whole, so there is no place for a second one.
        if (scheme.style === "plain") break
      }
      if (found.length === 0) throw unsigned()
      return found
    }

    const headers = (input: HeadersInput): Record<string, string> => {
      const scheme = resolve(input.signature)
      const seconds = String(input.timestampSeconds)
      if (scheme.kind === "standard") {
        const signature = sign(input)
        const found: Record<string, string> = {
          "webhook-id": input.id,
          "webhook-timestamp": seconds,
          "webhook-signature": signature
        }
        if (!scheme.svixHeaders) return found
        found["svix-id"] = input.id
        found["svix-timestamp"] = seconds
        found["svix-signature"] = signature
        return found
      }
      const found: Record<string, string> = {
        "webhook-id": input.id,
        "webhook-timestamp": seconds
      }
      const hexes = hexOf(scheme, input)
      const value = scheme.style === "plain" ? hexes[0]! : `t=${seconds},v1=${hexes.join(",v1=")}`
      for (const { name, prefix } of scheme.headers) found[name] = prefix + value
      if (scheme.timestampHeader !== null) found[scheme.timestampHeader] = seconds
      if (scheme.typeHeader !== null) found[scheme.typeHeader] = input.type
      return found
    }

    return Signer.of({ sign, headers })
  })
}

type HexScheme = Extract<Scheme, { readonly kind: "hex" }>

/** Prepares keys, each once for as long as its secret lives in memory. */
const preparing = () => {
  const prepared = new WeakMap<
    Secret["key"],
    { readonly kind: SecretKind; readonly key: KeyObject }
  >()
  return (secret: Pick<Secret, "key">) => {
    const known = prepared.get(secret.key)
    if (known !== undefined) return known
    const kept = Redacted.value(secret.key)
    const kind = kindOf(kept)
    const key = kind === "ed25519" ? privateKey(keyOf(kept)) : createSecretKey(keyOf(kept))
    const made = { kind, key }
    prepared.set(secret.key, made)
    return made
  }
}

const unsigned = () => new Error("No secret of the webhook makes such signatures")
