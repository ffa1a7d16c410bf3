/**
 * Signs requests as Standard Webhooks 1.0.0 says, scheme `v1`: HMAC-SHA256 in base64 over
 * `<webhook-id>.<webhook-timestamp>.<body>`.
 *
 * Promises: the bytes that are signed are the bytes given, neither copied nor parsed, and a key is
 * prepared once for as long as its secret lives in memory: preparing costs five times the signing.
 * Leaves to others: which secrets sign (`domain/Secret.active`), the headers, the clock.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHmac, createSecretKey, type KeyObject } from "node:crypto"
import type { Secret } from "../domain/Secret.ts"

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

/** Signs requests, so that a receiver knows who sent them and when. */
export class Signer extends Context.Service<
  Signer,
  {
    /** Returns the `webhook-signature`: `v1,<base64>` for each secret, joined by one space. */
    readonly sign: (input: SignInput) => string
  }
>()("posthaste/send/Signer") {
  /** Signs with `node:crypto`. */
  static readonly layer = Layer.sync(Signer, () => {
    const keys = new WeakMap<Secret["key"], KeyObject>()
    const keyOf = (secret: Pick<Secret, "key">): KeyObject => {
      let key = keys.get(secret.key)
      if (key === undefined) {
        key = createSecretKey(Redacted.value(secret.key))
        keys.set(secret.key, key)
      }
      return key
    }
    return Signer.of({
      sign: ({ id, timestampSeconds, body, secrets }) => {
        const head = `${id}.${timestampSeconds}.`
        let signatures = ""
        for (const secret of secrets) {
          const mac = createHmac("sha256", keyOf(secret)).update(head).update(body)
          signatures += `${signatures === "" ? "" : " "}v1,${mac.digest("base64")}`
        }
        return signatures
      }
    })
  })
}
