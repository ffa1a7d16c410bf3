/**
 * Webhooks in the Maps of MemoryTables. A step of it runs without a pause, so it needs no locks; it
 * checks before it writes, so it needs no rollback.
 */
import { Effect, Option } from "effect"
import { IdempotencyConflict } from "../domain/Message.ts"
import { blocks } from "../domain/Ordering.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import { type Webhook, WebhookUidTaken } from "../domain/Webhook.ts"
import { DefaultLimits } from "./DefaultLimits.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables, pairKey } from "./MemoryTables.ts"
import { judgeCount } from "./WebhookEdits.ts"
import type { Edited, WebhookTable } from "./WebhookTable.ts"

/** Makes the table over the Maps. */
export const make = Effect.gen(function* () {
  const { blocked, cancelled, idempotency, owed, tenants, waiting, webhooks } = yield* MemoryTables
  const defaults = yield* DefaultLimits

  const uidTaken = (webhook: Webhook): boolean =>
    webhook.uid !== null &&
    [...webhooks.values()].some(
      (other) =>
        other.id !== webhook.id && other.tenantId === webhook.tenantId && other.uid === webhook.uid
    )

  const unblock = (id: WebhookId) => {
    for (const [deliveryId, { webhookId }] of blocked) {
      if (webhookId === id) blocked.delete(deliveryId)
    }
  }

  const ofTenant = (tenantId: TenantId, webhook: Webhook | undefined) =>
    webhook?.tenantId === tenantId ? webhook : undefined

  const insert: WebhookTable["insert"] = Effect.fnUntraced(function* (webhook, used) {
    const key = used === null ? undefined : pairKey(webhook.tenantId, used.key)
    const first = key === undefined ? undefined : idempotency.get(key)
    if (used !== null && first !== undefined) {
      if (Buffer.compare(first.digest, used.digest) !== 0) {
        return yield* new IdempotencyConflict({})
      }
      const found = [...webhooks.values()].find(({ id }) => id === first.resourceId)
      if (found === undefined) {
        return yield* new IdempotencyConflict({
          detail: "The webhook that this Idempotency-Key made was deleted since"
        })
      }
      return { webhook: found, previous: found }
    }
    if (uidTaken(webhook)) return yield* new WebhookUidTaken({})
    const known = [...webhooks.values()].find(
      ({ adHoc, tenantId }) =>
        tenantId === webhook.tenantId && adHoc?.digest && adHoc.digest === webhook.adHoc?.digest
    )
    if (known !== undefined) return { webhook: known, previous: known }
    if (webhook.adHoc === null) {
      const registered = [...webhooks.values()].filter(
        ({ adHoc, tenantId }) => tenantId === webhook.tenantId && adHoc === null
      )
      const max = tenants.get(webhook.tenantId)?.limits.webhooks ?? defaults.webhooks
      yield* Effect.fromResult(judgeCount(registered.length, max))
    }
    if (used !== null && key !== undefined) {
      const { digest } = used
      idempotency.set(key, { digest, resourceId: webhook.id, createdAt: webhook.createdAt })
    }
    webhooks.set(webhook.id, webhook)
    return { webhook, previous: null }
  })

  const edit: WebhookTable["edit"] = (tenantId, id, change) =>
    Effect.gen(function* () {
      const previous = ofTenant(tenantId, webhooks.get(id))
      if (previous === undefined) return Option.none<Edited>()
      const webhook = yield* Effect.fromResult(change(previous))
      if (uidTaken(webhook)) return yield* new WebhookUidTaken({})
      webhooks.set(id, webhook)
      if (!blocks(webhook.settings.ordering)) unblock(id)
      return Option.some({ webhook, previous })
    })

  const remove: WebhookTable["remove"] = (tenantId, id, now) =>
    Effect.sync(() => {
      const webhook = ofTenant(tenantId, webhooks.get(id))
      if (webhook === undefined) return Option.none()
      webhooks.delete(id)
      for (const [deliveryId, row] of owed) {
        if (row.webhookId !== id) continue
        owed.delete(deliveryId)
        cancelled.set(deliveryId, { ...row, attempts: 0, cancelledAt: now })
      }
      for (const [deliveryId, { tenantId, webhookId, attempts }] of waiting) {
        if (webhookId !== id) continue
        waiting.delete(deliveryId)
        cancelled.set(deliveryId, { tenantId, webhookId, attempts, cancelledAt: now })
      }
      unblock(id)
      return Option.some(webhook)
    })

  const page: WebhookTable["page"] = (tenantId, request, { adHoc, status, text }) =>
    Effect.sync(() => {
      const range = IdRange.ofPage("webhook", request)
      const wanted = text?.toLowerCase()
      const found = [...webhooks.values()]
        .filter(
          (webhook) =>
            webhook.tenantId === tenantId &&
            IdRange.contains(range, webhook.id) &&
            (adHoc === null ||
              (typeof adHoc === "boolean"
                ? (webhook.adHoc !== null) === adHoc
                : webhook.adHoc === null || webhook.id === adHoc)) &&
            (status === null || webhook.status === status) &&
            (wanted === undefined ||
              [webhook.name, webhook.uid, webhook.url].some((field) =>
                field?.toLowerCase().includes(wanted)
              ))
        )
        .sort(oldestFirst)
      return (range.newer ? found : found.toReversed()).slice(0, request.limit + 1)
    })

  const table: WebhookTable = {
    transaction: (work, committed) => Effect.uninterruptible(Effect.tap(work, committed)),
    insert,
    edit,
    remove,
    findById: (tenantId, id) =>
      Effect.sync(() => Option.fromUndefinedOr(ofTenant(tenantId, webhooks.get(id)))),
    findByUid: (tenantId, uid) =>
      Effect.sync(() =>
        Option.fromUndefinedOr(
          [...webhooks.values()].find((found) => found.tenantId === tenantId && found.uid === uid)
        )
      ),
    findMany: (ids) =>
      Effect.sync(() => {
        const wanted = new Set(ids)
        return [...webhooks.values()].filter(({ id }) => wanted.has(id)).sort(oldestFirst)
      }),
    page,
    scan: (after, limit) =>
      Effect.sync(() =>
        [...webhooks.values()]
          .sort(oldestFirst)
          .filter(({ id }) => after === null || id > after)
          .slice(0, limit)
      )
  }
  return table
})

/** Ids of one kind sort by their text as their UUIDs do. */
const oldestFirst = (a: Webhook, b: Webhook): number => (a.id < b.id ? -1 : 1)
