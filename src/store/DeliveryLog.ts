/**
 * What was sent, when, with which result: attempts, only added, and deliveries read from them.
 *
 * `settle` is the one place where an attempt is written: in one transaction with the state of its
 * delivery, the next due time and the health of its webhook. Then it is announced on `changes`.
 */
import { Context, Effect, Exit, Layer, Option, PubSub, type Scope, Stream, type Take } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { SqlClient } from "effect/sql/SqlClient"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery, DeliveryStatus } from "../domain/Delivery.ts"
import type { Notice } from "../domain/Notice.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import {
  type DeliveryId,
  fromUuid,
  type MessageId,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import type { Stop, WebhookHealth } from "../domain/Webhook.ts"
import * as AttemptRow from "./AttemptRow.ts"
import * as DeliveryLogMemory from "./DeliveryLogMemory.ts"
import * as DeliveryRows from "./DeliveryRows.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { Fenced, Ownership } from "./Ownership.ts"
import { ints, uuid, uuids } from "./Parameters.ts"
import * as Scan from "./Scan.ts"
import * as Settlements from "./Settlements.ts"
import { StoreError } from "./StoreError.ts"
import { WebhookRepo } from "./WebhookRepo.ts"
import { reach } from "../telemetry/Failpoint.ts"

export class DeliveryLog extends Context.Service<
  DeliveryLog,
  {
    /**
     * Writes attempts and what follows from them, in one commit; the same ones may be written again
     * when it is not known whether they were. A delivery that was cancelled meanwhile keeps that
     * state; its attempt is written all the same. A fenced engine writes nothing and dies.
     */
    readonly settle: (
      settlements: NonEmptyReadonlyArray<Settlement>
    ) => Effect.Effect<void, StoreError>
    /** Finds a tenant's delivery. */
    readonly find: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<Option.Option<Delivery>, StoreError>
    /**
     * Lists a tenant's deliveries, newest message first. A page may be short, or empty, and have a next
     * one: where no index tells what fits, so many rows are looked at and no more.
     */
    readonly list: (
      tenantId: TenantId,
      request: PageRequest,
      filter: DeliveryFilter
    ) => Effect.Effect<Page<Delivery>, StoreError>
    /** Lists the attempts of a tenant's delivery, first one first. */
    readonly attempts: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<ReadonlyArray<Attempt>, StoreError>
    /** Calls the listener with all that is written, at once and in line, until the scope closes. */
    readonly watch: (
      listener: (settlements: ReadonlyArray<Settlement>) => void
    ) => Effect.Effect<void, never, Scope.Scope>
    /** Every settlement from now on. A slow reader misses the oldest of more than 4,096. */
    readonly changes: Stream.Stream<DeliveryChange>
  }
>()("posthaste/store/DeliveryLog") {
  /** Deliveries in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    DeliveryLog,
    Effect.suspend(() => make)
  )

  /** Deliveries in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    DeliveryLog,
    Effect.suspend(() => makeMemory)
  )
}

/** An attempt and what was decided. */
export interface Settlement {
  readonly attempt: Attempt
  /** The type of the delivery's message; it is announced, not written. */
  readonly type: string
  /** Attempts made in the present round, this one included. */
  readonly tries: number
  /** The webhook's health after this attempt, or null when it need not be written. */
  readonly health: WebhookHealth | null
  /** Set when this attempt stops the webhook. */
  readonly stop: Stop | null
  /** Operational messages that this raises; kept where the tenant has a webhook that wants some. */
  readonly notices: ReadonlyArray<Notice>
  /** Set when this attempt settles a delivery that stands in the order of a key. */
  readonly order?: Settlements.OrderSettled
}

/**
 * Announces an attempt that was written, and the state it left its delivery in: `cancelled` when
 * someone cancelled it while the attempt was in flight.
 */
export interface DeliveryChange {
  readonly attempt: Attempt
  /** The type of the delivery's message. */
  readonly type: string
  readonly status: "waiting" | "delivered" | "exhausted" | "cancelled"
}

/** What a list of deliveries is narrowed to. */
export interface DeliveryFilter {
  readonly webhookId: WebhookId | null
  readonly messageId: MessageId | null
  readonly type: string | null
  readonly status: DeliveryStatus | null
  /** 2 for 2xx, and so on: of the last attempt. */
  readonly statusCodeClass: number | null
}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const webhooks = yield* WebhookRepo
  const { epoch } = yield* Ownership
  const announcer = yield* makeAnnouncer

  const settle = Effect.fnUntraced(
    function* (settlements: NonEmptyReadonlyArray<Settlement>) {
      reach("settle.writing")
      const [text, parameters] = Settlements.statement(epoch, settlements)
      const [row] = yield* sql.unsafe<Settlements.SettleRow>(text, parameters)
      const { epoch: owner, holder, loose } = row!
      if (Number(owner) !== epoch) {
        return yield* Effect.die(new Fenced({ epoch: Number(owner), holder }))
      }
      reach("settle.committed")
      announcer.tell(settlements)
      yield* refreshStopped(webhooks, settlements)
      reach("settle.announced")
      if (!announcer.isHeard()) return
      const statuses = loose.length === 0 ? noStatuses : yield* statusesOf(settlements, loose)
      yield* announcer.announce(settlements, (id) => statuses.get(id))
    },
    Effect.mapError(StoreError.from("DeliveryLog.settle"))
  )

  /** Reads what became of deliveries that these attempts found in no row, or in a later round. */
  const statusesOf = (settlements: ReadonlyArray<Settlement>, loose: ReadonlyArray<string>) => {
    const ids = new Set(loose.map((id) => fromUuid("delivery", id)))
    const attempts = settlements.map(({ attempt }) => attempt).filter((a) => ids.has(a.deliveryId))
    return Effect.map(
      sql<{ readonly delivery_id: string; readonly status: DeliveryChange["status"] }>`
        select a.delivery_id, case
          when a.settled is not null then a.settled
          when exists (select from waiting w where w.delivery_id = a.delivery_id) then 'waiting'
          else 'cancelled' end as status
        from unnest(
          ${uuids(attempts.map(({ deliveryId }) => toUuid(deliveryId)))},
          ${ints(attempts.map(({ number }) => number))}
        ) as s (delivery_id, number)
        cross join lateral (
          select * from attempt where delivery_id = s.delivery_id and number = s.number limit 1
        ) a`,
      (rows) => new Map(rows.map((row) => [fromUuid("delivery", row.delivery_id), row.status]))
    )
  }

  const find = Effect.fn("DeliveryLog.find")(
    (tenantId: TenantId, id: DeliveryId) =>
      Effect.map(DeliveryRows.one(sql, tenantId, id), ([row]) =>
        row === undefined ? Option.none() : Option.some(DeliveryRows.deliveryOf(tenantId, row))
      ),
    Effect.mapError(StoreError.from("DeliveryLog.find"))
  )

  const list = Effect.fn("DeliveryLog.list")(
    function* (tenantId: TenantId, request: PageRequest, filter: DeliveryFilter) {
      const { messageId, ...narrowing } = filter
      const all = IdRange.ofPage("delivery", request)
      const range = messageId === null ? all : IdRange.withinMessage(all, messageId)
      const limit = request.limit + 1
      const ways = DeliveryRows.ways(sql, {
        tenantId,
        range,
        narrowing,
        limit,
        looks: Scan.looksMax
      })
      const read = yield* Scan.first(ways, limit, (row) => row.delivery_id, range.newer)
      const deliveries = read.rows.map((row) => DeliveryRows.deliveryOf(tenantId, row))
      const end = read.end === null ? null : fromUuid("delivery", read.end)
      return pageOf(deliveries, request, ({ id }) => id, end)
    },
    Effect.mapError(StoreError.from("DeliveryLog.list"))
  )

  const attempts = Effect.fn("DeliveryLog.attempts")(
    (tenantId: TenantId, id: DeliveryId) =>
      Effect.map(
        sql<AttemptRow.AttemptRow>`
          select number, id, webhook_id, started_at, duration_ms, class, status_code, error,
            response_headers, response_body, response_truncated, next_at, settled
          from attempt
          where delivery_id = ${uuid(toUuid(id))} and tenant_id = ${uuid(toUuid(tenantId))}
          order by number`,
        (rows) => rows.map((row) => AttemptRow.decode(tenantId, id, row))
      ),
    Effect.mapError(StoreError.from("DeliveryLog.attempts"))
  )

  return DeliveryLog.of({
    settle,
    find,
    list,
    attempts,
    watch: announcer.watch,
    changes: announcer.changes
  })
})

