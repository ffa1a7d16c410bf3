/**
 * Tenants in Postgres. A row that cannot be decoded is a defect.
 *
 * A deleted tenant keeps its row, hidden, until what it owned is gone.
 */
import { Effect, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import { IdempotencyConflict } from "../domain/Message.ts"
import { type Tenant, TenantUidTaken } from "../domain/Tenant.ts"
import { fromUuid, toUuid } from "../domain/TypeId.ts"
import * as IdempotencySql from "./IdempotencySql.ts"
import * as IdRange from "./IdRange.ts"
import * as KeySql from "./KeySql.ts"
import type { TenantTable } from "./TenantTable.ts"

/** Makes the table over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const keys = yield* KeySql.make

  const findByUid = (uid: string) =>
    one(sql`select * from tenant where uid = ${uid} and deleted_at is null`)
  const findByUuid = (uuid: string) =>
    one(sql`select * from tenant where id = ${uuid} and deleted_at is null`)

  /** Adds a tenant unless its uid is there; answers whether it was added. */
  const add = (tenant: Tenant) =>
    Effect.map(
      sql`
        insert into tenant (id, uid, name, webhooks_max, messages_per_second, created_at, updated_at)
        values (${toUuid(tenant.id)}, ${tenant.uid}, ${tenant.name}, ${tenant.limits.webhooks},
          ${tenant.limits.messagesPerSecond}, ${new Date(tenant.createdAt)},
          ${new Date(tenant.updatedAt)})
        on conflict (uid) do nothing returning 1`,
      (added) => added.length > 0
    )

  const insert: TenantTable["insert"] = Effect.fnUntraced(function* (tenant, idempotency) {
    if (idempotency !== null) {
      const first = yield* IdempotencySql.claim(sql, {
        ...idempotency,
        tenantId: IdempotencySql.nobody,
        resourceId: toUuid(tenant.id),
        at: new Date(tenant.createdAt)
      })
      if (first !== undefined) {
        const found = yield* findByUuid(first)
        return Option.isSome(found) ? found.value : yield* deletedSince
      }
    }
    return (yield* add(tenant)) ? tenant : yield* new TenantUidTaken({})
  })

  const edit: TenantTable["edit"] = (id, change) =>
    Effect.gen(function* () {
      const uuid = toUuid(id)
      const found = yield* one(
        sql`select * from tenant where id = ${uuid} and deleted_at is null for update`
      )
      if (Option.isNone(found)) return Option.none()
      const previous = found.value
      const tenant = yield* Effect.fromResult(change(previous))
      yield* sql`
        update tenant set uid = ${tenant.uid}, name = ${tenant.name},
          webhooks_max = ${tenant.limits.webhooks},
          messages_per_second = ${tenant.limits.messagesPerSecond},
          updated_at = ${new Date(tenant.updatedAt)}
        where id = ${uuid}`.pipe(
        Effect.catchReason("SqlError", "UniqueViolation", () => new TenantUidTaken({}))
      )
      return Option.some({ tenant, previous })
    })

  const retire: TenantTable["retire"] = Effect.fnUntraced(function* (id, now) {
    const uuid = toUuid(id)
    // No uid that a caller can give has a slash.
    const hidden = yield* sql`
      update tenant set deleted_at = ${new Date(now)}, uid = ${`deleted/${id}`}
      where id = ${uuid} and deleted_at is null returning 1`
    if (hidden.length === 0) return Option.none()
    const removed = yield* sql<{ readonly hash: Uint8Array }>`
      delete from api_key where tenant_id = ${uuid} returning hash`
    return Option.some(removed.map(({ hash }) => hash))
  })

  /** Runs a statement that removes `stepRows` rows at most, until it finds fewer. */
  const inSteps = (step: Effect.Effect<ReadonlyArray<object>, SqlError>) =>
    Effect.asVoid(Effect.repeat(step, { while: (gone) => gone.length === stepRows }))

  /** Removes all rows of a tenant from a table whose primary key begins with the tenant. */
  const empty = (table: string, column: string, uuid: string) =>
    inSteps(sql`
      delete from ${sql(table)} where tenant_id = ${uuid} and ${sql(column)} in (
        select ${sql(column)} from ${sql(table)} where tenant_id = ${uuid} limit ${stepRows})
      returning 1`)

  /** Removes the audit trail of a tenant but for its end. */
  const emptyAudit = (uuid: string) =>
    inSteps(sql`
      delete from audit_entry where id in (
        select id from audit_entry where tenant_id = ${uuid} and action <> 'tenant.deleted'
        limit ${stepRows})
      returning 1`)

  const table: TenantTable = {
    ...keys,
    ensure: Effect.fnUntraced(function* (added) {
      yield* add(added)
      return Option.getOrThrow(yield* findByUid(added.uid))
    }),
    insert: (tenant, idempotency) => sql.withTransaction(insert(tenant, idempotency)),
    edit: (id, change) => sql.withTransaction(edit(id, change)),
    findById: (id) => findByUuid(toUuid(id)),
    findByUid,
    rated: many(sql`
      select * from tenant where deleted_at is null and messages_per_second is not null`),
    page: (request) => {
      const { above, below, newer } = IdRange.ofPage("tenant", request)
      const order = sql.literal(newer ? "id" : "id desc")
      return many(sql`
        select * from tenant
        where deleted_at is null and id > ${toUuid(above)} and id < ${toUuid(below)}
        order by ${order} limit ${request.limit + 1}`)
    },
    retire: (id, now) => sql.withTransaction(retire(id, now)),
    retired: Effect.map(
      sql<{ readonly id: string }>`
        select id from tenant where deleted_at is not null order by id`,
      (rows) => rows.map(({ id }) => fromUuid("tenant", id))
    ),
    purge: Effect.fnUntraced(function* (id) {
      const uuid = toUuid(id)
      yield* empty("message_uid", "uid", uuid)
      yield* empty("idempotency", "key", uuid)
      yield* emptyAudit(uuid)
      yield* sql`delete from tenant where id = ${uuid} and deleted_at is not null`
    })
  }
  return table
})

/** Rows that are removed by one statement. */
const stepRows = 5_000

const deletedSince = new IdempotencyConflict({
  detail: "The tenant that this Idempotency-Key made was deleted since"
})

const TenantRow = Schema.Struct({
  id: Schema.String,
  uid: Schema.String,
  name: Schema.String,
  webhooks_max: Schema.NullOr(Schema.Int),
  messages_per_second: Schema.NullOr(Schema.Int),
  created_at: Schema.Date,
  updated_at: Schema.Date
})
const decodeTenant = Schema.decodeUnknownEffect(Schema.Array(TenantRow))

const many = (statement: Statement<object>) =>
  Effect.map(
    Effect.flatMap(statement, (rows) => Effect.orDie(decodeTenant(rows))),
    (rows) => rows.map(tenantOf)
  )

const one = (statement: Statement<object>) =>
  Effect.map(many(statement), ([found]) => Option.fromUndefinedOr(found))

const tenantOf = (row: typeof TenantRow.Type): Tenant => ({
  id: fromUuid("tenant", row.id),
  uid: row.uid,
  name: row.name,
  limits: { webhooks: row.webhooks_max, messagesPerSecond: row.messages_per_second },
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime()
})
