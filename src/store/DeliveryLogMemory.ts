/**
 * The log of deliveries in the Maps of MemoryTables. A step of it runs without a pause, so it needs
 * no locks; the fence stands before it.
 */
import { Effect, Option } from "effect"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery, DeliveryStatus } from "../domain/Delivery.ts"
import { isOperational } from "../domain/EventType.ts"
import { blocks } from "../domain/Ordering.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "../domain/TypeId.ts"
import * as IdRange from "./IdRange.ts"
import * as MemoryDeliveries from "./MemoryDeliveries.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { storableOrNull } from "./Parameters.ts"
import { type Settled, storableHeaders } from "./Settlements.ts"

/** Makes the methods of a DeliveryLog over the Maps; `settle` answers the states it left. */
export const make = Effect.gen(function* () {
  const tables = yield* MemoryTables
  const { attempts, blocked, owed, waiting, webhooks } = tables

  const settleOne = (
    { attempt, stop, health, notices, order, tries }: Settled,
    versions: ReadonlyMap<WebhookId, number>
  ) => {
    const { deliveryId: id, nextAt, number, settled, tenantId, webhookId } = attempt
    const row = waiting.get(id)
    const isOwed = owed.delete(id)
    const isOfRound = row !== undefined && row.attempts < number && row.tries === tries - 1
    if (isOwed || isOfRound) {
      if (settled === null) {
        const dueAt = nextAt ?? attempt.startedAt
        waiting.set(id, {
          tenantId,
          webhookId,
          attempts: number,
          tries,
          dueAt,
          orderingKey: row?.orderingKey ?? null
        })
      } else waiting.delete(id)
    } else if (row !== undefined && row.attempts < number) {
      waiting.set(id, { ...row, attempts: number })
    }
    const counts = isOwed || isOfRound
    if (counts && settled === "delivered") blocked.delete(id)
    const ordering = webhooks.get(webhookId)?.settings.ordering ?? "none"
    if (counts && settled !== null && order?.blocks === true && blocks(ordering)) {
      blocked.set(id, { tenantId, webhookId, orderingKey: order.key })
    }
    const written = attempts.get(id) ?? []
    if (counts || !written.some((other) => other.number === number)) {
      const others = written.filter((other) => other.number !== number)
      const kept = stored(counts ? attempt : { ...attempt, nextAt: null, settled: null })
      attempts.set(
        id,
        [...others, kept].sort((a, b) => a.number - b.number)
      )
    }
    for (const notice of notices) {
      const isWanted = [...webhooks.values()].some(
        (one) => one.tenantId === tenantId && one.eventTypes.some(isOperational)
      )
      if (isWanted) tables.notices.set(notice.id, notice)
    }
    const webhook = webhooks.get(webhookId)
    if (webhook === undefined) return
    const fares =
      health !== null && health.version > webhook.health.version ? { ...webhook, health } : webhook
    const isNews = health === null || health.version > (versions.get(webhookId) ?? 0)
    webhooks.set(
      webhookId,
      stop !== null && webhook.status === "enabled" && isNews
        ? {
            ...fares,
            status: stop.status,
            disabledReason: stop.reason,
            updatedAt: attempt.startedAt + attempt.durationMs
          }
        : fares
    )
  }

  const statusOf = ({ deliveryId: id, number }: Attempt) =>
    attempts.get(id)?.find((written) => written.number === number)?.settled ??
    (waiting.has(id) ? ("waiting" as const) : ("cancelled" as const))

  return {
    settle: (settlements: ReadonlyArray<Settled>) => {
      const versions = new Map([...webhooks].map(([id, { health }]) => [id, health.version]))
      for (const settlement of settlements) settleOne(settlement, versions)
      return new Map(
        settlements.map(({ attempt }) => [attempt.deliveryId, statusOf(attempt)] as const)
      )
    },

    find: (tenantId: TenantId, id: DeliveryId) =>
      Effect.sync(() => {
        const found = MemoryDeliveries.find(tables, id)
        return found?.tenantId === tenantId ? Option.some(found) : Option.none<Delivery>()
      }),

    list: (
      tenantId: TenantId,
      request: PageRequest,
      filter: {
        readonly webhookId: WebhookId | null
        readonly messageId: MessageId | null
        readonly type: string | null
        readonly status: DeliveryStatus | null
        readonly statusCodeClass: number | null
      }
    ) =>
      Effect.sync((): Page<Delivery> => {
        const { messageId, status, statusCodeClass, type, webhookId } = filter
        const all = IdRange.ofPage("delivery", request)
        const range = messageId === null ? all : IdRange.withinMessage(all, messageId)
        const found = MemoryDeliveries.ids(tables)
          .filter((id) => IdRange.contains(range, id))
          .map((id) => MemoryDeliveries.find(tables, id))
          .filter((delivery) => delivery !== undefined)
          .filter(
            (delivery) =>
              delivery.tenantId === tenantId &&
              (webhookId === null || delivery.webhookId === webhookId) &&
              (type === null || delivery.type === type) &&
              (status === null || delivery.status === status) &&
              (statusCodeClass === null ||
                (delivery.lastStatusCode !== null &&
                  Math.floor(delivery.lastStatusCode / 100) === statusCodeClass))
          )
          .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
          .slice(0, request.limit + 1)
        return pageOf(found, request, ({ id }) => id)
      }),

    attempts: (tenantId: TenantId, id: DeliveryId) =>
      Effect.sync(() => (attempts.get(id) ?? []).filter((found) => found.tenantId === tenantId))
  }
})

/** Keeps of an attempt what SQL would keep. */
const stored = (attempt: Attempt): Attempt => ({
  ...attempt,
  error: storableOrNull(attempt.error),
  responseHeaders:
    attempt.responseHeaders === null ? null : storableHeaders(attempt.responseHeaders)
})