const makeMemory = Effect.gen(function* () {
  const { settle, ...reading } = yield* DeliveryLogMemory.make
  const { engine } = yield* MemoryTables
  const { epoch } = yield* Ownership
  const webhooks = yield* WebhookRepo
  const announcer = yield* makeAnnouncer
  return DeliveryLog.of({
    ...reading,
    settle: Effect.fnUntraced(function* (settlements) {
      if (engine.epoch !== epoch) {
        return yield* Effect.die(new Fenced({ epoch: engine.epoch, holder: "another engine" }))
      }
      const statuses = settle(settlements)
      announcer.tell(settlements)
      yield* refreshStopped(webhooks, settlements)
      yield* announcer.announce(settlements, (id) => statuses.get(id))
    }),
    watch: announcer.watch,
    changes: announcer.changes
  })
})

/** Also when the webhooks were stopped before: an earlier call may not have come so far. */
const refreshStopped = (
  webhooks: WebhookRepo["Service"],
  settlements: ReadonlyArray<Settlement>
): Effect.Effect<void, StoreError> => {
  const stopped = settlements.filter(({ stop }) => stop !== null)
  if (stopped.length === 0) return Effect.void
  reach("settle.stopping")
  return webhooks.refresh([...new Set(stopped.map(({ attempt }) => attempt.webhookId))])
}

type Status = DeliveryChange["status"]

const noStatuses: ReadonlyMap<DeliveryId, Status> = new Map()
const changesMax = 4_096

const makeAnnouncer = Effect.gen(function* () {
  const pubsub = yield* PubSub.sliding<Take.Take<DeliveryChange>>(changesMax)
  yield* Effect.addFinalizer(() => PubSub.end(pubsub, Exit.void))
  let readers = 0
  const listeners = new Set<(settlements: ReadonlyArray<Settlement>) => void>()
  return {
    tell: (settlements: ReadonlyArray<Settlement>) => {
      for (const listener of listeners) listener(settlements)
    },
    watch: (listener: (settlements: ReadonlyArray<Settlement>) => void) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        )
      ),
    isHeard: () => readers > 0,
    /** Announces settlements; what a delivery's status is not known of, is as its attempt says. */
    announce: (
      settlements: ReadonlyArray<Settlement>,
      statusOf: (id: DeliveryId) => Status | undefined
    ) =>
      readers === 0
        ? Effect.void
        : PubSub.publishAll(
            pubsub,
            settlements.map(({ attempt, type }): Take.Take<DeliveryChange> => {
              const status = statusOf(attempt.deliveryId) ?? attempt.settled ?? "waiting"
              return [{ attempt, type, status }]
            })
          ),
    changes: Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => readers++),
          () => Effect.sync(() => readers--)
        ),
        Stream.fromPubSubTake(pubsub)
      )
    )
  }
})
