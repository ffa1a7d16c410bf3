/**
 * Event types in Postgres, or in PGlite. A row that cannot be decoded is a defect.
 */
import { Effect, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import {
  CatalogueFull,
  type EventType,
  EventTypeExists,
  UnknownEventTypes
} from "../domain/EventType.ts"
import { IdempotencyConflict } from "../domain/Message.ts"
import { fromUuid, type TenantId, toUuid } from "../domain/TypeId.ts"
import { catalogueMax, type EditedEventType, type EventTypeTable } from "./EventTypeTable.ts"
import * as IdempotencySql from "./IdempotencySql.ts"
import * as IdRange from "./IdRange.ts"

/** Makes the table over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient

  const insert: EventTypeTable["insert"] = Effect.fnUntraced(
    function* (tenantId, eventType, idempotency) {
      const tenant = toUuid(tenantId)
      if (idempotency !== null) {
        const first = yield* IdempotencySql.claim(sql, {
          ...idempotency,
          tenantId: tenant,
          resourceId: toUuid(eventType.id),
          at: new Date(eventType.createdAt)
        })
        if (first !== undefined) {
          const found = yield* one(
            sql`select * from event_type where tenant_id = ${tenant} and id = ${first}`
          )
          return Option.isSome(found) ? found.value : yield* deletedSince
        }
      }
      const [count] = yield* sql<{ readonly count: number }>`
        select count(*)::int4 as count from event_type where tenant_id = ${tenant}`
      if (count!.count >= catalogueMax) return yield* new CatalogueFull({})
      const added = yield* sql`
        insert into event_type (tenant_id, id, name, display_name, description, schema, example,
          archived, created_at, updated_at)
        values (${tenant}, ${toUuid(eventType.id)}, ${eventType.name}, ${eventType.displayName},
          ${eventType.description}, ${jsonOf(eventType.schema)}::json,
          ${jsonOf(eventType.example)}::json, ${eventType.archived},
          ${new Date(eventType.createdAt)}, ${new Date(eventType.updatedAt)})
        on conflict (tenant_id, name) do nothing returning 1`
      return added.length > 0 ? eventType : yield* new EventTypeExists({})
    }
  )

  const edit: EventTypeTable["edit"] = (tenantId, name, change) =>
    Effect.gen(function* () {
      const tenant = toUuid(tenantId)
      const found = yield* one(sql`
        select * from event_type where tenant_id = ${tenant} and name = ${name} for update`)
      if (Option.isNone(found)) return Option.none<EditedEventType>()
      const previous = found.value
      const next = yield* Effect.fromResult(change(previous))
      yield* sql`
        update event_type set display_name = ${next.displayName},
          description = ${next.description}, schema = ${jsonOf(next.schema)}::json,
          example = ${jsonOf(next.example)}::json, archived = ${next.archived},
          updated_at = ${new Date(next.updatedAt)}
        where tenant_id = ${tenant} and name = ${name}`
      return Option.some({ eventType: next, previous })
    })

  const table: EventTypeTable = {
    insert: (...args) => sql.withTransaction(insert(...args)),
    edit: (...args) => sql.withTransaction(edit(...args)),
    remove: (tenantId, name) =>
      one(sql`
        delete from event_type where tenant_id = ${toUuid(tenantId)} and name = ${name}
        returning *`),
    find: (tenantId, name) =>
      one(sql`select * from event_type where tenant_id = ${toUuid(tenantId)} and name = ${name}`),
    page: (tenantId, request) => {
      const { above, below, newer } = IdRange.ofPage("eventType", request)
      const order = sql.literal(newer ? "id" : "id desc")
      return many(sql`
        select * from event_type
        where tenant_id = ${toUuid(tenantId)} and id > ${toUuid(above)} and id < ${toUuid(below)}
        order by ${order} limit ${request.limit + 1}`)
    },
    unknown: (tenantId) =>
      Effect.map(
        sql<{ readonly unknown: string }>`
          select unknown_event_types as unknown from tenant where id = ${toUuid(tenantId)}`,
        unknownIn
      ),
    setUnknown: (tenantId, unknown) =>
      Effect.map(
        sql<{ readonly unknown: string }>`
          with before as materialized (
            select id, unknown_event_types as unknown from tenant
            where id = ${toUuid(tenantId)} for no key update
          )
          update tenant t set unknown_event_types = ${unknown} from before
          where t.id = before.id returning before.unknown`,
        (rows) => (rows.length === 0 ? null : unknownIn(rows))
      ),
    scan: (after, limit) =>
      owned(
        after === null
          ? sql`select * from event_type order by id limit ${limit}`
          : sql`select * from event_type where id > ${toUuid(after)} order by id limit ${limit}`
      ),
    refusing: Effect.map(
      sql<{ readonly id: string }>`select id from tenant where unknown_event_types = 'refuse'`,
      (rows): ReadonlyArray<TenantId> => rows.map(({ id }) => fromUuid("tenant", id))
    )
  }
  return table
})

const isUnknown = Schema.is(UnknownEventTypes)

/** Reads the only row, if there is one. */
const unknownIn = ([row]: ReadonlyArray<{ readonly unknown: string }>): UnknownEventTypes =>
  isUnknown(row?.unknown) ? row.unknown : "allow"

const deletedSince = new IdempotencyConflict({
  detail: "The event type that this Idempotency-Key made was deleted since"
})

const jsonOf = (value: Schema.Json | null): string | null =>
  value === null ? null : JSON.stringify(value)

const Row = Schema.Struct({
  tenant_id: Schema.String,
  id: Schema.String,
  name: Schema.String,
  display_name: Schema.String,
  description: Schema.NullOr(Schema.String),
  schema: Schema.NullOr(Schema.JsonObject),
  example: Schema.NullOr(Schema.Json),
  archived: Schema.Boolean,
  created_at: Schema.Date,
  updated_at: Schema.Date
})
const decode = Schema.decodeUnknownEffect(Schema.Array(Row))

const owned = (statement: Statement<object>) =>
  Effect.map(
    Effect.flatMap(statement, (rows) => Effect.orDie(decode(rows))),
    (rows) =>
      rows.map((row) => ({
        tenantId: fromUuid("tenant", row.tenant_id),
        eventType: eventTypeOf(row)
      }))
  )

const many = (statement: Statement<object>) =>
  Effect.map(owned(statement), (rows) => rows.map(({ eventType }) => eventType))

const one = (statement: Statement<object>) =>
  Effect.map(many(statement), ([found]) => Option.fromUndefinedOr(found))

const eventTypeOf = (row: typeof Row.Type): EventType => ({
  id: fromUuid("eventType", row.id),
  name: row.name,
  displayName: row.display_name,
  description: row.description,
  schema: row.schema,
  example: row.example,
  archived: row.archived,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime()
})
