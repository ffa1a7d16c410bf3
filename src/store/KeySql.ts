/**
 * API keys in Postgres. A row that cannot be decoded is a defect.
 */
import { Effect, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import { IdempotencyConflict } from "../domain/Message.ts"
import { type ApiKey, Scope } from "../domain/Tenant.ts"
import { fromUuid, type TenantId, toUuid } from "../domain/TypeId.ts"
import * as IdempotencySql from "./IdempotencySql.ts"
import * as IdRange from "./IdRange.ts"
import { instants, uuids } from "./Parameters.ts"
import type { KeyTable, StoredKey } from "./TenantTable.ts"

/** Makes the table over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient

  const findKey = (hash: Uint8Array) => one(sql`select * from api_key where hash = ${hash}`)
  const of = (owner: TenantId | null) =>
    owner === null ? sql`tenant_id is null` : sql`tenant_id = ${toUuid(owner)}`
  const isAdmin = sql`tenant_id is null and 'admin' = any(scopes)`

  const add = (record: ApiKey, hash: Uint8Array) => sql`
    insert into api_key (id, tenant_id, name, prefix, hash, scopes, created_at, last_used_at,
      expires_at)
    values (${toUuid(record.id)}, ${record.tenantId && toUuid(record.tenantId)}, ${record.name},
      ${record.prefix}, ${hash}, ${record.scopes}, ${new Date(record.createdAt)}, null,
      ${dateOf(record.expiresAt)})
    on conflict (hash) do nothing`

  const insertKey: KeyTable["insertKey"] = Effect.fnUntraced(function* (record, hash, idempotency) {
    if (idempotency !== null) {
      const first = yield* IdempotencySql.claim(sql, {
        ...idempotency,
        tenantId: record.tenantId === null ? IdempotencySql.nobody : toUuid(record.tenantId),
        resourceId: toUuid(record.id),
        at: new Date(record.createdAt)
      })
      if (first !== undefined) {
        const found = yield* one(
          sql`select * from api_key where id = ${first} and ${of(record.tenantId)}`
        )
        return Option.isSome(found) ? found.value.record : yield* revokedSince
      }
    }
    yield* add(record, hash)
    return record
  })

  const editKey: KeyTable["editKey"] = (owner, id, change) =>
    Effect.gen(function* () {
      const admins =
        owner === null
          ? yield* many(sql`select * from api_key where ${isAdmin} order by id for update`)
          : []
      const uuid = toUuid(id)
      const found = yield* one(
        sql`select * from api_key where id = ${uuid} and ${of(owner)} for update`
      )
      if (Option.isNone(found)) return Option.none()
      const { hash, record } = found.value
      const next = yield* Effect.fromResult(
        change(
          record,
          admins.map((admin) => admin.record)
        )
      )
      if (next === null) yield* sql`delete from api_key where id = ${uuid}`
      else {
        yield* sql`
          update api_key set name = ${next.name}, expires_at = ${dateOf(next.expiresAt)}
          where id = ${uuid}`
      }
      return Option.some({ record: next, previous: record, hash })
    })

  const table: KeyTable = {
    ensureKey: Effect.fnUntraced(function* (added, hash) {
      yield* add(added, hash)
      return Option.getOrThrow(yield* findKey(hash)).record
    }),
    insertKey: (record, hash, idempotency) =>
      sql.withTransaction(insertKey(record, hash, idempotency)),
    findKey,
    findKeyById: (owner, id) =>
      Effect.map(
        one(sql`select * from api_key where id = ${toUuid(id)} and ${of(owner)}`),
        Option.map(({ record }) => record)
      ),
    keyPage: (owner, request) => {
      const { above, below, newer } = IdRange.ofPage("key", request)
      const order = sql.literal(newer ? "id" : "id desc")
      return Effect.map(
        many(sql`
          select * from api_key
          where ${of(owner)} and id > ${toUuid(above)} and id < ${toUuid(below)}
          order by ${order} limit ${request.limit + 1}`),
        (found) => found.map(({ record }) => record)
      )
    },
    admins: Effect.map(many(sql`select * from api_key where ${isAdmin}`), (found) =>
      found.map(({ record }) => record)
    ),
    editKey: (owner, id, change) => sql.withTransaction(editKey(owner, id, change)),
    touch: (uses, withinMs) =>
      Effect.asVoid(sql`
        update api_key k set last_used_at = u.at
        from unnest(${uuids([...uses.keys()].map(toUuid))}, ${instants([...uses.values()])})
          as u (id, at)
        where k.id = u.id and (k.last_used_at is null
          or k.last_used_at <= u.at - ${withinMs} * interval '1 millisecond')`)
  }
  return table
})

const revokedSince = new IdempotencyConflict({
  detail: "The API key that this Idempotency-Key made was revoked since"
})

const dateOf = (instant: number | null) => (instant === null ? null : new Date(instant))

const KeyRow = Schema.Struct({
  id: Schema.String,
  tenant_id: Schema.NullOr(Schema.String),
  name: Schema.String,
  prefix: Schema.String,
  hash: Schema.Uint8Array,
  scopes: Schema.Array(Scope),
  created_at: Schema.Date,
  last_used_at: Schema.NullOr(Schema.Date),
  expires_at: Schema.NullOr(Schema.Date)
})
const decodeKeys = Schema.decodeUnknownEffect(Schema.Array(KeyRow))

const many = (statement: Statement<object>) =>
  Effect.map(
    Effect.flatMap(statement, (rows) => Effect.orDie(decodeKeys(rows))),
    (rows) => rows.map(storedOf)
  )

const one = (statement: Statement<object>) =>
  Effect.map(many(statement), ([found]) => Option.fromUndefinedOr(found))

const storedOf = (row: typeof KeyRow.Type): StoredKey => ({ record: keyOf(row), hash: row.hash })

const keyOf = (row: typeof KeyRow.Type): ApiKey => ({
  id: fromUuid("key", row.id),
  tenantId: row.tenant_id === null ? null : fromUuid("tenant", row.tenant_id),
  name: row.name,
  prefix: row.prefix,
  scopes: row.scopes,
  createdAt: row.created_at.getTime(),
  lastUsedAt: row.last_used_at?.getTime() ?? null,
  expiresAt: row.expires_at?.getTime() ?? null
})
