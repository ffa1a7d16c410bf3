/**
 * The statement that writes what attempts came to.
 *
 * ```
 *   fence ──► health, stopping ──► owed ──► waiting ──► attempts
 * ```
 *
 * Under another epoch than the engine's it writes nothing. What an attempt does to its delivery
 * depends on the row that it finds:
 *
 * - in `owed`: the row goes; a retry makes one in `waiting`;
 * - in `waiting`, of the same round: the row goes, or waits for the retry;
 * - in `waiting`, of a later round: only the number of attempts grows, so that the next gets its own;
 * - nowhere: someone cancelled it, and the attempt is written as one that settled nothing.
 *
 * A row that has counted the attempt already is left alone, so the same batch may be written again;
 * health that is no news stops nothing, so that again is not against a person who resumed since.
 * An attempt that counts takes the place of one that settled nothing under the same number: there is
 * one when a delivery is redelivered just as a cancelled attempt ends.
 * Health and webhooks are locked first, as by all who lock deliveries too, and in order of their ids.
 */
import type { Attempt } from "../domain/Attempt.ts"
import type { Notice } from "../domain/Notice.ts"
import { toUuid, type WebhookId } from "../domain/TypeId.ts"
import type { Stop, WebhookHealth } from "../domain/Webhook.ts"
import { blocksOn } from "./BlockedKeys.ts"
import {
  bytes,
  flags,
  instants,
  ints,
  long,
  longs,
  storable,
  storableOrNull,
  texts,
  uuids
} from "./Parameters.ts"

/** An attempt and what was decided: `DeliveryLog.Settlement`. */
export interface Settled {
  readonly attempt: Attempt
  readonly tries: number
  readonly health: WebhookHealth | null
  readonly stop: Stop | null
  readonly notices: ReadonlyArray<Notice>
  readonly order?: OrderSettled
}

/** The ordering key of a delivery that is settled, and whether it keeps back those behind it. */
export interface OrderSettled {
  readonly key: string
  readonly blocks: boolean
}

/** What the statement answers: who owns the deliveries, and those of which no row counted this. */
export interface SettleRow {
  readonly epoch: bigint
  readonly holder: string
  readonly loose: ReadonlyArray<string>
}

/** The statement for a batch of settlements of an engine: its text and its parameters. */
export const statement = (
  epoch: number,
  batch: ReadonlyArray<Settled>
): readonly [text: string, parameters: ReadonlyArray<unknown>] => {
  const parameters = [long(epoch), ...attemptParameters(batch)]
  const notices = batch.flatMap((settled) => settled.notices)
  const ordered = batch.filter(({ order }) => order !== undefined)
  const isPlain = notices.length === 0 && ordered.length === 0
  if (isPlain && batch.every(({ stop, health }) => health === null && stop === null)) {
    return [textOfDeliveries, parameters]
  }
  const all = [...parameters, ...healthParameters(batch), ...stopParameters(batch)]
  if (isPlain) return [textOfAll, all]
  const withNotices = [...all, ...noticeParameters(notices)]
  return ordered.length === 0
    ? [textOfNotices, withNotices]
    : [textOfOrdered, [...withNotices, ...orderParameters(ordered)]]
}

/** Writes what a batch does to webhooks. */
const webhooksText = `
), fared as (
  insert into webhook_health (webhook_id, version, consecutive_failures, failing_since,
    last_success_at, last_failure_at, circuit_open_until, circuit_openings, throttled_until)
  select h.* from unnest($18::uuid[], $19::int8[], $20::int4[], $21::timestamptz[],
    $22::timestamptz[], $23::timestamptz[], $24::timestamptz[], $25::int4[], $26::timestamptz[])
    as h (webhook_id)
  where exists (select from fence) and exists (select from webhook where id = h.webhook_id)
  order by h.webhook_id
  on conflict (webhook_id) do update set version = excluded.version,
    consecutive_failures = excluded.consecutive_failures, failing_since = excluded.failing_since,
    last_success_at = excluded.last_success_at, last_failure_at = excluded.last_failure_at,
    circuit_open_until = excluded.circuit_open_until,
    circuit_openings = excluded.circuit_openings, throttled_until = excluded.throttled_until
  where webhook_health.version < excluded.version
  returning 1
), stopped as (
  update webhook w set status = d.status, disabled_reason = d.reason, updated_at = d.at
  from unnest($27::uuid[], $28::text[], $29::timestamptz[], $30::int8[], $31::text[])
    as d (id, reason, at, version, status)
  where w.id = any ($27) and w.id = d.id and w.status = 'enabled' and exists (select from fence)
    and (select count(*) from fared) >= 0
    and not exists (
      select from webhook_health h where h.webhook_id = d.id and h.version >= d.version
    )
  returning 1`

