/**
 * The statement that writes messages with all that they owe.
 *
 * ```
 *   fence ──► idempotency keys ──► uids of what is left ──► messages of what is left ──► owed, waiting
 * ```
 *
 * A message is written if and only if this statement took its key and its uid; the ids of the others
 * are answered. Under another epoch than the engine's it writes nothing, and answers a row without an
 * id: an engine that was frozen wakes with requests, and what it wrote for them nobody would hold. Of equal keys or uids in one batch the first one wins. A statement that finds a key
 * in the hands of another one waits for that one's commit, so keys and uids are taken in one order by
 * everybody: two batches never wait for each other.
 */
import * as Routing from "../domain/Routing.ts"
import { type DeliveryId, toUuid, type WebhookId } from "../domain/TypeId.ts"
import type { Message } from "../domain/Message.ts"
import {
  bytes,
  instants,
  ints,
  long,
  storable,
  storableOrNull,
  texts,
  uuids
} from "./Parameters.ts"

/** A message to be written: `MessageRepo.NewMessage`. */
export interface Insertion {
  readonly message: Message
  readonly digest: Uint8Array
  readonly idempotencyKey: string | null
  readonly decisions: ReadonlyArray<Routing.Decision>
  readonly deliveries: ReadonlyArray<{
    readonly id: DeliveryId
    readonly webhookId: WebhookId
    readonly dueAt: number | null
    /** The key in whose order it stands at this webhook; only one that has a due time has one. */
    readonly orderingKey?: string | null
  }>
}

/**
 * The statement for a batch under an engine's epoch: writes what can be written and answers the ids of
 * what was not.
 */
export const statement = (
  epoch: number,
  batch: ReadonlyArray<Insertion>
): readonly [text: string, parameters: ReadonlyArray<unknown>] => {
  const tenants = batch.map(({ message }) => toUuid(message.tenantId))
  const ids = batch.map(({ message }) => toUuid(message.id))
  const parameters = [
    ...keyParameters(batch, tenants, ids),
    ...uidParameters(batch, tenants, ids),
    ...messageParameters(batch, tenants, ids),
    ...deliveryParameters(batch, tenants, ids)
  ]
  const special = batch.filter(isSpecial)
  return special.length === 0
    ? [textOfPlain, [...parameters, long(epoch)]]
    : [
        textOfAll,
        [...parameters, ...specialParameters(special), orderParameter(batch), long(epoch)]
      ]
}

/** Tells whether there is more to say about a message than about most. */
const isSpecial = ({ decisions, message }: Insertion): boolean =>
  decisions.length > 0 ||
  message.orderingKey !== null ||
  message.channels.length > 0 ||
  message.deliverAt !== null ||
  message.expiresAt !== null

/**
 * `columns` are those that most messages leave null, `values` theirs, `join` joins the values; `epoch`
 * is the last parameter.
 */
const textWith = (special: {
  readonly columns: string
  readonly values: string
  readonly join: string
  readonly order: { readonly column: string; readonly parameter: string }
  readonly epoch: string
}) => `
with fence as materialized (
  select from engine where only_row and epoch = ${special.epoch}
), keyed as (
  insert into idempotency (tenant_id, key, digest, resource_id, created_at)
  select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::timestamptz[])
  where exists (select from fence)
  on conflict do nothing
  returning resource_id
), keyless as (
  select id from unnest($4::uuid[]) as k (id) except select resource_id from keyed
), named as (
  insert into message_uid (tenant_id, uid, digest, message_id)
  select * from unnest($6::uuid[], $7::text[], $8::bytea[], $9::uuid[])
    as n (tenant_id, uid, digest, id)
  where n.id not in (select id from keyless) and exists (select from fence)
  on conflict do nothing
  returning message_id
), rejected as (
  select id from keyless
  union all
  (select id from unnest($9::uuid[]) as n (id) except select message_id from named)
  union all
  select id from unnest($10::uuid[]) as m (id) where not exists (select from fence)
), written as (
  insert into message (id, tenant_id, type, uid, resource_type, resource_id, content_type, body,
    fan_out, created_at${special.columns})
  select m.*${special.values}
  from unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[],
    $16::text[], $17::bytea[], $18::int4[], $19::timestamptz[]) as m (id)${special.join}
  where m.id not in (select id from rejected)
), held as (
  insert into owed (delivery_id, tenant_id, webhook_id)
  select delivery_id, tenant_id, webhook_id
  from unnest($20::uuid[], $21::uuid[], $22::uuid[], $23::uuid[])
    as d (delivery_id, message_id, tenant_id, webhook_id)
  where message_id not in (select id from rejected)
), backlog as (
  insert into waiting (delivery_id, tenant_id, webhook_id, due_at${special.order.column})
  select delivery_id, tenant_id, webhook_id, due_at${special.order.column}
  from unnest($24::uuid[], $25::uuid[], $26::uuid[], $27::uuid[],
    $28::timestamptz[]${special.order.parameter})
    as d (delivery_id, message_id, tenant_id, webhook_id, due_at${special.order.column})
  where message_id not in (select id from rejected)
)
select id from rejected
union all select null where not exists (select from fence)`

