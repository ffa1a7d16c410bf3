/**
 * Webhooks, deliveries and outcomes for the tests of this folder.
 */
import { Effect, Layer, Redacted } from "effect"
import { ConnectionError, SqlError, SqlSyntaxError } from "effect/sql/SqlError"
import type { Outcome, ResponseHeaders } from "../../src/domain/Attempt.ts"
import { fromBytes, type Kinds } from "../../src/domain/TypeId.ts"
import {
  defaultSettings,
  fieldsOf,
  healthy,
  type Webhook,
  WebhookSettings
} from "../../src/domain/Webhook.ts"
import { DeliveryLog, type Settlement } from "../../src/store/DeliveryLog.ts"
import type { DueDelivery } from "../../src/store/DeliveryQueue.ts"
import { StoreError } from "../../src/store/StoreError.ts"

/** An id that differs for each number. */
export const idOf = <K extends keyof Kinds>(kind: K, n: number): Kinds[K] =>
  fromBytes(
    kind,
    Uint8Array.from({ length: 16 }, (_, i) => (n >> (8 * (15 - i))) & 255)
  )

/** A webhook with the default settings, except for those that are named. */
export const webhookWith = (
  settings: Partial<WebhookSettings> = {},
  rest: Partial<Webhook> = {}
): Webhook => ({
  id: idOf("webhook", 1),
  tenantId: idOf("tenant", 1),
  status: "enabled",
  disabledReason: null,
  health: healthy,
  secrets: [],
  unreadable: [],
  adHoc: null,
  ...fieldsOf("https://receiver.test/hooks?token=do-not-log"),
  headers: { authorization: "Bearer do-not-log" },
  auth: { kind: "bearer", token: Redacted.make("do-not-log") },
  settings: { ...defaultSettings, ...settings },
  createdAt: 0,
  updatedAt: 0,
  configuredAt: 0,
  ...rest
})

/** The n-th delivery, attempted so often before. */
export const deliveryOf = (n: number, tries = 0): DueDelivery => ({
  id: idOf("delivery", n),
  tenantId: idOf("tenant", 1),
  webhookId: idOf("webhook", 1),
  attempts: tries,
  tries,
  orderingKey: null,
  message: {
    id: idOf("message", n),
    type: "invoice.paid",
    contentType: "application/json",
    orderingKey: null,
    expiresAt: null,
    body: new Uint8Array(2),
    createdAt: 0
  }
})

/** An answer of the receiver. */
export const responded = (statusCode: number, headers: ResponseHeaders = {}): Outcome => ({
  _tag: "Responded",
  statusCode,
  headers,
  body: new TextEncoder().encode("answer"),
  truncated: false,
  bodyError: null
})

/** What we did not send. */
export const refused: Outcome = {
  _tag: "Refused",
  rule: "private",
  detail: "10.0.0.1 is a private address"
}

/** A fault of the store that passes, or one that stays. */
export const storeError = (kind: "away" | "refused"): StoreError =>
  new StoreError({
    operation: "DeliveryLog.settle",
    cause: new SqlError({
      reason:
        kind === "away"
          ? new ConnectionError({ cause: new Error("away") })
          : new SqlSyntaxError({ cause: new Error("refused") })
    })
  })

/** A delivery log that records the batches it is given; what becomes of each, the test says. */
export const scriptedLog = (
  answer: (batch: ReadonlyArray<Settlement>) => Effect.Effect<void, StoreError> = () => Effect.void
) => {
  const batches: Array<ReadonlyArray<Settlement>> = []
  const layer = Layer.mock(DeliveryLog, {
    settle: (batch) =>
      Effect.suspend(() => {
        batches.push(batch)
        return answer(batch)
      })
  })
  return { batches, layer }
}
