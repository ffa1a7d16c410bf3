/**
 * Tenants and keys in the Maps of MemoryTables. A step of it runs without a pause, so it needs no
 * locks; it checks before it writes, so it needs no rollback.
 */
import { Effect, Option } from "effect"
import { IdempotencyConflict } from "../domain/Message.ts"
import { TenantUidTaken } from "../domain/Tenant.ts"
import { fromBytes, type KeyId, type TenantId } from "../domain/TypeId.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables, pairKey } from "./MemoryTables.ts"
import type { Idempotency, TenantTable } from "./TenantTable.ts"

/** Makes the table over the Maps. */
export const make = Effect.gen(function* () {
  const { audit, tenants, retired, keys, idempotency, uids } = yield* MemoryTables

  const byUid = (uid: string) => [...tenants.values()].find((tenant) => tenant.uid === uid)
  const keysOf = (owner: TenantId | null) =>
    [...keys].filter(([, { tenantId }]) => tenantId === owner)
  const admins = () =>
    keysOf(null)
      .map(([, key]) => key)
      .filter(({ scopes }) => scopes.includes("admin"))
  const page = <A extends { readonly id: TenantId | KeyId }>(
    rows: ReadonlyArray<A>,
    range: IdRange.IdRange<A["id"]>,
    rowsMax: number
  ) =>
    rows
      .filter(({ id }) => IdRange.contains(range, id))
      .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
      .slice(0, rowsMax)

  /** Claims a key; answers what an equal request made before. */
  const claim = Effect.fnUntraced(function* (
    owner: TenantId | null,
    used: Idempotency | null,
    resourceId: TenantId | KeyId,
    createdAt: number
  ) {
    if (used === null) return undefined
    const key = pairKey(owner ?? nobody, used.key)
    const first = idempotency.get(key)
    if (first === undefined) {
      idempotency.set(key, { digest: used.digest, resourceId, createdAt })
      return undefined
    }
    if (Buffer.compare(first.digest, used.digest) !== 0) return yield* new IdempotencyConflict({})
    return first.resourceId
  })

  const table: TenantTable = {
    ensure: (tenant) =>
      Effect.sync(() => {
        const found = byUid(tenant.uid)
        if (found !== undefined) return found
        tenants.set(tenant.id, tenant)
        return tenant
      }),
    insert: Effect.fnUntraced(function* (tenant, used) {
      const isTaken = byUid(tenant.uid) !== undefined
      const isKnown = used !== null && idempotency.has(pairKey(nobody, used.key))
      if (isTaken && !isKnown) return yield* new TenantUidTaken({})
      const first = yield* claim(null, used, tenant.id, tenant.createdAt)
      if (first !== undefined) {
        const found = [...tenants.values()].find(({ id }) => id === first)
        return found ?? (yield* goneSince("tenant", "deleted"))
      }
      tenants.set(tenant.id, tenant)
      return tenant
    }),
    edit: (id, change) =>
      Effect.gen(function* () {
        const previous = tenants.get(id)
        if (previous === undefined) return Option.none()
        const tenant = yield* Effect.fromResult(change(previous))
        const holder = byUid(tenant.uid)
        if (holder !== undefined && holder.id !== id) return yield* new TenantUidTaken({})
        tenants.set(id, tenant)
        return Option.some({ tenant, previous })
      }),
    findById: (id) => Effect.sync(() => Option.fromUndefinedOr(tenants.get(id))),
    findByUid: (uid) => Effect.sync(() => Option.fromUndefinedOr(byUid(uid))),
    rated: Effect.sync(() =>
      [...tenants.values()].filter(({ limits }) => limits.messagesPerSecond !== null)
    ),
    page: (request) =>
      Effect.sync(() =>
        page([...tenants.values()], IdRange.ofPage("tenant", request), request.limit + 1)
      ),
    retire: (id) =>
      Effect.sync(() => {
        if (!tenants.delete(id)) return Option.none()
        retired.add(id)
        const hashes = keysOf(id).map(([hash]) => hash)
        hashes.forEach((hash) => keys.delete(hash))
        return Option.some(hashes.map((hash) => Buffer.from(hash, "hex")))
      }),
    retired: Effect.sync(() => [...retired]),
    purge: (id) =>
      Effect.sync(() => {
        for (const map of [uids, idempotency]) {
          for (const key of map.keys()) if (key.startsWith(pairKey(id, ""))) map.delete(key)
        }
        for (const [entryId, { action, tenantId }] of audit) {
          if (tenantId === id && action !== "tenant.deleted") audit.delete(entryId)
        }
        retired.delete(id)
      }),

    ensureKey: (record, hash) =>
      Effect.sync(() => {
        const found = keys.get(hexOf(hash))
        if (found !== undefined) return found
        keys.set(hexOf(hash), record)
        return record
      }),
    insertKey: Effect.fnUntraced(function* (record, hash, used) {
      const first = yield* claim(record.tenantId, used, record.id, record.createdAt)
      if (first !== undefined) {
        const found = keysOf(record.tenantId).find(([, { id }]) => id === first)
        return found?.[1] ?? (yield* goneSince("API key", "revoked"))
      }
      keys.set(hexOf(hash), record)
      return record
    }),
    findKey: (hash) =>
      Effect.sync(() =>
        Option.map(Option.fromUndefinedOr(keys.get(hexOf(hash))), (record) => ({ record, hash }))
      ),
    findKeyById: (owner, id) =>
      Effect.sync(() =>
        Option.fromUndefinedOr(keysOf(owner).find(([, key]) => key.id === id)?.[1])
      ),
    keyPage: (owner, request) =>
      Effect.sync(() =>
        page(
          keysOf(owner).map(([, key]) => key),
          IdRange.ofPage("key", request),
          request.limit + 1
        )
      ),
    admins: Effect.sync(admins),
    editKey: (owner, id, change) =>
      Effect.gen(function* () {
        const [hash, key] = keysOf(owner).find(([, one]) => one.id === id) ?? []
        if (hash === undefined || key === undefined) return Option.none()
        const record = yield* Effect.fromResult(change(key, admins()))
        if (record === null) keys.delete(hash)
        else keys.set(hash, record)
        return Option.some({ record, previous: key, hash: Buffer.from(hash, "hex") })
      }),
    touch: (uses, withinMs) =>
      Effect.sync(() => {
        for (const [hash, record] of keys) {
          const at = uses.get(record.id)
          if (at === undefined || (record.lastUsedAt ?? -Infinity) > at - withinMs) continue
          keys.set(hash, { ...record, lastUsedAt: at })
        }
      })
  }
  return table
})

/** Whose idempotency keys those are that make what belongs to no tenant. */
const nobody = fromBytes("tenant", new Uint8Array(16))

const goneSince = (what: string, how: string) =>
  new IdempotencyConflict({ detail: `The ${what} that this Idempotency-Key made was ${how} since` })

const hexOf = (hash: Uint8Array): string => Buffer.from(hash).toString("hex")
