/**
 * Idempotency keys in Postgres: which request used a key first, and for what.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { IdempotencyConflict } from "../domain/Message.ts"

/** Whose keys those are that make what belongs to no tenant. */
export const nobody = "00000000-0000-0000-0000-000000000000"

/** The use of a caller's key, as it is written down. Ids are UUIDs. */
export interface Use {
  /** Whose keys it is one of. */
  readonly tenantId: string
  readonly key: string
  /** SHA-256 of the request. */
  readonly digest: Uint8Array
  readonly resourceId: string
  readonly at: Date
}

/**
 * Claims a key in the current transaction. Answers what an equal request made with it before, or
 * undefined when this one is the first; fails when the request was another one.
 */
export const claim = Effect.fnUntraced(function* (sql: SqlClient, use: Use) {
  while (true) {
    const claimed = yield* sql`
      insert into idempotency (tenant_id, key, digest, resource_id, created_at)
      values (${use.tenantId}, ${use.key}, ${use.digest}, ${use.resourceId}, ${use.at})
      on conflict do nothing returning 1`
    if (claimed.length > 0) return undefined
    const [first] = yield* sql<{ readonly digest: Uint8Array; readonly resource_id: string }>`
      select digest, resource_id from idempotency
      where tenant_id = ${use.tenantId} and key = ${use.key}`
    // The first request's row may end between the two statements: then the key is free.
    if (first === undefined) continue
    if (Buffer.compare(first.digest, use.digest) !== 0) return yield* new IdempotencyConflict({})
    return first.resource_id
  }
})
