/**
 * What a caller gives to be published, and what tells a repetition of it from another request.
 */
import { createHash } from "node:crypto"
import type { EventTypeName } from "../domain/EventType.ts"
import type { Resource } from "../domain/Message.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { type Destination, digestOf as destinationDigest } from "./Destinations.ts"
import type { RawBody } from "./Payload.ts"

/** A message as a caller gives it, checked for shape but not yet accepted. */
export interface Draft {
  readonly tenantId: TenantId
  readonly type: EventTypeName
  readonly uid: string | null
  readonly resource: Resource | null
  /** The JSON text of `data`, exactly as the caller wrote it; or a whole body, sent as it is. */
  readonly data: string | RawBody
  readonly idempotencyKey: string | null
  /** The only one to get it; absent for those that want it. */
  readonly destination?: Destination
  /** At most 256 characters; see `Message`. */
  readonly orderingKey?: string | null
  /** At most 16; see `Message`. */
  readonly channels?: ReadonlyArray<string>
  /** Epoch milliseconds; see `Message`. */
  readonly deliverAt?: number | null
  /** Epoch milliseconds; see `Message`. */
  readonly expiresAt?: number | null
}

/** The idempotency key of a request for several messages, and the SHA-256 of that request. */
export interface KeyedRequest {
  readonly tenantId: TenantId
  readonly key: string
  readonly digest: Uint8Array
}

/** Makes the SHA-256 of all that the caller gave, which tells a repetition from a conflict. */
export const digestOf = (draft: Draft): Uint8Array => {
  const { channels = none, data, deliverAt, expiresAt, orderingKey, ...rest } = draft
  const to = rest.destination === undefined ? null : destinationDigest(rest.destination)
  const given = [rest.type, rest.uid, rest.resource]
  const special = [orderingKey ?? null, channels, deliverAt ?? null, expiresAt ?? null]
  const isPlain = special.every((one) => one === null || one === channels) && channels.length === 0
  const said = isPlain ? given : [...given, ...special]
  // What is plain keeps the digest that uids of earlier versions are known by: those are for ever.
  const hash = createHash("sha256").update(JSON.stringify(to === null ? said : [to, ...said]))
  return typeof data === "string"
    ? hash.update(data).digest()
    : hash.update(`\n${data.contentType}\n`).update(data.bytes).digest()
}

const none: ReadonlyArray<string> = []
