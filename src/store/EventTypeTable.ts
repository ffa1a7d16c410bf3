/**
 * What an EventTypeRepo needs of the place where catalogues are kept; EventTypeSql and EventTypeMemory
 * are the two places. Caching and announcing are done above.
 */
import type { Effect, Option, Result } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type {
  CatalogueFull,
  EventType,
  EventTypeExists,
  UnknownEventTypes
} from "../domain/EventType.ts"
import type { IdempotencyConflict } from "../domain/Message.ts"
import type { PageRequest } from "../domain/Page.ts"
import type { EventTypeId, TenantId } from "../domain/TypeId.ts"

/** Reads and writes the event types of tenants, each method in one commit. */
export interface EventTypeTable {
  /** Adds a type, or answers the one that the same idempotency key made before. */
  readonly insert: (
    tenantId: TenantId,
    eventType: EventType,
    idempotency: { readonly key: string; readonly digest: Uint8Array } | null
  ) => Effect.Effect<EventType, EventTypeExists | CatalogueFull | IdempotencyConflict | SqlError>
  /** Locks a type, changes it and saves it; none if there is no such one. */
  readonly edit: <E>(
    tenantId: TenantId,
    name: string,
    change: (eventType: EventType) => Result.Result<EventType, E>
  ) => Effect.Effect<Option.Option<EditedEventType>, E | SqlError>
  /** Removes a type; answers it if it was there. */
  readonly remove: (
    tenantId: TenantId,
    name: string
  ) => Effect.Effect<Option.Option<EventType>, SqlError>
  readonly find: (
    tenantId: TenantId,
    name: string
  ) => Effect.Effect<Option.Option<EventType>, SqlError>
  /** Reads up to `limit + 1` types in the direction of the cursor. */
  readonly page: (
    tenantId: TenantId,
    request: PageRequest
  ) => Effect.Effect<ReadonlyArray<EventType>, SqlError>
  readonly unknown: (tenantId: TenantId) => Effect.Effect<UnknownEventTypes, SqlError>
  /** Sets it; answers what it was before, null where there is no such tenant. */
  readonly setUnknown: (
    tenantId: TenantId,
    unknown: UnknownEventTypes
  ) => Effect.Effect<UnknownEventTypes | null, SqlError>
  /** Reads up to `limit` types of all tenants that come after an id, oldest first. */
  readonly scan: (
    after: EventTypeId | null,
    limit: number
  ) => Effect.Effect<ReadonlyArray<OwnedEventType>, SqlError>
  /** Reads the tenants that refuse unknown types. */
  readonly refusing: Effect.Effect<ReadonlyArray<TenantId>, SqlError>
}

/** A type with the tenant whose catalogue it stands in. */
export interface OwnedEventType {
  readonly tenantId: TenantId
  readonly eventType: EventType
}

/** A type after a change and before it. */
export interface EditedEventType {
  readonly eventType: EventType
  readonly previous: EventType
}

/** The most types of one tenant: all catalogues are in memory. */
export const catalogueMax = 2_000
