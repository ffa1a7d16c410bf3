/**
 * Bulk redeliveries as they are kept, and the steps in which they go forward.
 *
 * Promises: a step commits what it did together with how far it came, so after a kill a job goes on
 * where it was and takes no delivery twice; a step reads at most so many rows; only the engine that
 * owns the deliveries takes one.
 *
 * Leaves to others: when the next step is taken, and to tell the lanes.
 */
import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Audited from "../domain/Audited.ts"
import { IdempotencyConflict } from "../domain/Message.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import {
  isFinished,
  RedeliveriesBusy,
  type Redelivery,
  type RedeliveryFilter,
  RedeliveryFinished,
  RedeliveryNotFound
} from "../domain/Redelivery.ts"
import {
  fromUuid,
  type RedeliveryId,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import { answered } from "./Answered.ts"
import { AuditLog } from "./AuditLog.ts"
import * as IdRange from "./IdRange.ts"
import { Ownership } from "./Ownership.ts"
import { instant, int, uuid } from "./Parameters.ts"
import * as RedeliveryMemory from "./RedeliveryMemory.ts"
import * as RedeliveryRows from "./RedeliveryRows.ts"
import { StoreError } from "./StoreError.ts"

export class RedeliveryRepo extends Context.Service<
  RedeliveryRepo,
  {
    /**
     * Writes a job down. A repeated idempotency key answers the job of the first request. Fails
     * where the tenant has `RedeliveryRows.unfinishedMax` unfinished ones.
     */
    readonly create: (
      input: NewRedelivery
    ) => Effect.Effect<Redelivery, IdempotencyConflict | RedeliveriesBusy | StoreError>
    /** Finds a tenant's job. */
    readonly find: (
      tenantId: TenantId,
      id: RedeliveryId
    ) => Effect.Effect<Option.Option<Redelivery>, StoreError>
    /** Lists a tenant's jobs, newest first. */
    readonly list: (
      tenantId: TenantId,
      request: PageRequest
    ) => Effect.Effect<Page<Redelivery>, StoreError>
    /** Cancels a job that is not finished. What it redelivered stays so. */
    readonly cancel: (
      tenantId: TenantId,
      id: RedeliveryId
    ) => Effect.Effect<Redelivery, RedeliveryNotFound | RedeliveryFinished | StoreError>
    /** Names the jobs of all tenants that are not finished, oldest first. */
    readonly unfinished: Effect.Effect<ReadonlyArray<RedeliveryId>, StoreError>
    /** Takes a job's next step; none when it is finished, or another engine owns the deliveries. */
    readonly step: (
      id: RedeliveryId,
      rows: StepRows
    ) => Effect.Effect<Option.Option<Step>, StoreError>
  }
>()("posthaste/store/RedeliveryRepo") {
  /** Jobs in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    RedeliveryRepo,
    Effect.suspend(() => Effect.flatMap(make, audited))
  )

  /** Jobs in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    RedeliveryRepo,
    Effect.gen(function* () {
      const { epoch } = yield* Ownership
      return yield* audited(yield* RedeliveryMemory.make(epoch))
    })
  )
}

/** A job to be written. Its id says when it was made. */
export interface NewRedelivery {
  readonly id: RedeliveryId
  readonly tenantId: TenantId
  readonly filter: RedeliveryFilter
  readonly idempotency: { readonly key: string; readonly digest: Uint8Array } | null
}

/** How many deliveries a step looks at, at most. */
export interface StepRows {
  readonly counting: number
  readonly redelivering: number
}

/** What a step did. */
export interface Step {
  readonly job: Redelivery
  /** Deliveries that it made due now. */
  readonly redelivered: number
  /** The webhooks that they are owed to. */
  readonly webhookIds: ReadonlyArray<WebhookId>
}

/** Writes down what people do to jobs. */
const audited = Effect.fnUntraced(function* (store: RedeliveryRepo["Service"]) {
  const audit = yield* AuditLog
  return RedeliveryRepo.of({
    ...store,
    create: (input) =>
      audit
        .changing(store.create(input), (job) =>
          job.id === input.id ? Audited.redelivery("redelivery.started", null, job) : null
        )
        .pipe(Effect.mapError(StoreError.from("RedeliveryRepo.create"))),
    cancel: (tenantId, id) =>
      audit
        .changing(
          Effect.zip(store.find(tenantId, id), store.cancel(tenantId, id)),
          ([before, job]) =>
            Audited.redelivery("redelivery.cancelled", Option.getOrNull(before), job)
        )
        .pipe(
          Effect.map(([, job]) => job),
          Effect.mapError(StoreError.from("RedeliveryRepo.cancel"))
        )
  })
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const { epoch } = yield* Ownership
  const rows = RedeliveryRows.make(sql, epoch)

  const one = (tenantId: TenantId, id: RedeliveryId) =>
    Effect.map(rows.byId(id), (row) =>
      Option.filter(
        Option.map(Option.fromUndefinedOr(row), RedeliveryRows.decode),
        (job) => job.tenantId === tenantId
      )
    )

  const create = Effect.fn("RedeliveryRepo.create")(
    function* ({ filter, id, idempotency, tenantId }: NewRedelivery) {
      const now = yield* Clock.currentTimeMillis
      const write = Effect.gen(function* () {
        if (idempotency !== null) {
          const first = yield* rows.claim(tenantId, id, idempotency, now)
          if (first !== undefined) {
            if (Buffer.compare(first.digest, idempotency.digest) !== 0) {
              return yield* new IdempotencyConflict({})
            }
            const found = yield* one(tenantId, fromUuid("redelivery", first.resource_id))
            return Option.isSome(found) ? found.value : yield* new IdempotencyConflict({})
          }
        }
        const row = yield* rows.insert(id, tenantId, filter, now)
        return row === undefined
          ? yield* new RedeliveriesBusy({ retryAfterSeconds: 60 })
          : RedeliveryRows.decode(row)
      })
      return yield* sql.withTransaction(write)
    },
    Effect.mapError(StoreError.from("RedeliveryRepo.create"))
  )

  const find = Effect.fn("RedeliveryRepo.find")(
    one,
    Effect.mapError(StoreError.from("RedeliveryRepo.find"))
  )

  const list = Effect.fn("RedeliveryRepo.list")(
    function* (tenantId: TenantId, request: PageRequest) {
      const { above, below, newer } = IdRange.ofPage("redelivery", request)
      const found = yield* sql<RedeliveryRows.RedeliveryRow>`
        select ${sql.literal(RedeliveryRows.columns)} from redelivery
        where tenant_id = ${uuid(toUuid(tenantId))} and id > ${uuid(toUuid(above))}
          and id < ${uuid(toUuid(below))}
        order by id ${sql.literal(newer ? "asc" : "desc")} limit ${int(request.limit + 1)}`
      return pageOf(found.map(RedeliveryRows.decode), request, ({ id }) => id)
    },
    Effect.mapError(StoreError.from("RedeliveryRepo.list"))
  )

  const cancel = Effect.fn("RedeliveryRepo.cancel")(
    function* (tenantId: TenantId, id: RedeliveryId) {
      const now = instant(yield* Clock.currentTimeMillis)
      const [row] = yield* sql<RedeliveryRows.RedeliveryRow>`
        update redelivery set state = 'cancelled', updated_at = ${now}, finished_at = ${now}
        where id = ${uuid(toUuid(id))} and tenant_id = ${uuid(toUuid(tenantId))}
          and state in ('counting', 'running')
        returning ${sql.literal(RedeliveryRows.columns)}`
      if (row !== undefined) return RedeliveryRows.decode(row)
      const found = yield* one(tenantId, id)
      if (Option.isNone(found)) return yield* new RedeliveryNotFound({})
      return yield* new RedeliveryFinished({ state: found.value.state })
    },
    Effect.mapError(StoreError.from("RedeliveryRepo.cancel"))
  )

  const unfinished = sql<{ readonly id: string }>`
    select id from redelivery where state in ('counting', 'running') order by id`.pipe(
    Effect.map((found) => found.map((row) => fromUuid("redelivery", row.id))),
    Effect.mapError(StoreError.from("RedeliveryRepo.unfinished")),
    Effect.withSpan("RedeliveryRepo.unfinished")
  )

  const step = Effect.fn("RedeliveryRepo.step")(
    function* (id: RedeliveryId, { counting, redelivering }: StepRows) {
      const before = yield* rows.byId(id)
      if (before === undefined || isFinished(before.state)) return Option.none<Step>()
      const now = yield* Clock.currentTimeMillis
      const after = yield* before.state === "counting"
        ? rows.count(before, counting, now)
        : rows.redeliver(before, redelivering, now)
      if (after === undefined) return Option.none<Step>()
      return Option.some<Step>({
        job: RedeliveryRows.decode(after),
        redelivered: Number(after.done) - Number(before.done),
        webhookIds: (after.webhook_ids ?? []).map((found) => fromUuid("webhook", found))
      })
    },
    Effect.mapError(StoreError.from("RedeliveryRepo.step")),
    answered("RedeliveryRepo.step")
  )

  return RedeliveryRepo.of({ create, find, list, cancel, unfinished, step })
})
