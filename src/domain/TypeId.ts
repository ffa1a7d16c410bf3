/**
 * Ids as people and JSON see them: TypeIDs, a prefix and 26 characters of base32.
 *
 * A TypeID says what it names (`wh_`, `msg_`, …) and sorts by the time it was made, because it
 * carries a UUIDv7. SQL keeps the UUID; `toUuid` and `fromUuid` cross that border and nothing else
 * does. Source: TypeID specification 0.3, RFC 9562 section 5.7.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** The prefixes of every kind of id. */
export const prefixes = {
  webhook: "wh",
  message: "msg",
  delivery: "dlv",
  attempt: "att",
  tenant: "ten",
  key: "key",
  secret: "sec",
  redelivery: "rdl",
  notice: "ntc",
  eventType: "evt",
  audit: "aud"
} as const

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
const suffixLength = 26

/** Builds the schema of the TypeIDs with one prefix. */
const typeId = (prefix: string) =>
  Schema.String.check(
    Schema.isPattern(new RegExp(`^${prefix}_[0-7][${alphabet}]{25}$`), {
      message: `Expected an id such as ${prefix}_01h455vb4pex5vsknk084sn02q`
    })
  )

export const WebhookId = typeId(prefixes.webhook).pipe(Schema.brand("WebhookId"))
export type WebhookId = typeof WebhookId.Type
export const MessageId = typeId(prefixes.message).pipe(Schema.brand("MessageId"))
export type MessageId = typeof MessageId.Type
export const DeliveryId = typeId(prefixes.delivery).pipe(Schema.brand("DeliveryId"))
export type DeliveryId = typeof DeliveryId.Type
export const AttemptId = typeId(prefixes.attempt).pipe(Schema.brand("AttemptId"))
export type AttemptId = typeof AttemptId.Type
export const TenantId = typeId(prefixes.tenant).pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type
export const KeyId = typeId(prefixes.key).pipe(Schema.brand("KeyId"))
export type KeyId = typeof KeyId.Type
export const SecretId = typeId(prefixes.secret).pipe(Schema.brand("SecretId"))
export type SecretId = typeof SecretId.Type
export const RedeliveryId = typeId(prefixes.redelivery).pipe(Schema.brand("RedeliveryId"))
export type RedeliveryId = typeof RedeliveryId.Type
export const NoticeId = typeId(prefixes.notice).pipe(Schema.brand("NoticeId"))
export type NoticeId = typeof NoticeId.Type
export const EventTypeId = typeId(prefixes.eventType).pipe(Schema.brand("EventTypeId"))
export type EventTypeId = typeof EventTypeId.Type
export const AuditId = typeId(prefixes.audit).pipe(Schema.brand("AuditId"))
export type AuditId = typeof AuditId.Type

/** The kinds of id, by the name of their prefix. */
export interface Kinds {
  readonly webhook: WebhookId
  readonly message: MessageId
  readonly delivery: DeliveryId
  readonly attempt: AttemptId
  readonly tenant: TenantId
  readonly key: KeyId
  readonly secret: SecretId
  readonly redelivery: RedeliveryId
  readonly notice: NoticeId
  readonly eventType: EventTypeId
  readonly audit: AuditId
}

/** Any id. */
export type TypeId = Kinds[keyof Kinds]

// Character codes, put together at once: text joined from pieces is a rope, to be flattened later.
const alphabetCodes = Uint8Array.from(alphabet, (digit) => digit.charCodeAt(0))
const suffixCodes = Array.from({ length: suffixLength }, () => 0)

/** Encodes the 16 bytes of a UUID as an id of the given kind. */
export const fromBytes = <K extends keyof Kinds>(kind: K, bytes: Uint8Array): Kinds[K] => {
  let held = 0
  // 128 bits are read as 130 with two leading zeros: 26 groups of five.
  let bits = 2
  let at = 0
  for (let i = 0; i < 16; i++) {
    held = (held << 8) | bytes[i]!
    bits += 8
    while (bits >= 5) {
      bits -= 5
      suffixCodes[at++] = alphabetCodes[(held >> bits) & 31]!
    }
    held &= (1 << bits) - 1
  }
  // The brand records what the construction above guarantees.
  return `${prefixes[kind]}_${String.fromCharCode(...suffixCodes)}` as Kinds[K]
}

