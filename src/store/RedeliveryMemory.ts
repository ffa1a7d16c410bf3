/**
 * Bulk redeliveries in the Maps of MemoryTables. A step of it runs without a pause, so it needs no
 * locks.
 */
import { Clock, Effect, Option } from "effect"
import { IdempotencyConflict } from "../domain/Message.ts"
import { pageOf, type PageRequest } from "../domain/Page.ts"
import {
  isFinished,
  RedeliveriesBusy,
  type Redelivery,
  type RedeliveryFilter,
  RedeliveryFinished,
  RedeliveryNotFound
} from "../domain/Redelivery.ts"
import {
  type DeliveryId,
  messageOf,
  type RedeliveryId,
  type TenantId,
  type WebhookId
} from "../domain/TypeId.ts"
import * as IdRange from "./IdRange.ts"
import * as MemoryDeliveries from "./MemoryDeliveries.ts"
import { MemoryTables, orderOf, pairKey, type RedeliveryRow } from "./MemoryTables.ts"
import { storableOrNull } from "./Parameters.ts"
import { rangeOf, unfinishedMax } from "./RedeliveryRows.ts"

/** Makes the methods of a RedeliveryRepo over the Maps, for the engine of an epoch. */
export const make = Effect.fnUntraced(function* (epoch: number) {
  const tables = yield* MemoryTables
  const { attempts, cancelled, idempotency, messages, redeliveries, waiting, webhooks } = tables

  const find = (tenantId: TenantId, id: RedeliveryId) =>
    Effect.sync(() =>
      Option.filter(
        Option.fromUndefinedOr(redeliveries.get(id)?.job),
        (job) => job.tenantId === tenantId
      )
    )

  const unfinished = () => [...redeliveries.values()].filter(({ job }) => !isFinished(job.state))

  const create = Effect.fnUntraced(function* (input: {
    readonly id: RedeliveryId
    readonly tenantId: TenantId
    readonly filter: RedeliveryFilter
    readonly idempotency: { readonly key: string; readonly digest: Uint8Array } | null
  }) {
    const { filter, id, tenantId } = input
    const now = yield* Clock.currentTimeMillis
    const key = input.idempotency === null ? null : pairKey(tenantId, input.idempotency.key)
    const first = key === null ? undefined : idempotency.get(key)
    if (input.idempotency !== null && first !== undefined) {
      const found = [...redeliveries.values()].find(({ job }) => job.id === first.resourceId)
      return found !== undefined && Buffer.compare(first.digest, input.idempotency.digest) === 0
        ? found.job
        : yield* new IdempotencyConflict({})
    }
    if (unfinished().filter(({ job }) => job.tenantId === tenantId).length >= unfinishedMax) {
      return yield* new RedeliveriesBusy({ retryAfterSeconds: 60 })
    }
    if (input.idempotency !== null && key !== null) {
      const { digest } = input.idempotency
      idempotency.set(key, { digest, resourceId: id, createdAt: now })
    }
    const { above, below } = rangeOf(filter, now)
    const job: Redelivery = {
      ...filter,
      type: storableOrNull(filter.type),
      id,
      tenantId,
      state: "counting",
      matched: 0,
      done: 0,
      createdAt: now,
      updatedAt: now,
      finishedAt: null
    }
    redeliveries.set(id, { job, above, below, passed: above })
    return job
  })

  const list = (tenantId: TenantId, request: PageRequest) =>
    Effect.sync(() => {
      const range = IdRange.ofPage("redelivery", request)
      const found = [...redeliveries.values()]
        .map(({ job }) => job)
        .filter((job) => job.tenantId === tenantId && IdRange.contains(range, job.id))
        .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
        .slice(0, request.limit + 1)
      return pageOf(found, request, ({ id }) => id)
    })

  const cancel = Effect.fnUntraced(function* (tenantId: TenantId, id: RedeliveryId) {
    const row = redeliveries.get(id)
    if (row?.job.tenantId !== tenantId) return yield* new RedeliveryNotFound({})
    if (isFinished(row.job.state)) return yield* new RedeliveryFinished({ state: row.job.state })
    const now = yield* Clock.currentTimeMillis
    const job: Redelivery = { ...row.job, state: "cancelled", updatedAt: now, finishedAt: now }
    redeliveries.set(id, { ...row, job })
    return job
  })

  /** Reads the page that a walk passes next: deliveries in the wanted state. */
  const pageAt = ({ below, job, passed }: RedeliveryRow, limit: number) =>
    MemoryDeliveries.ids(tables)
      .filter((id) => id > passed && id < below)
      .map((id) => MemoryDeliveries.find(tables, id))
      .filter((delivery) => delivery !== undefined)
      .filter(
        ({ status, tenantId, webhookId }) =>
          tenantId === job.tenantId &&
          status === job.status &&
          (job.webhookId ?? webhookId) === webhookId
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)

  const isWanted = (job: Redelivery, id: DeliveryId, webhookId: WebhookId) => {
    const message = messages.get(messageOf(id))
    return (
      webhooks.has(webhookId) &&
      message !== undefined &&
      (job.type ?? message.type) === message.type
    )
  }

  const reopen = (id: DeliveryId, job: Redelivery, webhookId: WebhookId, dueAt: number) => {
    const written = attempts.get(id) ?? []
    const made = Math.max(cancelled.get(id)?.attempts ?? 0, written.at(-1)?.number ?? 0)
    attempts.set(
      id,
      written.map((attempt) => ({ ...attempt, settled: null }))
    )
    cancelled.delete(id)
    const orderingKey = orderOf(tables, id, webhookId)
    const { tenantId } = job
    waiting.set(id, { tenantId, webhookId, attempts: made, tries: 0, dueAt, orderingKey })
  }

  const step = Effect.fnUntraced(function* (
    id: RedeliveryId,
    rows: { readonly counting: number; readonly redelivering: number }
  ) {
    const now = yield* Clock.currentTimeMillis
    const row = redeliveries.get(id)
    if (row === undefined || isFinished(row.job.state) || tables.engine.epoch !== epoch) {
      return Option.none()
    }
    const { above, below, job, passed } = row
    const isCounting = job.state === "counting"
    const limit = isCounting ? rows.counting : rows.redelivering
    const page = pageAt(row, limit)
    const wanted = page.filter((one) => isWanted(job, one.id, one.webhookId))
    const isOver = page.length < limit
    const last = page.at(-1)?.id ?? passed
    const matched = isCounting ? job.matched + wanted.length : job.matched
    const isDone = isOver && (!isCounting || job.dryRun || matched === 0)
    if (!isCounting) wanted.forEach((one) => reopen(one.id, job, one.webhookId, now))
    const after: Redelivery = {
      ...job,
      matched,
      done: isCounting ? job.done : job.done + wanted.length,
      state: isDone ? "done" : isOver ? "running" : job.state,
      updatedAt: now,
      finishedAt: isDone ? now : null
    }
    redeliveries.set(id, {
      job: after,
      above,
      below,
      passed: isCounting && isOver ? above : last
    })
    return Option.some({
      job: after,
      redelivered: isCounting ? 0 : wanted.length,
      webhookIds: isCounting ? [] : [...new Set(wanted.map(({ webhookId }) => webhookId))]
    })
  })

  return {
    create,
    find,
    list,
    cancel,
    unfinished: Effect.sync(() =>
      unfinished()
        .map(({ job }) => job.id)
        .sort()
    ),
    step
  }
})
