/**
 * The catalogues of event types, one for each tenant, and what becomes of types that they do not name.
 *
 * Every change is told after its commit and before the method returns, so that whoever got an answer
 * finds the change in force.
 */
import { Clock, Context, Effect, Layer, Option, Result, type Scope, Stream } from "effect"
import * as Audited from "../domain/Audited.ts"
import {
  type CatalogueFull,
  type EventType,
  type EventTypeExists,
  type EventTypeFields,
  EventTypeNotFound,
  type UnknownEventTypes
} from "../domain/EventType.ts"
import type { IdempotencyConflict } from "../domain/Message.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import type { EventTypeId, TenantId } from "../domain/TypeId.ts"
import * as Announcer from "./Announcer.ts"
import { AuditLog } from "./AuditLog.ts"
import * as EventTypeMemory from "./EventTypeMemory.ts"
import * as EventTypeSql from "./EventTypeSql.ts"
import type { EventTypeTable, OwnedEventType } from "./EventTypeTable.ts"
import { Ids } from "./Ids.ts"
import { StoreError } from "./StoreError.ts"

export class EventTypeRepo extends Context.Service<
  EventTypeRepo,
  {
    /** Adds a type. A repeated idempotency key answers the type of the first request. */
    readonly create: (
      tenantId: TenantId,
      name: string,
      fields: EventTypeFields,
      idempotency: { readonly key: string; readonly digest: Uint8Array } | null
    ) => Effect.Effect<
      EventType,
      EventTypeExists | CatalogueFull | IdempotencyConflict | StoreError
    >
    /** Changes what is decided on the type as it is under its lock. */
    readonly update: <E>(
      tenantId: TenantId,
      name: string,
      change: (eventType: EventType) => Result.Result<EventTypeFields, E>
    ) => Effect.Effect<EventType, E | EventTypeNotFound | StoreError>
    /** Removes a type; its name is then one that the catalogue does not know. */
    readonly delete: (
      tenantId: TenantId,
      name: string
    ) => Effect.Effect<void, EventTypeNotFound | StoreError>
    readonly get: (
      tenantId: TenantId,
      name: string
    ) => Effect.Effect<EventType, EventTypeNotFound | StoreError>
    /** Lists a tenant's types, newest first. */
    readonly list: (
      tenantId: TenantId,
      request: PageRequest
    ) => Effect.Effect<Page<EventType>, StoreError>
    /** Reads what becomes of types that the catalogue does not name. */
    readonly unknown: (tenantId: TenantId) => Effect.Effect<UnknownEventTypes, StoreError>
    readonly setUnknown: (
      tenantId: TenantId,
      unknown: UnknownEventTypes
    ) => Effect.Effect<void, StoreError>
    /** Streams every type of every tenant, as at a start. */
    readonly all: Stream.Stream<OwnedEventType, StoreError>
    /** Reads the tenants that refuse unknown types. */
    readonly refusing: Effect.Effect<ReadonlyArray<TenantId>, StoreError>
    /** Calls the listener with every change, in line, until the scope closes. */
    readonly watch: (
      listener: (change: CatalogueChange) => Effect.Effect<void>
    ) => Effect.Effect<void, never, Scope.Scope>
  }