const digits = new Uint8Array(128).fill(255)
for (let i = 0; i < 32; i++) digits[alphabet.charCodeAt(i)] = i

/** Decodes an id to the 16 bytes of its UUID. */
export const toBytes = (id: TypeId): Uint8Array => {
  const start = id.length - suffixLength
  const bytes = new Uint8Array(16)
  let bits = 0
  let held = 0
  let out = 0
  for (let i = 0; i < suffixLength; i++) {
    held = (held << 5) | digits[id.charCodeAt(start + i)]!
    // The first digit carries only three of the 128 bits.
    bits += i === 0 ? 3 : 5
    if (bits >= 8) {
      bits -= 8
      bytes[out++] = held >> bits
      held &= (1 << bits) - 1
    }
  }
  return bytes
}

const hexCodes = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))
const hyphen = "-".charCodeAt(0)
const uuidCodes = Array.from({ length: 36 }, () => hyphen)

/** Formats 16 bytes as a UUID in the form SQL prints it. */
export const formatUuid = (bytes: Uint8Array): string => {
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) uuidCodes[at++] = hyphen
    const byte = bytes[i]!
    uuidCodes[at++] = hexCodes[byte >> 4]!
    uuidCodes[at++] = hexCodes[byte & 15]!
  }
  return String.fromCharCode(...uuidCodes)
}

/** Converts an id to the UUID that SQL keeps. */
export const toUuid = (id: TypeId): string => formatUuid(toBytes(id))

/** Converts a UUID as SQL prints it to an id of the given kind. */
export const fromUuid = <K extends keyof Kinds>(kind: K, uuid: string): Kinds[K] => {
  const bytes = new Uint8Array(16)
  for (let i = 0, at = 0; i < 16; i++) {
    if (uuid.charCodeAt(at) === 45) at++
    bytes[i] = parseInt(uuid.slice(at, at + 2), 16)
    at += 2
  }
  return fromBytes(kind, bytes)
}

/** Reads the creation time of an id, in epoch milliseconds. */
export const createdAt = (id: TypeId): number => {
  const b = toBytes(id)
  return b[0]! * 2 ** 40 + b[1]! * 2 ** 32 + b[2]! * 2 ** 24 + b[3]! * 2 ** 16 + b[4]! * 256 + b[5]!
}

/** The most deliveries that one message can have: their number is 16 bits of the delivery's id. */
export const deliveriesMax = 65_535

const suffix = (id: TypeId): string => id.slice(id.length - suffixLength)

/**
 * Names the delivery with the given number (1 to `deliveriesMax`) of a message.
 *
 * **Details**
 *
 * A message's id ends in 16 zero bits; its deliveries' ids end in their number there. So a message's
 * deliveries are one range of ids, and a delivery names its message without a column for it.
 */
export const deliveryOf = (message: MessageId, number: number): DeliveryId => {
  // 16 bits are three digits and one bit, which is the lowest one of the fourth digit from the end.
  const head = suffix(message).slice(0, suffixLength - 4)
  const fourth = digits[message.charCodeAt(message.length - 4)]! | (number >> 15)
  const text = `${prefixes.delivery}_${head}${alphabet[fourth]}${alphabet[(number >> 10) & 31]}${
    alphabet[(number >> 5) & 31]
  }${alphabet[number & 31]}`
  return text as DeliveryId
}

/** Names the message that a delivery belongs to. */
export const messageOf = (delivery: DeliveryId): MessageId => {
  const head = suffix(delivery).slice(0, suffixLength - 4)
  const fourth = digits[delivery.charCodeAt(delivery.length - 4)]! & 30
  return `${prefixes.message}_${head}${alphabet[fourth]}000` as MessageId
}

/** Decodes text as an id of the given schema; none when it is something else, such as a `uid`. */
export const parse = <A extends TypeId>(
  schema: Schema.Codec<A, string>,
  text: string
): Option.Option<A> => Schema.decodeUnknownOption(schema)(text)
