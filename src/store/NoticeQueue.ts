/**
 * Operational messages that are owed, from the commit of what they tell of until they are published.
 *
 * `DeliveryLog.settle` writes them, in one transaction with the attempt, where a webhook of the tenant
 * names a type of theirs.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Notice, NoticeType } from "../domain/Notice.ts"
import { fromUuid, type NoticeId, toUuid } from "../domain/TypeId.ts"
import { answered } from "./Answered.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { int, uuids } from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"

export class NoticeQueue extends Context.Service<
  NoticeQueue,
  {
    /** Reads the oldest notices. */
    readonly pull: (limit: number) => Effect.Effect<ReadonlyArray<Notice>, StoreError>
    /** Forgets notices that are published, or that nobody wants. */
    readonly remove: (ids: ReadonlyArray<NoticeId>) => Effect.Effect<void, StoreError>
  }
>()("posthaste/store/NoticeQueue") {
  /** Notices in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    NoticeQueue,
    Effect.gen(function* () {
      const sql = yield* SqlClient
      return NoticeQueue.of({
        pull: Effect.fn("NoticeQueue.pull")(
          (limit: number) =>
            Effect.map(
              sql<NoticeRow>`
                select id, tenant_id, type, data, created_at from notice
                order by id limit ${int(limit)}`,
              (rows) => rows.map(decode)
            ),
          Effect.mapError(StoreError.from("NoticeQueue.pull")),
          answered("NoticeQueue.pull")
        ),
        remove: Effect.fn("NoticeQueue.remove")(
          (ids: ReadonlyArray<NoticeId>) =>
            Effect.asVoid(sql`delete from notice where id = any (${uuids(ids.map(toUuid))})`),
          Effect.mapError(StoreError.from("NoticeQueue.remove")),
          answered("NoticeQueue.remove")
        )
      })
    })
  )

  /** Notices in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    NoticeQueue,
    Effect.map(MemoryTables, ({ notices }) =>
      NoticeQueue.of({
        pull: (limit) =>
          Effect.sync(() =>
            [...notices.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit)
          ),
        remove: (ids) => Effect.sync(() => ids.forEach((id) => notices.delete(id)))
      })
    )
  )
}

interface NoticeRow {
  readonly id: string
  readonly tenant_id: string
  readonly type: NoticeType
  readonly data: string
  readonly created_at: Date
}

const decode = (row: NoticeRow): Notice => ({
  id: fromUuid("notice", row.id),
  tenantId: fromUuid("tenant", row.tenant_id),
  type: row.type,
  data: row.data,
  createdAt: row.created_at.getTime()
})
