/**
 * The parts of a webhook that are kept sealed besides its secrets: `auth`, and `headers` with all of
 * their values. Each is JSON, sealed by the KeyRing for its webhook's row and its column.
 */
import { Effect, Schema } from "effect"
import { Auth } from "../domain/Auth.ts"
import type { UnreadablePart } from "../domain/Webhook.ts"
import { KeyRing } from "./KeyRing.ts"

const Headers = Schema.Record(Schema.String, Schema.String)
const json = {
  auth: Schema.fromJsonString(Auth),
  headers: Schema.fromJsonString(Headers)
} as const

/** Which webhook a part belongs to, by UUIDs. */
export interface PartOwner {
  readonly tenantId: string
  readonly webhookId: string
}

/** Names a part's place to the KeyRing: what is sealed opens there and nowhere else. */
export const identityOf = (part: UnreadablePart, { tenantId, webhookId }: PartOwner): string =>
  `webhook.${part}/${tenantId}/${webhookId}`

/** Tells what is JSON of an object, and so was never sealed. */
export const isPlain = (stored: Uint8Array): boolean => stored[0] === 0x7b

type Ring = KeyRing["Service"]

/** Seals an auth; null for one that says nothing. */
export const sealAuth = (ring: Ring, owner: PartOwner, auth: Auth) =>
  auth.kind === "none" && auth.ca === undefined
    ? Effect.succeed(null)
    : seal(ring, identityOf("auth", owner), Schema.encodeSync(json.auth)(auth))

/** Seals headers; null where there are none. */
export const sealHeaders = (
  ring: Ring,
  owner: PartOwner,
  headers: { readonly [name: string]: string }
) =>
  Object.keys(headers).length === 0
    ? Effect.succeed(null)
    : seal(ring, identityOf("headers", owner), Schema.encodeSync(json.headers)(headers))

/** Opens an auth. Dies of one that no version wrote. */
export const openAuth = (ring: Ring, owner: PartOwner, stored: Uint8Array) =>
  Effect.map(ring.open(identityOf("auth", owner), stored, isPlain), (bytes) =>
    Schema.decodeSync(json.auth)(textOf(bytes))
  )

/** Opens headers. Dies of ones that no version wrote. */
export const openHeaders = (ring: Ring, owner: PartOwner, stored: Uint8Array) =>
  Effect.map(ring.open(identityOf("headers", owner), stored, isPlain), (bytes) =>
    Schema.decodeSync(json.headers)(textOf(bytes))
  )

const seal = (ring: Ring, identity: string, text: string) =>
  ring.seal(identity, new TextEncoder().encode(text))

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
