/**
 * The values that micro benchmarks work on.
 */
import { Redacted, Schema } from "effect"
import { EventTypeName, EventTypePattern } from "../../src/domain/EventType.ts"
import * as TypeId from "../../src/domain/TypeId.ts"
import { healthy, type Webhook, WebhookSettings } from "../../src/domain/Webhook.ts"
import type { DueDelivery } from "../../src/store/DeliveryQueue.ts"
import { data, eventType } from "../rig/Body.ts"

/** One operation to time: each call of `run` does it `times` times. */
export interface Task {
  readonly name: string
  readonly times: number
  readonly run: () => unknown
}

/** Operations per call, so that reading the clock weighs nothing. */
export const times = 100

/** Repeats a synchronous operation. */
export const repeat = (name: string, operation: (i: number) => unknown): Task => ({
  name,
  times,
  run: () => {
    let last: unknown
    for (let i = 0; i < times; i++) last = operation(i)
    return last
  }
})

/** Makes the bytes of the UUIDv7 with the given number. */
export const idBytes = (number: number): Uint8Array => {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(2, number)
  bytes[6] = 0x70
  bytes[8] = 0x80
  return bytes
}

/** Publishes of the first type: what every message here is. */
export const messageType = EventTypeName.make(eventType(0))
/** The tenant that everything here belongs to. */
export const tenantId = TypeId.fromBytes("tenant", idBytes(1))
/** The start of 2027: what "now" is here, in epoch milliseconds. */
export const now = 1_798_761_600_000
/** The JSON text of about 1 KB of `data`. */
export const data1k = data(1_000)

/** Makes a webhook that wants the event type with its number. */
export const webhook = (number: number): Webhook => ({
  id: TypeId.fromBytes("webhook", idBytes(100 + number)),
  tenantId,
  uid: null,
  name: null,
  description: null,
  metadata: {},
  url: `https://receiver.example/h/${number}`,
  eventTypes: [EventTypePattern.make(eventType(number))],
  resources: [],
  channels: [],
  filter: null,
  headers: {},
  auth: { kind: "none" },
  settings: Schema.decodeUnknownSync(WebhookSettings)({}),
  status: "enabled",
  disabledReason: null,
  health: healthy,
  unreadable: [],
  adHoc: null,
  secrets: [
    {
      id: TypeId.fromBytes("secret", idBytes(2)),
      key: Redacted.make(new Uint8Array(32).fill(7)),
      createdAt: now,
      expiresAt: null
    }
  ],
  createdAt: now,
  updatedAt: now,
  configuredAt: now
})

/** Makes a delivery of a message with the given body. */
export const delivery = (to: Webhook, body: Uint8Array): DueDelivery => {
  const id = TypeId.fromBytes("message", idBytes(3).fill(0, 14))
  return {
    id: TypeId.deliveryOf(id, 1),
    tenantId,
    webhookId: to.id,
    attempts: 0,
    tries: 0,
    orderingKey: null,
    message: {
      id,
      type: messageType,
      contentType: "application/json",
      body,
      orderingKey: null,
      expiresAt: null,
      createdAt: now
    }
  }
}
