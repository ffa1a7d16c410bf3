/**
 * Event types in the Maps of MemoryTables. A step of it runs without a pause, so it needs no locks.
 */
import { Effect, Option } from "effect"
import { CatalogueFull, EventTypeExists } from "../domain/EventType.ts"
import { IdempotencyConflict } from "../domain/Message.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { catalogueMax, type EditedEventType, type EventTypeTable } from "./EventTypeTable.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables, pairKey } from "./MemoryTables.ts"

/** Makes the table over the Maps. */
export const make = Effect.gen(function* () {
  const { eventTypes, idempotency, refusing } = yield* MemoryTables

  const ofTenant = (tenantId: TenantId) =>
    [...eventTypes.values()].filter((row) => row.tenantId === tenantId)

  const table: EventTypeTable = {
    insert: Effect.fnUntraced(function* (tenantId, eventType, used) {
      const key = used === null ? undefined : pairKey(tenantId, used.key)
      const first = key === undefined ? undefined : idempotency.get(key)
      if (used !== null && first !== undefined) {
        const found = ofTenant(tenantId).find((row) => row.eventType.id === first.resourceId)
        if (found === undefined || Buffer.compare(first.digest, used.digest) !== 0) {
          return yield* new IdempotencyConflict({})
        }
        return found.eventType
      }
      const at = pairKey(tenantId, eventType.name)
      if (eventTypes.has(at)) return yield* new EventTypeExists({})
      if (ofTenant(tenantId).length >= catalogueMax) return yield* new CatalogueFull({})
      if (used !== null && key !== undefined) {
        const { digest } = used
        idempotency.set(key, { digest, resourceId: eventType.id, createdAt: eventType.createdAt })
      }
      eventTypes.set(at, { tenantId, eventType })
      return eventType
    }),
    edit: (tenantId, name, change) =>
      Effect.gen(function* () {
        const found = eventTypes.get(pairKey(tenantId, name))
        if (found === undefined) return Option.none<EditedEventType>()
        const previous = found.eventType
        const eventType = yield* Effect.fromResult(change(previous))
        eventTypes.set(pairKey(tenantId, name), { tenantId, eventType })
        return Option.some({ eventType, previous })
      }),
    remove: (tenantId, name) =>
      Effect.sync(() => {
        const found = eventTypes.get(pairKey(tenantId, name))
        eventTypes.delete(pairKey(tenantId, name))
        return Option.map(Option.fromUndefinedOr(found), ({ eventType }) => eventType)
      }),
    find: (tenantId, name) =>
      Effect.sync(() =>
        Option.map(
          Option.fromUndefinedOr(eventTypes.get(pairKey(tenantId, name))),
          ({ eventType }) => eventType
        )
      ),
    page: (tenantId, request) =>
      Effect.sync(() => {
        const range = IdRange.ofPage("eventType", request)
        return ofTenant(tenantId)
          .map(({ eventType }) => eventType)
          .filter(({ id }) => IdRange.contains(range, id))
          .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
          .slice(0, request.limit + 1)
      }),
    unknown: (tenantId) => Effect.sync(() => (refusing.has(tenantId) ? "refuse" : "allow")),
    setUnknown: (tenantId, unknown) =>
      Effect.sync(() => {
        const previous = refusing.has(tenantId) ? "refuse" : "allow"
        if (unknown === "refuse") refusing.add(tenantId)
        else refusing.delete(tenantId)
        return previous
      }),
    scan: (after, limit) =>
      Effect.sync(() =>
        [...eventTypes.values()]
          .sort((a, b) => (a.eventType.id < b.eventType.id ? -1 : 1))
          .filter(({ eventType }) => after === null || eventType.id > after)
          .slice(0, limit)
      ),
    refusing: Effect.sync(() => [...refusing])
  }
  return table
})
