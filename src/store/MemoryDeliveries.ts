/**
 * Deliveries as lists show them, read from the Maps of MemoryTables.
 */
import type { Delivery, DeliveryStatus } from "../domain/Delivery.ts"
import { createdAt, type DeliveryId, messageOf, type WebhookId } from "../domain/TypeId.ts"
import type { MemoryTables, OwedRow, WaitingRow } from "./MemoryTables.ts"

type Tables = MemoryTables["Service"]

/** Finds a delivery, whoever owns it. */
export const find = (tables: Tables, id: DeliveryId): Delivery | undefined => {
  const attempts = tables.attempts.get(id) ?? []
  const last = attempts.at(-1)
  const show = (
    { tenantId, webhookId }: OwedRow,
    state: Pick<Delivery, "status" | "attempts" | "nextAttemptAt" | "settledAt" | "reason">,
    shown = last
  ): Delivery => {
    const messageId = messageOf(id)
    return {
      id,
      tenantId,
      messageId,
      webhookId,
      type: tables.messages.get(messageId)?.type ?? "",
      ...state,
      lastStatusCode: shown?.statusCode ?? null,
      lastClass: shown?.class ?? null,
      createdAt: createdAt(id)
    }
  }
  const open = (webhookId: WebhookId, status: DeliveryStatus): DeliveryStatus =>
    isHeld(tables, webhookId) ? "held" : status

  const owed = tables.owed.get(id)
  if (owed !== undefined) {
    const status = open(owed.webhookId, "pending")
    return show(owed, { status, attempts: 0, nextAttemptAt: null, settledAt: null })
  }
  const waiting = tables.waiting.get(id)
  if (waiting !== undefined) {
    const status = isBlocked(tables, id, waiting)
      ? "held"
      : open(waiting.webhookId, waiting.attempts === 0 ? "pending" : "waiting")
    const count = Math.max(waiting.attempts, last?.number ?? 0)
    return show(waiting, {
      status,
      attempts: count,
      nextAttemptAt: waiting.dueAt,
      settledAt: null
    })
  }
  const cancelled = tables.cancelled.get(id)
  if (cancelled !== undefined) {
    return show(cancelled, {
      status: "cancelled",
      attempts: Math.max(cancelled.attempts, last?.number ?? 0),
      nextAttemptAt: null,
      settledAt: cancelled.cancelledAt,
      ...(cancelled.reason === undefined ? {} : { reason: cancelled.reason })
    })
  }
  const final = attempts.find(({ settled }) => settled !== null)
  if (final === undefined || final.settled === null) return undefined
  return show(
    final,
    {
      status: final.settled,
      attempts: final.number,
      nextAttemptAt: null,
      settledAt: final.startedAt + final.durationMs
    },
    final
  )
}

/** Lists the ids of all deliveries there are. */
export const ids = (tables: Tables): ReadonlyArray<DeliveryId> => [
  ...new Set([
    ...tables.owed.keys(),
    ...tables.waiting.keys(),
    ...tables.attempts.keys(),
    ...tables.cancelled.keys()
  ])
]

const isBlocked = ({ blocked }: Tables, id: DeliveryId, row: WaitingRow): boolean =>
  row.orderingKey !== null &&
  [...blocked].some(
    ([first, { orderingKey, webhookId }]) =>
      webhookId === row.webhookId && orderingKey === row.orderingKey && first < id
  )

const isHeld = ({ hold, webhooks }: Tables, id: WebhookId): boolean => {
  const webhook = webhooks.get(id)
  return (
    webhook !== undefined &&
    (hold.size > 0 || webhook.status !== "enabled" || webhook.health.circuitOpenUntil !== null)
  )
}
