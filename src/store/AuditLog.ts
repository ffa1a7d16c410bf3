/**
 * The audit trail: who changed what, when, from where. Only ever added to.
 *
 * Promises: an entry commits together with the change that it tells of, so there is none without the
 * other; what the engine does in nobody's name costs nothing and writes none. Entries go when they
 * are old, or with their tenant, and in no other way.
 *
 * Leaves to others: who acts (`Acting`), and what is said of a change (`domain/Audited`).
 */
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { AuditAction, AuditChange, AuditEntry } from "../domain/AuditEntry.ts"
import { firstPage, type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import {
  type AuditId,
  createdAt,
  fromUuid,
  type KeyId,
  type TenantId,
  toUuid
} from "../domain/TypeId.ts"
import { Acting } from "./Acting.ts"
import { answered } from "./Answered.ts"
import { Ids } from "./Ids.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { instant, int, uuid } from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"

export class AuditLog extends Context.Service<
  AuditLog,
  {
    /**
     * Makes a change and writes down what `toldOf` says that it came to, in one commit. Where nobody
     * acts it only makes the change, and where that came to nothing (null) it writes nothing.
     */
    readonly changing: <A, E, R>(
      change: Effect.Effect<A, E, R>,
      toldOf: (changed: A) => AuditChange | null
    ) => Effect.Effect<A, E | SqlError, R>
    /** Lists the entries of a tenant, or all of them where that is null, newest first. */
    readonly list: (
      tenantId: TenantId | null,
      request: PageRequest,
      filter: AuditFilter
    ) => Effect.Effect<Page<AuditEntry>, StoreError>
    /** Removes entries made before an instant (epoch milliseconds), in steps; answers how many. */
    readonly expire: (before: number) => Effect.Effect<number, StoreError>
  }
>()("posthaste/store/AuditLog") {
  /** The trail in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    AuditLog,
    Effect.suspend(() => Effect.flatMap(sqlTable, make))
  )

  /** The trail in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    AuditLog,
    Effect.suspend(() => Effect.flatMap(memoryTable, make))
  )
}

/** What a list of entries is narrowed to. */
export interface AuditFilter {
  readonly action: AuditAction | null
  readonly target: string | null
  /** What a key did, or whoever works on the database itself. */
  readonly actor: KeyId | "operator" | null
}

/** Where entries are kept. */
interface Table {
  /** Runs `work` in one transaction, or within the one that is open. */
  readonly transaction: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  readonly insert: (entry: AuditEntry) => Effect.Effect<void, SqlError>
  /** Reads up to `limit + 1` entries in the direction of the cursor. */
  readonly page: (
    tenantId: TenantId | null,
    request: PageRequest,
    filter: AuditFilter
  ) => Effect.Effect<ReadonlyArray<AuditEntry>, SqlError>
  /** Removes at most `stepRows` entries with ids below one; answers how many. */
  readonly removeBelow: (id: AuditId) => Effect.Effect<number, SqlError>
}

/** Entries that are removed by one statement. */
const stepRows = 1_000

const make = Effect.fnUntraced(function* (table: Table) {
  const ids = yield* Ids
  return AuditLog.of({
    changing: (change, toldOf) =>
      Effect.flatMap(Acting, (origin) => {
        if (origin === null) return change
        const told = Effect.tap(change, (changed) => {
          const what = toldOf(changed)
          return what === null
            ? Effect.void
            : Effect.flatMap(ids.next("audit"), (id) =>
                table.insert({ id, at: createdAt(id), ...origin, ...what })
              )
        })
        return table.transaction(told)
      }),

    list: Effect.fn("AuditLog.list")(
      function* (tenantId, request, filter) {
        const rows = yield* table.page(tenantId, request, filter)
        return pageOf(rows, request, ({ id }) => id)
      },
      Effect.mapError(StoreError.from("AuditLog.list"))
    ),

    expire: Effect.fn("AuditLog.expire")(function* (before) {
      const { below } = IdRange.ofPage("audit", { ...firstPage, before: Math.max(0, before) })
      const step = table
        .removeBelow(below)
        .pipe(Effect.mapError(StoreError.from("AuditLog.expire")), answered("AuditLog.expire"))
      let expired = 0
      while (true) {
        const gone = yield* step
        expired += gone
        if (gone < stepRows) return expired
      }
    })
  })
})

const sqlTable = Effect.map(SqlClient, (sql): Table => ({
  transaction: (work) =>
    Effect.flatMap(Effect.serviceOption(sql.transactionService), (open) =>
      Option.isSome(open) ? work : sql.withTransaction(work)
    ),
  insert: (entry) =>
    Effect.asVoid(sql`
      insert into audit_entry (id, tenant_id, at, actor_key_id, actor_name, ip, request_id, action,
        target, before, after)
      values (${uuid(toUuid(entry.id))}, ${entry.tenantId && toUuid(entry.tenantId)}::uuid,
        ${instant(entry.at)}, ${entry.actor.keyId && toUuid(entry.actor.keyId)}::uuid,
        ${entry.actor.name}, ${entry.ip}, ${entry.requestId}, ${entry.action}, ${entry.target},
        ${jsonOf(entry.before)}::json, ${jsonOf(entry.after)}::json)`),
  page: (tenantId, request, { action, actor, target }) => {
    const { above, below, newer } = IdRange.ofPage("audit", request)
    const clauses = [sql`id > ${uuid(toUuid(above))} and id < ${uuid(toUuid(below))}`]
    if (tenantId !== null) clauses.push(sql`tenant_id = ${uuid(toUuid(tenantId))}`)
    if (action !== null) clauses.push(sql`action = ${action}`)
    if (target !== null) clauses.push(sql`target = ${target}`)
    if (actor === "operator") clauses.push(sql`actor_key_id is null`)
    else if (actor !== null) clauses.push(sql`actor_key_id = ${uuid(toUuid(actor))}`)
    return Effect.map(
      sql<Row>`
        select * from audit_entry where ${sql.and(clauses)}
        order by id ${sql.literal(newer ? "asc" : "desc")} limit ${int(request.limit + 1)}`,
      (rows) => rows.map(entryOf)
    )
  },
  removeBelow: (id) =>
    Effect.map(
      sql`
        delete from audit_entry where id in (
          select id from audit_entry where id < ${uuid(toUuid(id))} order by id limit ${int(stepRows)})
        returning 1`,
      (gone) => gone.length
    )
}))

const memoryTable = Effect.map(MemoryTables, ({ audit }): Table => ({
  // A change of the Maps runs without a pause, and fails before it writes.
  transaction: Effect.uninterruptible,
  insert: (entry) => Effect.sync(() => void audit.set(entry.id, entry)),
  page: (tenantId, request, { action, actor, target }) =>
    Effect.sync(() => {
      const range = IdRange.ofPage("audit", request)
      return [...audit.values()]
        .filter(
          (entry) =>
            IdRange.contains(range, entry.id) &&
            (tenantId === null || entry.tenantId === tenantId) &&
            (action === null || entry.action === action) &&
            (target === null || entry.target === target) &&
            (actor === null || (entry.actor.keyId ?? "operator") === actor)
        )
        .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
        .slice(0, request.limit + 1)
    }),
  removeBelow: (id) =>
    Effect.sync(() => {
      const gone = [...audit.keys()].filter((key) => key < id).slice(0, stepRows)
      gone.forEach((key) => audit.delete(key))
      return gone.length
    })
}))

interface Row {
  readonly id: string
  readonly tenant_id: string | null
  readonly at: Date
  readonly actor_key_id: string | null
  readonly actor_name: string
  readonly ip: string | null
  readonly request_id: string | null
  readonly action: AuditAction
  readonly target: string
  readonly before: AuditEntry["before"]
  readonly after: AuditEntry["after"]
}

const entryOf = (row: Row): AuditEntry => ({
  id: fromUuid("audit", row.id),
  at: row.at.getTime(),
  actor: {
    keyId: row.actor_key_id === null ? null : fromUuid("key", row.actor_key_id),
    name: row.actor_name
  },
  ip: row.ip,
  requestId: row.request_id,
  action: row.action,
  tenantId: row.tenant_id === null ? null : fromUuid("tenant", row.tenant_id),
  target: row.target,
  before: row.before,
  after: row.after
})

const jsonOf = (values: AuditEntry["before"]): string | null =>
  values === null ? null : JSON.stringify(values)
