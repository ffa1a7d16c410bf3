/**
 * Retention in the Maps of MemoryTables. A step of it runs without a pause, so it needs no locks.
 */
import { Effect } from "effect"
import { createdAt, type MessageId, messageOf, type WebhookId } from "../domain/TypeId.ts"
import { MemoryTables } from "./MemoryTables.ts"

/** Makes a `Retention.RetentionStore` over the Maps. */
export const make = Effect.map(MemoryTables, (tables) => {
  const {
    attempts,
    blocked,
    cancelled,
    decisions,
    messages,
    owed,
    redeliveries,
    waiting,
    webhooks
  } = tables

  const keptAfter = (before: number) => {
    const kept = new Set<MessageId>()
    for (const id of owed.keys()) kept.add(messageOf(id))
    for (const id of waiting.keys()) kept.add(messageOf(id))
    for (const id of blocked.keys()) kept.add(messageOf(id))
    for (const [id, { cancelledAt }] of cancelled) if (cancelledAt > before) kept.add(messageOf(id))
    for (const [id, made] of attempts) {
      const isYoung = made.some(
        ({ durationMs, settled, startedAt }) => settled !== null && startedAt + durationMs > before
      )
      if (isYoung) kept.add(messageOf(id))
    }
    return kept
  }

  return {
    removeSettled: (before: number) =>
      Effect.sync(() => {
        const kept = keptAfter(before)
        const isGone = (id: MessageId) => createdAt(id) < before && !kept.has(id)
        for (const rows of [attempts, cancelled]) {
          for (const id of rows.keys()) if (isGone(messageOf(id))) rows.delete(id)
        }
        for (const [id, { job }] of redeliveries) {
          if (job.finishedAt !== null && job.finishedAt <= before) redeliveries.delete(id)
        }
        let removed = 0
        for (const id of messages.keys()) {
          if (!isGone(id) || !messages.delete(id)) continue
          decisions.delete(id)
          removed++
        }
        return { days: 0, messages: removed }
      }),
    unused: (before: number) =>
      Effect.sync(() => {
        const old = [...webhooks.values()].filter(
          ({ adHoc, createdAt: made }) => adHoc !== null && made < before
        )
        if (old.length === 0) return []
        const used = new Set<WebhookId>()
        for (const rows of [owed, waiting, cancelled]) {
          for (const { webhookId } of rows.values()) used.add(webhookId)
        }
        for (const [first] of attempts.values()) if (first !== undefined) used.add(first.webhookId)
        return old.flatMap(({ id }) => (used.has(id) ? [] : [id]))
      }),
    retries: Effect.sync(() => [...webhooks.values()].map(({ settings }) => settings.retry))
  }
})
