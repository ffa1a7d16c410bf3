/**
 * Deliveries that are still owed, and who holds them.
 *
 * ```
 *             publish, room in a lane                publish, no room
 *                      │                                    │
 *                      ▼              park                  ▼
 *                    owed ─────────────────────────────► waiting ◄──┐ retry (DeliveryLog.settle)
 *                      │                                    │ ──────┘
 *                      └─────────► settled ◄────────────────┘
 * ```
 *
 * A row in `owed` is in some engine's memory; a row in `waiting` is read by its lane when it is due.
 * Nothing is written to claim: the engine that owns the database owns them all. After a crash
 * `recover` turns every owed row into a waiting one that is due at once.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { AuditAction } from "../domain/AuditEntry.ts"
import * as Audited from "../domain/Audited.ts"
import type { Delivery, DeliveryNotFound, DeliveryStateConflict } from "../domain/Delivery.ts"
import {
  type DeliveryId,
  fromUuid,
  type MessageId,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import { answered } from "./Answered.ts"
import { AuditLog } from "./AuditLog.ts"
import * as DeliveryEndings from "./DeliveryEndings.ts"
import * as DeliveryQueueMemory from "./DeliveryQueueMemory.ts"
import * as DuePull from "./DuePull.ts"
import { earliest } from "./EarliestSql.ts"
import { Ownership } from "./Ownership.ts"
import { instant, long, uuids } from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"

export class DeliveryQueue extends Context.Service<
  DeliveryQueue,
  {
    /** Makes every owed delivery of an earlier engine due now; answers how many there were. */
    readonly recover: Effect.Effect<number, StoreError>
    /** Reads the earliest due time of every webhook that has waiting deliveries. */
    readonly agenda: Effect.Effect<ReadonlyArray<AgendaEntry>, StoreError>
    /** Reads what is due for one webhook, oldest first, and when more will be. Claims nothing. */
    readonly pull: (request: PullRequest) => Effect.Effect<Pulled, StoreError>
    /**
     * Puts deliveries off that are not final: they wait, due at `dueAt` (epoch milliseconds), and
     * memory need not hold them. Puts nothing off once another engine has taken over.
     */
    readonly park: (
      deliveries: ReadonlyArray<OwedDelivery>,
      dueAt: number
    ) => Effect.Effect<void, StoreError>
    /** Reads every owed delivery, to find those that no memory holds. */
    readonly owed: Effect.Effect<ReadonlyArray<OwedDelivery>, StoreError>
    /** Cancels what waits for webhooks that exist no more, as when a publish met a deletion. */
    readonly abandon: (webhookIds: ReadonlyArray<WebhookId>) => Effect.Effect<void, StoreError>
    /** Cancels those of the deliveries that are not final, with the reason `expired`; answers them. */
    readonly expire: (
      deliveries: ReadonlyArray<OwedDelivery>
    ) => Effect.Effect<ReadonlyArray<Delivery>, StoreError>
    /** Cancels a delivery that is not final, or one that is exhausted and blocks its ordering key. */
    readonly cancel: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
    /**
     * Starts a fresh round for a final delivery, due now, under the same message id. One whose
     * webhook or message is gone is not found.
     */
    readonly redeliver: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
  }
