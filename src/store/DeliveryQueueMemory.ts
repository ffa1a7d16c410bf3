/**
 * The queue of deliveries in the Maps of MemoryTables. A step of it runs without a pause, so it
 * needs no locks.
 */
import { Clock, Effect } from "effect"
import { DeliveryNotFound, DeliveryStateConflict, isFinal } from "../domain/Delivery.ts"
import { type DeliveryId, messageOf, type TenantId, type WebhookId } from "../domain/TypeId.ts"
import * as MemoryDeliveries from "./MemoryDeliveries.ts"
import { runMax } from "./DuePull.ts"
import { MemoryTables, orderOf, type OwedRow, type WaitingRow } from "./MemoryTables.ts"
import { Ownership } from "./Ownership.ts"

/** Makes the methods of a DeliveryQueue over the Maps. */
export const make = Effect.gen(function* () {
  const tables = yield* MemoryTables
  const { epoch } = yield* Ownership
  const { attempts, blocked, cancelled, engine, messages, owed, waiting, webhooks } = tables

  const wait = (id: DeliveryId, { tenantId, webhookId }: OwedRow, dueAt: number) => {
    owed.delete(id)
    waiting.set(id, { tenantId, webhookId, attempts: 0, tries: 0, dueAt, orderingKey: null })
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
    readonly keys: ReadonlyArray<string>
    readonly after: string
  }) =>
    Effect.sync(() => {
      const { bytesMax, held, limit, now, webhookId } = request
      const all = [...waiting].filter(([, row]) => row.webhookId === webhookId)
      const free = all
        .filter(([id, row]) => row.orderingKey === null && !held.has(id))
        .map(([id, row]): Sorted => ({ id, row, sortAt: row.dueAt }))
      const rows = [...free, ...runs(all, request), ...later(all, now)].sort(bySort)
      const deliveries = []
      let bytes = 0
      for (const { id, row } of rows) {
        const { attempts, dueAt, orderingKey: key, tenantId, tries } = row
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
        deliveries.push({
          id,
          tenantId,
          webhookId,
          attempts,
          tries,
          orderingKey: key,
          message: outgoing
        })
      }
      return { deliveries, nextDueAt: null }
    })

  const park = (deliveries: ReadonlyArray<{ readonly id: DeliveryId }>, dueAt: number) =>
    Effect.sync(() => {
      if (engine.epoch !== epoch) return
      for (const { id } of deliveries) {
        const isOwed = owed.get(id)
        const isWaiting = waiting.get(id)
        if (isOwed !== undefined) wait(id, isOwed, dueAt)
        else if (isWaiting !== undefined) waiting.set(id, { ...isWaiting, dueAt })
      }
    })

  /** The runs of deliveries that may go out, each beginning with the first one of its key. */
  const runs = (
    all: ReadonlyArray<readonly [DeliveryId, WaitingRow]>,
    {
      after,
      keys,
      now,
      webhookId
    }: {
      readonly after: string
      readonly keys: ReadonlyArray<string>
      readonly now: number
      readonly webhookId: WebhookId
    }
  ) => {
    const lines = new Map<string, Array<readonly [DeliveryId, WaitingRow]>>()
    for (const [id, row] of all.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const key = row.orderingKey
      if (key === null || key <= after || keys.includes(key)) continue
      const line = lines.get(key)
      if (line === undefined) lines.set(key, [[id, row]])
      else line.push([id, row])
    }
    return [...lines].flatMap(([key, line]) => {
      const blocking = [...blocked]
        .filter(([, row]) => row.webhookId === webhookId && row.orderingKey === key)
        .map(([id]) => id)
      const notDue = line.findIndex(
        ([id, row]) => row.dueAt > now || blocking.some((first) => first < id)
      )
      const sortAt = line[0]![1].dueAt
      return line
        .slice(0, Math.min(runMax, notDue < 0 ? runMax : notDue))
        .map(([id, row]): Sorted => ({ id, row, sortAt }))
    })
  }

  const expire = (deliveries: ReadonlyArray<{ readonly id: DeliveryId }>) =>
    Effect.map(Clock.currentTimeMillis, (cancelledAt) => {
      const ended: Array<DeliveryId> = []
      for (const { id } of deliveries) {
        const row = waiting.get(id) ?? owed.get(id)
        if (row === undefined) continue
        ended.push(id)
        const { tenantId, webhookId } = row
        const made = waiting.get(id)?.attempts ?? 0
        owed.delete(id)
        waiting.delete(id)
        blocked.delete(id)
        const reason = "expired"
        cancelled.set(id, { tenantId, webhookId, attempts: made, cancelledAt, reason })
      }
      return ended
        .sort((a, b) => (a < b ? -1 : 1))
        .map((id) => MemoryDeliveries.find(tables, id))
        .filter((found) => found !== undefined)
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
    const isBlocking = blocked.delete(id)
    if (isFinal(found.status) && !isBlocking) {
      return yield* new DeliveryStateConflict({ deliveryStatus: found.status })
    }
    const { webhookId } = found
    const cancelledAt = yield* Clock.currentTimeMillis
    const written = attempts.get(id) ?? []
    const made = waiting.get(id)?.attempts ?? written.at(-1)?.number ?? 0
    attempts.set(
      id,
      written.map((attempt) => ({ ...attempt, settled: null }))
    )
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
    const orderingKey = orderOf(tables, id, webhookId)
    waiting.set(id, { tenantId, webhookId, attempts: made, tries: 0, dueAt, orderingKey })
    return yield* get(tenantId, id)
  })

  return {
    get,
    recover,
    agenda,
    pull,
    park,
    owed: Effect.sync(() => [...owed].map(([id, row]) => ({ id, ...row }))),
    expire,
    abandon,
    cancel,
    redeliver
  }
})

interface Sorted {
  readonly id: DeliveryId
  readonly row: WaitingRow
  readonly sortAt: number
}

/** The one of those in an order that falls due next. */
const later = (
  all: ReadonlyArray<readonly [DeliveryId, WaitingRow]>,
  now: number
): ReadonlyArray<Sorted> =>
  all
    .filter(([, row]) => row.orderingKey !== null && row.dueAt > now)
    .map(([id, row]) => ({ id, row, sortAt: row.dueAt }))
    .sort(bySort)
    .slice(0, 1)

const bySort = (a: Sorted, b: Sorted): number => {
  const [aKey, bKey] = [a.row.orderingKey ?? "", b.row.orderingKey ?? ""]
  return a.sortAt - b.sortAt || (aKey === bKey ? (a.id < b.id ? -1 : 1) : aKey < bKey ? -1 : 1)
}
