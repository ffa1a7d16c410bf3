/**
 * Where deliveries are kept, by what a list may ask of them.
 *
 * ```
 *   owed ─────────► pending ─┐
 *   waiting, new ─► pending  ├─► held, while all is, its webhook is stopped or the circuit not closed,
 *   waiting ──────► waiting ─┘   or its ordering key is blocked
 *   attempt ──────► delivered, exhausted
 *   cancelled ────► cancelled
 * ```
 *
 * Each source has an index of its own in the order of lists, for a tenant and for a webhook: its
 * condition is that of the index, word for word.
 */
import type { DeliveryStatus } from "../domain/Delivery.ts"

/** Rows of one table that are in one state. */
export interface Source {
  readonly table: string
  readonly columns: string
  readonly condition: string
  /** Whether the state is that of an open delivery, which may be held. */
  readonly isOpen: boolean
  /** The status code of the last attempt; null where there was none. */
  readonly lastStatusCode: string | null
  /** Whether there is an index of a tenant by the class of the status code, and one of a webhook. */
  readonly byClass: boolean
  readonly byWebhook: boolean
}

/** What waits has counted its last attempt; one that was in flight at a cancellation came after. */
const statusCodeOfCounted = `(
  select a.status_code from attempt a
  where a.delivery_id = t.delivery_id and a.number = t.attempts
)`
const statusCodeOfLast = `(
  select a.status_code from attempt a
  where a.delivery_id = t.delivery_id order by a.number desc limit 1
)`

const owed: Source = {
  table: "owed",
  columns: `t.delivery_id, t.webhook_id, 'pending'::text as state, 0 as attempts,
    null::timestamptz as due_at, null::int4 as status_code, null::text as class,
    null::timestamptz as settled_at`,
  condition: "true",
  isOpen: true,
  lastStatusCode: null,
  byClass: false,
  byWebhook: true
}

const waitingIf = (state: "pending" | "waiting"): Source => ({
  table: "waiting",
  columns: `t.delivery_id, t.webhook_id, '${state}'::text as state, t.attempts, t.due_at,
    null::int4 as status_code, null::text as class, null::timestamptz as settled_at`,
  condition: state === "pending" ? "t.attempts = 0" : "t.attempts > 0",
  isOpen: true,
  lastStatusCode: state === "pending" ? null : statusCodeOfCounted,
  byClass: false,
  byWebhook: true
})

/** What waits, whether it was attempted or not: walked by the order of its keys. */
export const waitingAny: Source = {
  ...waitingIf("waiting"),
  columns: `t.delivery_id, t.webhook_id,
    case when t.attempts = 0 then 'pending' else 'waiting' end as state, t.attempts, t.due_at,
    null::int4 as status_code, null::text as class, null::timestamptz as settled_at`,
  condition: "true"
}

const settled = (state: "delivered" | "exhausted"): Source => ({
  table: "attempt",
  columns: `t.delivery_id, t.webhook_id, t.settled as state, t.number as attempts,
    null::timestamptz as due_at, t.status_code, t.class,
    t.started_at + t.duration_ms * interval '1 millisecond' as settled_at`,
  condition: `t.settled = '${state}'`,
  isOpen: false,
  lastStatusCode: "t.status_code",
  byClass: state === "exhausted",
  byWebhook: true
})

/** Deliveries that were delivered by another answer than 2xx. */
const deliveredOdd: Source = {
  ...settled("delivered"),
  condition: "t.settled = 'delivered' and (t.status_code < 200 or t.status_code > 299)",
  byClass: true,
  byWebhook: false
}

const cancelled: Source = {
  table: "cancelled",
  columns: `t.delivery_id, t.webhook_id, 'cancelled'::text as state, t.attempts,
    null::timestamptz as due_at, null::int4 as status_code, null::text as class,
    t.cancelled_at as settled_at`,
  condition: "true",
  isOpen: false,
  lastStatusCode: statusCodeOfLast,
  byClass: false,
  byWebhook: true
}

/** All sources: each delivery is in one of them. */
export const all: ReadonlyArray<Source> = [
  owed,
  waitingIf("pending"),
  waitingIf("waiting"),
  settled("delivered"),
  settled("exhausted"),
  cancelled
]

/** The sources that can have deliveries of a status whose last answer is of a class. */
export const of = (
  status: DeliveryStatus | null,
  statusCodeClass: number | null
): ReadonlyArray<Source> => {
  const found = ofStatus(status)
  if (statusCodeClass === null) return found
  return found
    .filter(({ lastStatusCode }) => lastStatusCode !== null)
    .map((source) =>
      statusCodeClass !== 2 && source.condition === settled("delivered").condition
        ? deliveredOdd
        : source
    )
}

const ofStatus = (status: DeliveryStatus | null): ReadonlyArray<Source> => {
  switch (status) {
    case null:
      return all
    case "pending":
      return [owed, waitingIf("pending")]
    case "waiting":
      return [waitingIf("waiting")]
    case "held":
      return [owed, waitingIf("pending"), waitingIf("waiting")]
    case "delivered":
    case "exhausted":
      return [settled(status)]
    case "cancelled":
      return [cancelled]
  }
}