>()("posthaste/store/DeliveryQueue") {
  /** Deliveries in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    DeliveryQueue,
    Effect.suspend(() => Effect.flatMap(make, audited))
  )

  /** Deliveries in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    DeliveryQueue,
    Effect.suspend(() => Effect.flatMap(DeliveryQueueMemory.make, audited))
  )
}

/** When a webhook's lane has something to read next. */
export interface AgendaEntry {
  readonly webhookId: WebhookId
  /** Epoch milliseconds. */
  readonly dueAt: number
}

/** What a lane asks for. */
export interface PullRequest {
  readonly webhookId: WebhookId
  /** Epoch milliseconds: what is due by then. */
  readonly now: number
  /** The most deliveries to read. */
  readonly limit: number
  /** The most body bytes to read; the first delivery is read whatever its size. */
  readonly bytesMax: number
  /** Deliveries that the lane holds already and that shall not be read again. */
  readonly held: ReadonlySet<DeliveryId>
  /** Ordering keys of which the lane holds deliveries: none of them is read. */
  readonly keys: ReadonlyArray<string>
  /** Only ordering keys after this one are read; empty for all of them. */
  readonly after: string
}

/** What a lane got. */
export interface Pulled {
  readonly deliveries: ReadonlyArray<DueDelivery>
  /** Epoch milliseconds of the earliest delivery that was left, or null when none was. */
  readonly nextDueAt: number | null
}

/** A delivery by its keys alone. */
export interface OwedDelivery {
  readonly id: DeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
}

/** A delivery with all that sending it needs. */
export interface DueDelivery extends OwedDelivery {
  /** Attempts made in all, and in the present round. */
  readonly attempts: number
  readonly tries: number
  /** The key in whose order it stands at this webhook, or null: it comes from the store alone then. */
  readonly orderingKey: string | null
  readonly message: OutgoingMessage
}

/** The part of a message that goes out. */
export interface OutgoingMessage {
  readonly id: MessageId
  readonly type: string
  readonly contentType: string
  readonly body: Uint8Array
  readonly orderingKey: string | null
  /** Epoch milliseconds from which on it is not sent any more, or null. */
  readonly expiresAt: number | null
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** Where deliveries are kept: a queue that can also be looked into. */
interface Store extends Service {
  readonly get: (
    tenantId: TenantId,
    id: DeliveryId
  ) => Effect.Effect<Delivery, DeliveryNotFound | SqlError>
}
type Service = DeliveryQueue["Service"]

/** Writes down what people do to deliveries. */
const audited = Effect.fnUntraced(function* ({ get, ...store }: Store) {
  const audit = yield* AuditLog
  const by =
    (method: "cancel" | "redeliver", action: AuditAction): Service[typeof method] =>
    (tenantId, id) =>
      audit
        .changing(Effect.zip(get(tenantId, id), store[method](tenantId, id)), ([before, after]) =>
          Audited.delivery(action, before, after)
        )
        .pipe(
          Effect.map(([, after]) => after),
          Effect.mapError(StoreError.from(`DeliveryQueue.${method}`))
        )
  return DeliveryQueue.of({
    ...store,
    cancel: by("cancel", "delivery.cancelled"),
    redeliver: by("redeliver", "delivery.redelivered")
  })
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const endings = yield* DeliveryEndings.make
  const { epoch } = yield* Ownership

  const recover = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const [row] = yield* sql<{ readonly recovered: number }>`
      with recovered as (
        delete from owed returning delivery_id, tenant_id, webhook_id
      ), backlog as (
        insert into waiting (delivery_id, tenant_id, webhook_id, due_at)
        select delivery_id, tenant_id, webhook_id, ${instant(now)} from recovered
      )
      select count(*)::int4 as recovered from recovered`
    return row!.recovered
  }).pipe(
    Effect.mapError(StoreError.from("DeliveryQueue.recover")),
    Effect.withSpan("DeliveryQueue.recover")
  )

  /** Jumps from webhook to webhook along the index: what they have waiting is not counted. */
  const agenda = Effect.suspend(
    () => sql<{ readonly webhook_id: string; readonly due_at: Date }>`
      with recursive ${earliest(sql)}
      select webhook_id, due_at from earliest`
  ).pipe(
    Effect.map((rows) =>
      rows.map((row) => ({
        webhookId: fromUuid("webhook", row.webhook_id),
        dueAt: row.due_at.getTime()
      }))
    ),
    Effect.mapError(StoreError.from("DeliveryQueue.agenda")),
    answered("DeliveryQueue.agenda"),
    Effect.withSpan("DeliveryQueue.agenda")
  )

  const pull = Effect.fnUntraced(
    function* (request: PullRequest) {
      const rows = yield* sql.unsafe<DuePull.DueRow>(DuePull.text, DuePull.parameters(request))
      return DuePull.decode(rows, request)
    },
    Effect.mapError(StoreError.from("DeliveryQueue.pull")),
    answered("DeliveryQueue.pull")
  )

  const park = Effect.fn("DeliveryQueue.park")(
    function* (deliveries: ReadonlyArray<OwedDelivery>, dueAt: number) {
      if (deliveries.length === 0) return
      const ids = uuids(deliveries.map(({ id }) => toUuid(id)))
      yield* sql`
        with fence as (
          select from engine where only_row and epoch = ${long(epoch)}
        ), parked as (
          delete from owed where delivery_id = any (${ids}) and exists (select from fence)
          returning delivery_id, tenant_id, webhook_id
        ), put_off as (
          update waiting set due_at = ${instant(dueAt)}
          where delivery_id = any (${ids}) and exists (select from fence)
        )
        insert into waiting (delivery_id, tenant_id, webhook_id, due_at)
        select delivery_id, tenant_id, webhook_id, ${instant(dueAt)} from parked`
    },
    Effect.mapError(StoreError.from("DeliveryQueue.park")),
    answered("DeliveryQueue.park")
  )

  const owed = Effect.suspend(
    () => sql<OwedRow>`select delivery_id, tenant_id, webhook_id from owed order by delivery_id`
  ).pipe(
    Effect.map((rows) =>
      rows.map((row) => ({
        id: fromUuid("delivery", row.delivery_id),
        tenantId: fromUuid("tenant", row.tenant_id),
        webhookId: fromUuid("webhook", row.webhook_id)
      }))
    ),
    Effect.mapError(StoreError.from("DeliveryQueue.owed")),
    answered("DeliveryQueue.owed"),
    Effect.withSpan("DeliveryQueue.owed")
  )

  return { recover, agenda, pull, park, owed, ...endings }
})

interface OwedRow {
  readonly delivery_id: string
  readonly tenant_id: string
  readonly webhook_id: string
}
