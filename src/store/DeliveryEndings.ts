/**
 * The statements by which deliveries end without an answer, and by which final ones begin again.
 */
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import {
  type Delivery,
  DeliveryNotFound,
  DeliveryStateConflict,
  isFinal
} from "../domain/Delivery.ts"
import {
  type DeliveryId,
  fromUuid,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import { answered } from "./Answered.ts"
import * as DeliveryRows from "./DeliveryRows.ts"
import { instant, uuid, uuids } from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"

/** Makes the methods of a DeliveryQueue that people and deadlines call for. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient

  const expire = Effect.fn("DeliveryQueue.expire")(
    function* (deliveries: ReadonlyArray<Pick<Delivery, "id">>) {
      const ids = uuids(deliveries.map(({ id }) => toUuid(id)))
      const now = yield* Clock.currentTimeMillis
      const rows = yield* sql<ExpiredRow>`
        with owed_ones as (
          delete from owed where delivery_id = any (${ids})
          returning delivery_id, tenant_id, webhook_id, 0 as attempts
        ), waiting_ones as (
          delete from waiting where delivery_id = any (${ids})
          returning delivery_id, tenant_id, webhook_id, attempts
        ), unblocked as (
          delete from blocked_key where delivery_id = any (${ids})
        ), ended as (
          insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at, reason)
          select ones.*, ${instant(now)}, 'expired'
          from (select * from owed_ones union all select * from waiting_ones) as ones
          returning delivery_id, tenant_id, webhook_id, attempts
        )
        select e.*, m.type, l.number as last_number, l.status_code as last_status_code,
          l.class as last_class
        from ended e
        left join lateral (
          select type from message where id = message_of(e.delivery_id) limit 1
        ) m on true
        left join lateral (
          select number, status_code, class from attempt where delivery_id = e.delivery_id
          order by number desc limit 1
        ) l on true
        order by e.delivery_id`
      return rows.map((row) =>
        DeliveryRows.deliveryOf(fromUuid("tenant", row.tenant_id), {
          ...row,
          state: "cancelled",
          due_at: null,
          status_code: null,
          class: null,
          settled_at: new Date(now),
          held: null,
          reason: "expired",
          fits: true,
          edge: false
        })
      )
    },
    Effect.mapError(StoreError.from("DeliveryQueue.expire")),
    answered("DeliveryQueue.expire")
  )

  const abandon = Effect.fn("DeliveryQueue.abandon")(
    function* (webhookIds: ReadonlyArray<WebhookId>) {
      const now = yield* Clock.currentTimeMillis
      yield* sql`
        with gone as (
          delete from waiting where webhook_id = any (${uuids(webhookIds.map(toUuid))})
            and not exists (select from webhook where id = waiting.webhook_id)
          returning delivery_id, tenant_id, webhook_id, attempts
        )
        insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at)
        select delivery_id, tenant_id, webhook_id, attempts, ${instant(now)} from gone`
    },
    Effect.mapError(StoreError.from("DeliveryQueue.abandon")),
    answered("DeliveryQueue.abandon")
  )

  const get = Effect.fnUntraced(function* (tenantId: TenantId, id: DeliveryId) {
    const [row] = yield* DeliveryRows.one(sql, tenantId, id)
    if (row === undefined) return yield* new DeliveryNotFound({})
    return DeliveryRows.deliveryOf(tenantId, row)
  })

  const cancel = Effect.fn("DeliveryQueue.cancel")(
    function* (tenantId: TenantId, id: DeliveryId) {
      const tenant = uuid(toUuid(tenantId))
      const delivery = uuid(toUuid(id))
      while (true) {
        const now = yield* Clock.currentTimeMillis
        const done = yield* sql`
          with owed_one as (
            delete from owed where delivery_id = ${delivery} and tenant_id = ${tenant}
            returning webhook_id, 0 as attempts
          ), waiting_one as (
            delete from waiting where delivery_id = ${delivery} and tenant_id = ${tenant}
            returning webhook_id, attempts
          ), unblocked as (
            delete from blocked_key where delivery_id = ${delivery} and tenant_id = ${tenant}
            returning webhook_id
          ), exhausted_one as (
            update attempt set settled = null
            where delivery_id = ${delivery} and settled = 'exhausted'
              and exists (select from unblocked)
            returning webhook_id, number as attempts
          )
          insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at)
          select ${delivery}, ${tenant}, webhook_id, attempts, ${instant(now)}
          from (
            select * from owed_one union all select * from waiting_one
            union all select * from exhausted_one
          ) as one
          returning 1`
        const found = yield* get(tenantId, id)
        if (done.length > 0) return found
        if (isFinal(found.status)) {
          return yield* new DeliveryStateConflict({ deliveryStatus: found.status })
        }
        // It moved from one table to another between the two statements.
      }
    },
    Effect.mapError(StoreError.from("DeliveryQueue.cancel"))
  )

  const redeliver = Effect.fn("DeliveryQueue.redeliver")(
    function* (tenantId: TenantId, id: DeliveryId) {
      const tenant = uuid(toUuid(tenantId))
      const delivery = uuid(toUuid(id))
      while (true) {
        const now = yield* Clock.currentTimeMillis
        // The locks make whoever deletes the webhook or the message find the new row, or this find none.
        const [done] = yield* sql<{ readonly possible: boolean; readonly reopened: number }>`
          with kept as materialized (
            select from message where id = message_of(${delivery}) for key share
          ), alive as (
            select id from webhook
            where id in (
              select webhook_id from attempt
              where delivery_id = ${delivery} and tenant_id = ${tenant} and settled is not null
              union all
              select webhook_id from cancelled
              where delivery_id = ${delivery} and tenant_id = ${tenant}
            ) and exists (select from kept)
            for share
          ), unsettled as (
            update attempt set settled = null
            where delivery_id = ${delivery} and settled is not null
              and webhook_id in (select id from alive)
            returning webhook_id, number as attempts
          ), uncancelled as (
            delete from cancelled
            where delivery_id = ${delivery} and webhook_id in (select id from alive)
            returning webhook_id, attempts
          ), reopened as (
            insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at,
              ordering_key)
            select ${delivery}, ${tenant}, webhook_id, greatest(attempts, (
              select max(number) from attempt where delivery_id = ${delivery}
            )), 0, ${instant(now)}, order_of(${delivery}, webhook_id)
            from (select * from unsettled union all select * from uncancelled) as one
            returning 1
          )
          select exists (select from alive) as possible,
            (select count(*)::int4 from reopened) as reopened`
        const found = yield* get(tenantId, id)
        if (done!.reopened > 0) return found
        if (!isFinal(found.status)) {
          return yield* new DeliveryStateConflict({ deliveryStatus: found.status })
        }
        if (!done!.possible) return yield* new DeliveryNotFound({})
        // It became final between the two statements.
      }
    },
    Effect.mapError(StoreError.from("DeliveryQueue.redeliver"))
  )

  return { get, expire, abandon, cancel, redeliver }
})

interface ExpiredRow extends Pick<
  DeliveryRows.DeliveryRow,
  "attempts" | "type" | "last_number" | "last_status_code" | "last_class"
> {
  readonly delivery_id: string
  readonly tenant_id: string
  readonly webhook_id: string
}
