/**
 * Tenants and keys in Postgres. A row that cannot be decoded is a defect.
 */
import { Effect, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import { type ApiKey, Scope, type Tenant } from "../domain/Tenant.ts"
import { fromUuid, toUuid } from "../domain/TypeId.ts"
import type { StoredKey, TenantTable } from "./TenantTable.ts"

/** Makes the table over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient

  const findByUid = (uid: string) => tenant(sql`select * from tenant where uid = ${uid}`)
  const findKey = (hash: Uint8Array) => key(sql`select * from api_key where hash = ${hash}`)

  const table: TenantTable = {
    ensure: Effect.fnUntraced(function* (added) {
      yield* sql`
        insert into tenant (id, uid, name, created_at, updated_at)
        values (${toUuid(added.id)}, ${added.uid}, ${added.name}, ${new Date(added.createdAt)},
          ${new Date(added.updatedAt)})
        on conflict (uid) do nothing`
      return Option.getOrThrow(yield* findByUid(added.uid))
    }),
    findById: (id) => tenant(sql`select * from tenant where id = ${toUuid(id)}`),
    findByUid,
    ensureKey: Effect.fnUntraced(function* (added, hash) {
      yield* sql`
        insert into api_key (id, tenant_id, name, prefix, hash, scopes, created_at, last_used_at,
          expires_at)
        values (${toUuid(added.id)}, ${added.tenantId && toUuid(added.tenantId)}, ${added.name},
          ${added.prefix}, ${hash}, ${added.scopes}, ${new Date(added.createdAt)}, null,
          ${added.expiresAt === null ? null : new Date(added.expiresAt)})
        on conflict (hash) do nothing`
      return Option.getOrThrow(yield* findKey(hash)).record
    }),
    findKey,
    adminKeys: Effect.map(
      sql<{ readonly count: number }>`
        select count(*)::int as count from api_key where 'admin' = any(scopes)`,
      ([row]) => row!.count
    ),
    touch: (id, now, since) =>
      Effect.asVoid(sql`
        update api_key set last_used_at = ${new Date(now)}
        where id = ${toUuid(id)}
          and (last_used_at is null or last_used_at <= ${new Date(since)})`)
  }
  return table
})

const TenantRow = Schema.Struct({
  id: Schema.String,
  uid: Schema.String,
  name: Schema.String,
  created_at: Schema.Date,
  updated_at: Schema.Date
})
const decodeTenant = Schema.decodeUnknownEffect(Schema.Array(TenantRow))

const tenant = (statement: Statement<object>) =>
  Effect.map(
    Effect.flatMap(statement, (rows) => Effect.orDie(decodeTenant(rows))),
    ([row]) => Option.map(Option.fromUndefinedOr(row), tenantOf)
  )

const tenantOf = (row: typeof TenantRow.Type): Tenant => ({
  id: fromUuid("tenant", row.id),
  uid: row.uid,
  name: row.name,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime()
})

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
const decodeKey = Schema.decodeUnknownEffect(Schema.Array(KeyRow))

const key = (statement: Statement<object>) =>
  Effect.map(
    Effect.flatMap(statement, (rows) => Effect.orDie(decodeKey(rows))),
    ([row]) => Option.map(Option.fromUndefinedOr(row), storedOf)
  )

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
