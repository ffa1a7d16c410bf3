/**
 * The ids that a page asks for. Ids begin with the time of their making, so instants, cursors and
 * "the deliveries of this message" are all bounds of one range, and a range of ids is a range of
 * partitions. Ids of one kind sort by their text as their UUIDs do.
 */
import type { PageRequest } from "../domain/Page.ts"
import {
  type DeliveryId,
  fromBytes,
  type Kinds,
  type MessageId,
  toBytes,
  type TypeId
} from "../domain/TypeId.ts"

/** The ids above one and below another, and the way to walk. */
export interface IdRange<Id> {
  readonly above: Id
  readonly below: Id
  /** True when the page is read oldest first, towards newer rows. */
  readonly newer: boolean
}

/** Reads the range of a page from its cursor and its instants. */
export const ofPage = <K extends keyof Kinds>(kind: K, request: PageRequest): IdRange<Kinds[K]> => {
  const { after, before, cursor } = request
  const newer = cursor?.direction === "newer"
  // A cursor's id is a TypeID by its form; of which kind does not matter for its place.
  const at = cursor === null ? null : fromBytes(kind, toBytes(cursor.id as TypeId))
  const above = after === null ? fromBytes(kind, lowest) : fromBytes(kind, firstAt(after))
  const below = before === null ? fromBytes(kind, highest) : fromBytes(kind, firstAt(before))
  if (at === null) return { above, below, newer }
  return newer
    ? { above: at > above ? at : above, below, newer }
    : { above, below: at < below ? at : below, newer }
}

/** Narrows a range of deliveries to those of one message. */
export const withinMessage = (
  range: IdRange<DeliveryId>,
  messageId: MessageId
): IdRange<DeliveryId> => {
  const bytes = toBytes(messageId)
  const first = fromBytes("delivery", bytes)
  for (let i = 13; i >= 0; i--) {
    bytes[i] = bytes[i]! + 1
    if (bytes[i] !== 0) break
  }
  const next = fromBytes("delivery", bytes)
  return {
    above: first > range.above ? first : range.above,
    below: next < range.below ? next : range.below,
    newer: range.newer
  }
}

/** Tells whether an id lies in a range. */
export const contains = <Id extends string>(range: IdRange<Id>, id: Id): boolean =>
  id > range.above && id < range.below

const lowest = new Uint8Array(16)
const highest = new Uint8Array(16).fill(255)

/** The 16 bytes below every id made at an instant or later, and above every earlier id. */
const firstAt = (instant: number): Uint8Array => {
  const ms = Math.ceil(instant)
  if (ms <= 0) return lowest
  if (ms >= 2 ** 48) return highest
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(ms) << 16n)
  return bytes
}
