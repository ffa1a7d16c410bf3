/**
 * The queue of deliveries in the Maps of MemoryTables. A step of it runs without a pause, so it
 * needs no locks.
 */
import { Clock, Effect } from "effect"
import { DeliveryNotFound, DeliveryStateConflict, isFinal } from "../domain/Delivery.ts"
import { type DeliveryId, messageOf, type TenantId, type WebhookId } from "../domain/TypeId.ts"
import * as MemoryDeliveries from "./MemoryDeliveries.ts"
import { MemoryTables, type OwedRow, type WaitingRow } from "./MemoryTables.ts"

/** Makes the methods of a DeliveryQueue over the Maps. */
export const make = Effect.gen(function* () {
  const tables = yield* MemoryTables
  const { attempts, cancelled, messages, owed, waiting, webhooks } = tables

  const wait = (id: DeliveryId, { tenantId, webhookId }: OwedRow, dueAt: number) => {
    owed.delete(id)
    waiting.set(id, { tenantId, webhookId, attempts: 0, tries: 0, dueAt })
  }

  const get = (tenantId: TenantId, id: DeliveryId) =>
    Effect.suspend(() => {
      const found = MemoryDeliveries.find(tables, id)
      return found?.tenantId === tenantId ? Effect.succeed(found) : new DeliveryNotFound({})
    })

  const recover = Effect.map(Clock.currentTimeMillis, (now) => {
    const rows = [...owed]
    for (const [id, row] of rows) wait(id, row, now)
    return rows.length
  })

  const agenda = Effect.sync(() => {
    const earliest = new Map<WebhookId, number>()
    for (const { dueAt, webhookId } of waiting.values()) {
      earliest.set(webhookId, Math.min(dueAt, earliest.get(webhookId) ?? dueAt))
    }
    return [...earliest].map(([webhookId, dueAt]) => ({ webhookId, dueAt }))
  })

  const pull = (request: {
    readonly webhookId: WebhookId
    readonly now: number
    readonly limit: number
    readonly bytesMax: number
    readonly held: ReadonlySet<DeliveryId>
  }) =>
    Effect.sync(() => {
      const { bytesMax, held, limit, now, webhookId } = request
      const rows = [...waiting]
        .filter(([id, row]) => row.webhookId === webhookId && !held.has(id))
        .sort(byDueTime)
      const deliveries = []
      let bytes = 0
      for (const [id, row] of rows) {
        const { attempts, dueAt, tenantId, tries } = row
        if (dueAt > now || deliveries.length === limit) return { deliveries, nextDueAt: dueAt }
        const message = messages.get(messageOf(id))
        if (message === undefined) continue
        bytes += message.body.length
        if (deliveries.length > 0 && bytes > bytesMax) return { deliveries, nextDueAt: dueAt }
        const { body, contentType, createdAt, expiresAt, orderingKey, type } = message
        const outgoing = {
          id: message.id,
          type,
          contentType,
          body,
          orderingKey,
          expiresAt,
          createdAt
        }
        deliveries.push({ id, tenantId, webhookId, attempts, tries, message: outgoing })
      }
      return { deliveries, nextDueAt: null }
    })

  const park = (deliveries: ReadonlyArray<{ readonly id: DeliveryId }>, dueAt: number) =>
    Effect.sync(() => {
      for (const { id } of deliveries) {
        const isOwed = owed.get(id)
        const isWaiting = waiting.get(id)
        if (isOwed !== undefined) wait(id, isOwed, dueAt)
        else if (isWaiting !== undefined) waiting.set(id, { ...isWaiting, dueAt })
      }
    })

  const abandon = (webhookIds: ReadonlyArray<WebhookId>) =>
    Effect.map(Clock.currentTimeMillis, (cancelledAt) => {
      for (const [id, { attempts, tenantId, webhookId }] of waiting) {
        if (!webhookIds.includes(webhookId) || webhooks.has(webhookId)) continue
        waiting.delete(id)
        cancelled.set(id, { tenantId, webhookId, attempts, cancelledAt })
      }
    })

  const cancel = Effect.fnUntraced(function* (tenantId: TenantId, id: DeliveryId) {
    const found = yield* get(tenantId, id)
    if (isFinal(found.status)) {
      return yield* new DeliveryStateConflict({ deliveryStatus: found.status })
    }
    const { webhookId } = found
    const cancelledAt = yield* Clock.currentTimeMillis
    const made = waiting.get(id)?.attempts ?? 0
    owed.delete(id)
    waiting.delete(id)
    cancelled.set(id, { tenantId, webhookId, attempts: made, cancelledAt })
    return yield* get(tenantId, id)
  })

  const redeliver = Effect.fnUntraced(function* (tenantId: TenantId, id: DeliveryId) {
    const found = yield* get(tenantId, id)
    if (!isFinal(found.status)) {
      return yield* new DeliveryStateConflict({ deliveryStatus: found.status })
    }
    const { messageId, webhookId } = found
    if (!webhooks.has(webhookId) || !messages.has(messageId)) return yield* new DeliveryNotFound({})
    const dueAt = yield* Clock.currentTimeMillis
    const written = attempts.get(id) ?? []
    const made = Math.max(cancelled.get(id)?.attempts ?? 0, written.at(-1)?.number ?? 0)
    attempts.set(
      id,
      written.map((attempt) => ({ ...attempt, settled: null }))
    )
    cancelled.delete(id)
    waiting.set(id, { tenantId, webhookId, attempts: made, tries: 0, dueAt })
    return yield* get(tenantId, id)
  })

  return {
    recover,
    agenda,
    pull,
    park,
    owed: Effect.sync(() => [...owed].map(([id, row]) => ({ id, ...row }))),
    abandon,
    cancel,
    redeliver
  }
})

const byDueTime = (
  [a, { dueAt: aDueAt }]: readonly [DeliveryId, WaitingRow],
  [b, { dueAt: bDueAt }]: readonly [DeliveryId, WaitingRow]
): number => aDueAt - bDueAt || (a < b ? -1 : 1)
