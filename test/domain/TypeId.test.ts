import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Option, Schema } from "effect"
import {
  AttemptId,
  createdAt,
  DeliveryId,
  deliveriesMax,
  deliveryOf,
  formatUuid,
  fromBytes,
  fromUuid,
  KeyId,
  type Kinds,
  MessageId,
  messageOf,
  parse,
  prefixes,
  SecretId,
  TenantId,
  toBytes,
  toUuid,
  WebhookId
} from "../../src/domain/TypeId.ts"

const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const uuidBytes = Arbitrary.map(
  Arbitrary.array(byte, { minLength: 16, maxLength: 16 }),
  (bytes) => new Uint8Array(bytes)
)
/** The bytes of a message's id: the last 16 bits are zero. */
const messageBytes = Arbitrary.map(uuidBytes, (bytes) => {
  bytes[14] = 0
  bytes[15] = 0
  return bytes
})
const number = Arbitrary.schema(
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: deliveriesMax }))
)

/** Base32 by the book: the 128 bits as one number, 26 digits. */
const suffixByTheBook = (bytes: Uint8Array): string => {
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
  let text = ""
  for (let i = 0; i < 26; i++) {
    text = "0123456789abcdefghjkmnpqrstvwxyz"[Number(rest % 32n)] + text
    rest /= 32n
  }
  return text
}

const schemas = {
  webhook: WebhookId,
  message: MessageId,
  delivery: DeliveryId,
  attempt: AttemptId,
  tenant: TenantId,
  key: KeyId,
  secret: SecretId
} as const

describe("TypeId", () => {
  // Source: https://github.com/jetify-com/typeid/blob/main/spec/valid.yml
  it("encodes and decodes the specification's examples", () => {
    const examples = [
      ["00000000000000000000000000", "00000000-0000-0000-0000-000000000000"],
      ["00000000000000000000000001", "00000000-0000-0000-0000-000000000001"],
      ["0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"],
      ["0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"],
      ["00000000000000000000000010", "00000000-0000-0000-0000-000000000020"],
      ["7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
      ["0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"],
      ["01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"]
    ] as const
    for (const [suffix, uuid] of examples) {
      assert.strictEqual(fromUuid("webhook", uuid), `wh_${suffix}`)
      assert.strictEqual(toUuid(WebhookId.make(`wh_${suffix}`)), uuid)
    }
  })

  it.prop(
    "every UUID becomes an id of its kind and comes back",
    { bytes: uuidBytes },
    ({ bytes }) => {
      for (const [kind, schema] of Object.entries(schemas) as ReadonlyArray<
        [keyof Kinds, typeof WebhookId]
      >) {
        const id = fromBytes(kind, bytes)
        assert.strictEqual(id, `${prefixes[kind]}_${suffixByTheBook(bytes)}`)
        assert.isTrue(Schema.is(schema)(id))
        assert.deepStrictEqual(toBytes(id), bytes)
        assert.strictEqual(fromUuid(kind, formatUuid(bytes)), id)
        assert.strictEqual(toUuid(id), formatUuid(bytes))
      }
    }
  )

  it.prop("ids sort by their text as UUIDs sort", { a: uuidBytes, b: uuidBytes }, ({ a, b }) => {
    const [x, y] = [fromBytes("message", a), fromBytes("message", b)]
    assert.strictEqual(x < y, Buffer.compare(a, b) < 0)
    assert.strictEqual(x < y, formatUuid(a) < formatUuid(b))
  })

  it("is told apart by its prefix", () => {
    const id = fromUuid("webhook", "01890a5d-ac96-774b-bcce-b302099a8057")
    assert.deepStrictEqual(parse(WebhookId, id), Option.some(id))
    assert.isTrue(Option.isNone(parse(MessageId, id)))
  })

  it("refuses what the specification calls invalid", () => {
    const invalid = [
      "",
      "wh",
      "wh_",
      "01h455vb4pex5vsknk084sn02q",
      "_01h455vb4pex5vsknk084sn02q",
      "WH_01h455vb4pex5vsknk084sn02q",
      "wh-01h455vb4pex5vsknk084sn02q",
      "wh_01H455VB4PEX5VSKNK084SN02Q",
      "wh_81h455vb4pex5vsknk084sn02q",
      "wh_01h455vb4pex5vsknk084sn02",
      "wh_01h455vb4pex5vsknk084sn02qq",
      "wh_01h455vb4pex5vsknk084sn0iq",
      "wh_01h455vb4pex5vsknk084sn0lq",
      "wh_01h455vb4pex5vsknk084sn0oq",
      "wh_01h455vb4pex5vsknk084sn0uq",
      " wh_01h455vb4pex5vsknk084sn02q",
      "wh_01h455vb4pex5vsknk084sn02q\n",
      "xwh_01h455vb4pex5vsknk084sn02q"
    ]
    for (const text of invalid) assert.isTrue(Option.isNone(parse(WebhookId, text)), text)
  })

  it("carries the time of its making", () => {
    assert.strictEqual(
      createdAt(fromUuid("webhook", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")),
      // The example of RFC 9562, appendix A.6.
      Date.UTC(2022, 1, 22, 19, 22, 22)
    )
    assert.strictEqual(
      createdAt(fromUuid("webhook", "ffffffff-ffff-7000-8000-000000000000")),
      2 ** 48 - 1
    )
  })
})

describe("deliveryOf", () => {
  it.prop(
    "numbers a delivery in the last 16 bits of its message",
    { bytes: messageBytes, number },
    ({ bytes, number }) => {
      const message = fromBytes("message", bytes)
      const delivery = deliveryOf(message, number)
      assert.isTrue(Schema.is(DeliveryId)(delivery))
      const expected = bytes.slice()
      new DataView(expected.buffer).setUint16(14, number)
      assert.deepStrictEqual(toBytes(delivery), expected)
      assert.strictEqual(messageOf(delivery), message)
      assert.strictEqual(createdAt(delivery), createdAt(message))
    }
  )

  it("gives every number of a message its own id, in order", () => {
    const message = fromUuid("message", "01890a5d-ac96-774b-bcce-b30209990000")
    let last = ""
    for (let number = 1; number <= deliveriesMax; number++) {
      const delivery = deliveryOf(message, number)
      if (delivery <= last || messageOf(delivery) !== message) assert.fail(`${number}`)
      last = delivery
    }
    assert.strictEqual(toUuid(DeliveryId.make(last)), "01890a5d-ac96-774b-bcce-b3020999ffff")
  })
})