/** Keeps what is to be told, where somebody wants it. */
const noticesText = `, noticed as (
  insert into notice (id, tenant_id, type, data, created_at)
  select n.* from unnest($32::uuid[], $33::uuid[], $34::text[], $35::text[], $36::timestamptz[])
    as n (id, tenant_id)
  where exists (select from fence) and exists (
    select from webhook w where w.tenant_id = n.tenant_id and wants_operational(w.event_types)
  )
  on conflict (id) do nothing
)`

/** Writes what settled deliveries mean to those behind them under their ordering key. */
const ordersText = `, blocking as (
  insert into blocked_key (delivery_id, tenant_id, webhook_id, ordering_key)
  select b.* from unnest($37::uuid[], $38::uuid[], $39::uuid[], $40::text[])
    as b (delivery_id, tenant_id, webhook_id, ordering_key)
  where b.delivery_id in (select delivery_id from kept)
    and exists (select from webhook w where w.id = b.webhook_id and ${blocksOn})
  on conflict do nothing
), unblocking as (
  delete from blocked_key
  where delivery_id = any ($41) and delivery_id in (select delivery_id from kept)
)`

/** `webhooks` is a part before the rest, and what makes the rest wait for its locks. */
const textWith = (webhooks: { readonly part: string; readonly wait: string }, rest = "") => `
with fence as (
  select from engine where only_row and epoch = $1${webhooks.part}
), s as materialized (
  select * from unnest($2::uuid[], $3::int4[], $4::uuid[], $5::uuid[], $6::uuid[],
    $7::timestamptz[], $8::int4[], $9::text[], $10::int4[], $11::text[], $12::text[],
    $13::bytea[], $14::bool[], $15::timestamptz[], $16::text[], $17::int4[])
    as s (delivery_id, number, id, tenant_id, webhook_id, started_at, duration_ms, class,
      status_code, error, response_headers, response_body, response_truncated, next_at, settled,
      tries)
  where exists (select from fence)
), fresh as (
  delete from owed
  where delivery_id = any ($2) and exists (select from fence) ${webhooks.wait}
  returning delivery_id
), old as (
  select delivery_id, number, next_at, settled, tries from s
  where delivery_id not in (select delivery_id from fresh)
), finished as (
  delete from waiting w using old
  where w.delivery_id = any (array(select delivery_id from old))
    and w.delivery_id = old.delivery_id and w.attempts < old.number and w.tries = old.tries - 1
    and old.settled is not null
  returning w.delivery_id
), postponed as (
  update waiting w set attempts = old.number, tries = old.tries, due_at = old.next_at from old
  where w.delivery_id = any (array(select delivery_id from old))
    and w.delivery_id = old.delivery_id and w.attempts < old.number and w.tries = old.tries - 1
    and old.settled is null
  returning w.delivery_id
), counted as (
  update waiting w set attempts = old.number from old
  where w.delivery_id = any (array(select delivery_id from old))
    and w.delivery_id = old.delivery_id and w.attempts < old.number and w.tries <> old.tries - 1
), kept as (
  select delivery_id from fresh
  union all select delivery_id from finished
  union all select delivery_id from postponed
), retried as (
  insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at)
  select delivery_id, tenant_id, webhook_id, number, tries, next_at from s
  where settled is null and delivery_id in (select delivery_id from fresh)
), written as (
  insert into attempt (delivery_id, number, id, tenant_id, webhook_id, started_at, duration_ms,
    class, status_code, error, response_headers, response_body, response_truncated, next_at,
    settled)
  select s.delivery_id, s.number, s.id, s.tenant_id, s.webhook_id, s.started_at, s.duration_ms,
    s.class, s.status_code, s.error, s.response_headers::jsonb, s.response_body,
    s.response_truncated, case when k.delivery_id is not null then s.next_at end,
    case when k.delivery_id is not null then s.settled end
  from s left join kept k on k.delivery_id = s.delivery_id
  on conflict (delivery_id, number) do update set id = excluded.id,
    started_at = excluded.started_at, duration_ms = excluded.duration_ms, class = excluded.class,
    status_code = excluded.status_code, error = excluded.error,
    response_headers = excluded.response_headers, response_body = excluded.response_body,
    response_truncated = excluded.response_truncated, next_at = excluded.next_at,
    settled = excluded.settled
  where excluded.settled is not null or excluded.next_at is not null
)${rest}
select epoch, holder,
  array(select delivery_id from s where delivery_id not in (select delivery_id from kept)) as loose
from engine where only_row`

