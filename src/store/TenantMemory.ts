/**
 * Tenants and keys in the Maps of MemoryTables.
 */
import { Effect, Option } from "effect"
import { MemoryTables } from "./MemoryTables.ts"
import type { TenantTable } from "./TenantTable.ts"

/** Makes the table over the Maps. */
export const make = Effect.gen(function* () {
  const { tenants, keys } = yield* MemoryTables

  const byUid = (uid: string) => [...tenants.values()].find((tenant) => tenant.uid === uid)

  const table: TenantTable = {
    ensure: (tenant) =>
      Effect.sync(() => {
        const found = byUid(tenant.uid)
        if (found !== undefined) return found
        tenants.set(tenant.id, tenant)
        return tenant
      }),
    findById: (id) => Effect.sync(() => Option.fromUndefinedOr(tenants.get(id))),
    findByUid: (uid) => Effect.sync(() => Option.fromUndefinedOr(byUid(uid))),
    ensureKey: (record, hash) =>
      Effect.sync(() => {
        const found = keys.get(hexOf(hash))
        if (found !== undefined) return found
        keys.set(hexOf(hash), record)
        return record
      }),
    findKey: (hash) =>
      Effect.sync(() =>
        Option.map(Option.fromUndefinedOr(keys.get(hexOf(hash))), (record) => ({ record, hash }))
      ),
    adminKeys: Effect.sync(
      () => [...keys.values()].filter(({ scopes }) => scopes.includes("admin")).length
    ),
    touch: (id, now, since) =>
      Effect.sync(() => {
        for (const [hash, record] of keys) {
          if (record.id !== id || (record.lastUsedAt ?? since) > since) continue
          keys.set(hash, { ...record, lastUsedAt: now })
        }
      })
  }
  return table
})

const hexOf = (hash: Uint8Array): string => Buffer.from(hash).toString("hex")