>()("posthaste/store/EventTypeRepo") {
  /** Catalogues in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    EventTypeRepo,
    Effect.suspend(() => Effect.flatMap(EventTypeSql.make, make))
  )

  /** Catalogues in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    EventTypeRepo,
    Effect.suspend(() => Effect.flatMap(EventTypeMemory.make, make))
  )
}

/** What changed in a catalogue. */
export type CatalogueChange =
  | { readonly _tag: "Saved"; readonly tenantId: TenantId; readonly eventType: EventType }
  | { readonly _tag: "Deleted"; readonly tenantId: TenantId; readonly name: string }
  | { readonly _tag: "Unknown"; readonly tenantId: TenantId; readonly unknown: UnknownEventTypes }

/** Types that `all` reads at once. */
const scanRows = 500

const make = Effect.fnUntraced(function* (table: EventTypeTable) {
  const ids = yield* Ids
  const audit = yield* AuditLog
  const { announce, ordered, watch } = yield* Announcer.make<CatalogueChange>("EventTypeRepo", 16)

  const get = (tenantId: TenantId, name: string) =>
    Effect.flatMap(table.find(tenantId, name), orNotFound)

  return EventTypeRepo.of({
    create: Effect.fn("EventTypeRepo.create")(
      function* (tenantId, name, fields, idempotency) {
        const id = yield* ids.next("eventType")
        const now = yield* Clock.currentTimeMillis
        const made = { ...fields, id, name, createdAt: now, updatedAt: now }
        const insert = table.insert(tenantId, made, idempotency)
        const told = audit.changing(insert, (eventType) =>
          eventType.id === id
            ? Audited.eventType("event_type.created", tenantId, null, eventType)
            : null
        )
        return yield* told.pipe(
          Effect.tap((eventType) => announce({ _tag: "Saved", tenantId, eventType })),
          ordered(tenantId)
        )
      },
      Effect.mapError(StoreError.from("EventTypeRepo.create"))
    ),

    update: (tenantId, name, change) =>
      Effect.flatMap(Clock.currentTimeMillis, (updatedAt) =>
        table.edit(tenantId, name, (eventType) =>
          Result.map(change(eventType), (fields) => ({ ...eventType, ...fields, updatedAt }))
        )
      ).pipe(
        Effect.flatMap(orNotFound),
        (edited) =>
          audit.changing(edited, ({ eventType, previous }) =>
            Audited.eventType("event_type.updated", tenantId, previous, eventType)
          ),
        Effect.map(({ eventType }) => eventType),
        Effect.tap((eventType) => announce({ _tag: "Saved", tenantId, eventType })),
        ordered(tenantId),
        Effect.mapError(StoreError.from("EventTypeRepo.update")),
        Effect.withSpan("EventTypeRepo.update")
      ),

    delete: Effect.fn("EventTypeRepo.delete")(
      (tenantId, name) =>
        audit
          .changing(Effect.flatMap(table.remove(tenantId, name), orNotFound), (eventType) =>
            Audited.eventType("event_type.deleted", tenantId, eventType, null)
          )
          .pipe(Effect.andThen(announce({ _tag: "Deleted", tenantId, name })), ordered(tenantId)),
      Effect.mapError(StoreError.from("EventTypeRepo.delete"))
    ),

    get: Effect.fn("EventTypeRepo.get")(get, Effect.mapError(StoreError.from("EventTypeRepo.get"))),

    list: Effect.fn("EventTypeRepo.list")(
      (tenantId, request) =>
        Effect.map(table.page(tenantId, request), (rows) => pageOf(rows, request, ({ id }) => id)),
      Effect.mapError(StoreError.from("EventTypeRepo.list"))
    ),

    unknown: Effect.fn("EventTypeRepo.unknown")(
      table.unknown,
      Effect.mapError(StoreError.from("EventTypeRepo.unknown"))
    ),

    setUnknown: Effect.fn("EventTypeRepo.setUnknown")(
      (tenantId, unknown) =>
        audit
          .changing(table.setUnknown(tenantId, unknown), (previous) =>
            previous === null ? null : Audited.eventTypePolicy(tenantId, previous, unknown)
          )
          .pipe(
            Effect.andThen(announce({ _tag: "Unknown", tenantId, unknown })),
            ordered(tenantId)
          ),
      Effect.mapError(StoreError.from("EventTypeRepo.setUnknown"))
    ),

    all: Stream.paginate<EventTypeId | null, OwnedEventType, StoreError>(null, (after) =>
      table.scan(after, scanRows).pipe(
        Effect.map(
          (rows) =>
            [
              rows,
              rows.length < scanRows ? Option.none() : Option.some(rows.at(-1)!.eventType.id)
            ] as const
        ),
        Effect.mapError(StoreError.from("EventTypeRepo.all"))
      )
    ),

    refusing: table.refusing.pipe(
      Effect.mapError(StoreError.from("EventTypeRepo.refusing")),
      Effect.withSpan("EventTypeRepo.refusing")
    ),

    watch
  })
})

const orNotFound = <A>(found: Option.Option<A>): Effect.Effect<A, EventTypeNotFound> =>
  Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(new EventTypeNotFound({}))