// Most batches are of messages that say nothing special, and do not pay for those that do.
const textOfPlain = textWith({
  columns: "",
  values: "",
  join: "",
  order: { column: "", parameter: "" },
  epoch: "$29"
})
const textOfAll = textWith({
  columns: ", ordering_key, channels, deliver_at, expires_at, routing",
  values: ", s.ordering_key, s.channels::text[], s.deliver_at, s.expires_at, s.routing",
  join: `
    left join unnest($29::uuid[], $30::text[], $31::text[], $32::timestamptz[], $33::timestamptz[],
      $34::text[]) as s (id, ordering_key, channels, deliver_at, expires_at, routing)
      on s.id = m.id`,
  order: { column: ", ordering_key", parameter: ", $35::text[]" },
  epoch: "$36"
})

type Uuids = ReadonlyArray<string>

const keyParameters = (batch: ReadonlyArray<Insertion>, tenants: Uuids, ids: Uuids) => {
  const places = placesOf(batch, tenants, ({ idempotencyKey }) => idempotencyKey)
  return [
    uuids(places.map((i) => tenants[i]!)),
    texts(places.map((i) => storableOrNull(batch[i]!.idempotencyKey))),
    bytes(places.map((i) => batch[i]!.digest)),
    uuids(places.map((i) => ids[i]!)),
    instants(places.map((i) => batch[i]!.message.createdAt))
  ]
}

const uidParameters = (batch: ReadonlyArray<Insertion>, tenants: Uuids, ids: Uuids) => {
  const places = placesOf(batch, tenants, ({ message }) => message.uid)
  return [
    uuids(places.map((i) => tenants[i]!)),
    texts(places.map((i) => storableOrNull(batch[i]!.message.uid))),
    bytes(places.map((i) => batch[i]!.digest)),
    uuids(places.map((i) => ids[i]!))
  ]
}

/** Finds the messages that have a name, in the order in which everybody takes names. */
const placesOf = (
  batch: ReadonlyArray<Insertion>,
  tenants: Uuids,
  nameOf: (insertion: Insertion) => string | null
): ReadonlyArray<number> => {
  const places: Array<{ readonly place: number; readonly name: string }> = []
  for (let i = 0; i < batch.length; i++) {
    const name = nameOf(batch[i]!)
    if (name !== null) places.push({ place: i, name: tenants[i]! + name })
  }
  // The sort is stable, so the first of equal names stays the first.
  if (places.length > 1) places.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return places.map(({ place }) => place)
}

const messageParameters = (batch: ReadonlyArray<Insertion>, tenants: Uuids, ids: Uuids) => [
  uuids(ids),
  uuids(tenants),
  texts(batch.map(({ message }) => storable(message.type))),
  texts(batch.map(({ message }) => storableOrNull(message.uid))),
  texts(batch.map(({ message }) => storableOrNull(message.resource?.type ?? null))),
  texts(batch.map(({ message }) => storableOrNull(message.resource?.id ?? null))),
  texts(batch.map(({ message }) => storable(message.contentType))),
  bytes(batch.map(({ message }) => message.body)),
  ints(batch.map(({ message }) => message.fanOut)),
  instants(batch.map(({ message }) => message.createdAt))
]

const specialParameters = (batch: ReadonlyArray<Insertion>) => [
  uuids(batch.map(({ message }) => toUuid(message.id))),
  texts(batch.map(({ message }) => storableOrNull(message.orderingKey))),
  texts(batch.map(({ message }) => channelsText(message.channels))),
  instants(batch.map(({ message }) => message.deliverAt)),
  instants(batch.map(({ message }) => message.expiresAt)),
  texts(batch.map(({ decisions }) => storableOrNull(Routing.encode(decisions))))
]

/** Writes channels as Postgres reads an array: arrays of arrays of several lengths do not travel. */
const channelsText = (channels: ReadonlyArray<string>): string | null =>
  channels.length === 0
    ? null
    : `{${channels.map((one) => `"${storable(one).replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`

/** The ordering keys of the deliveries of the backlog, in their order. */
const orderParameter = (batch: ReadonlyArray<Insertion>) =>
  texts(
    batch.flatMap(({ deliveries }) =>
      deliveries.flatMap(({ dueAt, orderingKey }) =>
        dueAt === null ? [] : [storableOrNull(orderingKey ?? null)]
      )
    )
  )

const deliveryParameters = (batch: ReadonlyArray<Insertion>, tenants: Uuids, ids: Uuids) => {
  const held: Columns = { deliveries: [], messages: [], tenants: [], webhooks: [] }
  const backlog: Columns = { deliveries: [], messages: [], tenants: [], webhooks: [] }
  const dueAts: Array<number> = []
  for (let i = 0; i < batch.length; i++) {
    for (const { dueAt, id, webhookId } of batch[i]!.deliveries) {
      const columns = dueAt === null ? held : backlog
      columns.deliveries.push(toUuid(id))
      columns.messages.push(ids[i]!)
      columns.tenants.push(tenants[i]!)
      columns.webhooks.push(toUuid(webhookId))
      if (dueAt !== null) dueAts.push(dueAt)
    }
  }
  return [...columnParameters(held), ...columnParameters(backlog), instants(dueAts)]
}

interface Columns {
  readonly deliveries: Array<string>
  readonly messages: Array<string>
  readonly tenants: Array<string>
  readonly webhooks: Array<string>
}

const columnParameters = ({ deliveries, messages, tenants, webhooks }: Columns) => [
  uuids(deliveries),
  uuids(messages),
  uuids(tenants),
  uuids(webhooks)
]