// Most batches change no webhook, and a small one costs a fifth less without that part.
const textOfDeliveries = textWith({ part: "", wait: "" })
const withWebhooks = {
  part: webhooksText,
  wait: "and (select count(*) from stopped) >= 0"
}
const textOfAll = textWith(withWebhooks)
const textOfNotices = textWith(withWebhooks, noticesText)
const textOfOrdered = textWith(withWebhooks, noticesText + ordersText)

const attemptParameters = (batch: ReadonlyArray<Settled>) => [
  uuids(batch.map(({ attempt }) => toUuid(attempt.deliveryId))),
  ints(batch.map(({ attempt }) => attempt.number)),
  uuids(batch.map(({ attempt }) => toUuid(attempt.id))),
  uuids(batch.map(({ attempt }) => toUuid(attempt.tenantId))),
  uuids(batch.map(({ attempt }) => toUuid(attempt.webhookId))),
  instants(batch.map(({ attempt }) => attempt.startedAt)),
  ints(batch.map(({ attempt }) => attempt.durationMs)),
  texts(batch.map(({ attempt }) => attempt.class)),
  ints(batch.map(({ attempt }) => attempt.statusCode)),
  texts(batch.map(({ attempt }) => storableOrNull(attempt.error))),
  texts(batch.map(({ attempt }) => headersText(attempt.responseHeaders))),
  bytes(batch.map(({ attempt }) => attempt.responseBody)),
  flags(batch.map(({ attempt }) => attempt.responseTruncated)),
  instants(batch.map(({ attempt }) => attempt.nextAt)),
  texts(batch.map(({ attempt }) => attempt.settled)),
  ints(batch.map(({ tries }) => tries))
]

/** What makes JSON unfit for Postgres is written in it as an escape. */
const headersText = (headers: Attempt["responseHeaders"]): string | null => {
  if (headers === null) return null
  const json = JSON.stringify(headers)
  return json.includes("\\u") ? JSON.stringify(storableHeaders(headers)) : json
}

/** Makes headers that Postgres can keep; see `Parameters.storable`. */
export const storableHeaders = (
  headers: NonNullable<Attempt["responseHeaders"]>
): NonNullable<Attempt["responseHeaders"]> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [storable(name), storable(value)])
  )

const healthParameters = (batch: ReadonlyArray<Settled>) => {
  const newest = new Map<WebhookId, WebhookHealth>()
  for (const { attempt, health } of batch) {
    if (health === null || health.version < (newest.get(attempt.webhookId)?.version ?? 0)) continue
    newest.set(attempt.webhookId, health)
  }
  const healths = [...newest.values()]
  return [
    uuids([...newest.keys()].map(toUuid)),
    longs(healths.map((health) => health.version)),
    ints(healths.map((health) => health.consecutiveFailures)),
    instants(healths.map((health) => health.failingSince)),
    instants(healths.map((health) => health.lastSuccessAt)),
    instants(healths.map((health) => health.lastFailureAt)),
    instants(healths.map((health) => health.circuitOpenUntil)),
    ints(healths.map((health) => health.circuitOpenings)),
    instants(healths.map((health) => health.throttledUntil))
  ]
}

const orderParameters = (ordered: ReadonlyArray<Settled>) => {
  const blocking = ordered.filter(({ order }) => order?.blocks === true)
  const delivered = ordered.filter(({ attempt }) => attempt.settled === "delivered")
  return [
    uuids(blocking.map(({ attempt }) => toUuid(attempt.deliveryId))),
    uuids(blocking.map(({ attempt }) => toUuid(attempt.tenantId))),
    uuids(blocking.map(({ attempt }) => toUuid(attempt.webhookId))),
    texts(blocking.map(({ order }) => order?.key ?? null)),
    uuids(delivered.map(({ attempt }) => toUuid(attempt.deliveryId)))
  ]
}

const stopParameters = (batch: ReadonlyArray<Settled>) => {
  const stopping = batch.filter(({ stop }) => stop !== null)
  return [
    uuids(stopping.map(({ attempt }) => toUuid(attempt.webhookId))),
    texts(stopping.map(({ stop }) => stop?.reason ?? null)),
    instants(stopping.map(({ attempt }) => attempt.startedAt + attempt.durationMs)),
    longs(stopping.map(({ health }) => health?.version ?? null)),
    texts(stopping.map(({ stop }) => stop?.status ?? null))
  ]
}

const noticeParameters = (notices: ReadonlyArray<Notice>) => [
  uuids(notices.map(({ id }) => toUuid(id))),
  uuids(notices.map(({ tenantId }) => toUuid(tenantId))),
  texts(notices.map(({ type }) => type)),
  texts(notices.map(({ data }) => storable(data))),
  instants(notices.map(({ createdAt }) => createdAt))
]
