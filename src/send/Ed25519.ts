/**
 * Private Ed25519 keys as Standard Webhooks writes them: 64 bytes, the seed and the public key.
 *
 * Node takes keys in DER only. A key's DER is its seed behind sixteen bytes that never change.
 * Source: RFC 8410 sections 4 and 7.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { ed25519Bytes } from "../domain/Secret.ts"

const privateHead = Buffer.from("302e020100300506032b657004220420", "hex")

/** Prepares a private key for signing. Its seed decides; the other half is not read. */
export const privateKey = (pair: Uint8Array): KeyObject => {
  const der = Buffer.concat([privateHead, pair.subarray(0, ed25519Bytes.seed)])
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
}

/** Makes the private key of a seed, which is 32 bytes that nobody can guess. */
export const pairOf = (seed: Uint8Array): Uint8Array => {
  const der = createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" })
  const pair = new Uint8Array(ed25519Bytes.pair)
  pair.set(seed)
  pair.set(der.subarray(ed25519Bytes.seed - ed25519Bytes.pair), ed25519Bytes.seed)
  return pair
}

/** Tells whether the public half belongs to the private one, which an imported key may lack. */
export const isPair = (pair: Uint8Array): boolean =>
  Buffer.compare(pairOf(pair.subarray(0, ed25519Bytes.seed)), pair) === 0
