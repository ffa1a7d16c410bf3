/**
 * Every tenant's event types in memory, so that the check of a message reads nothing.
 *
 * A schema is compiled once for each type and change, when the first message asks for it. What the
 * engine publishes itself, below `posthaste.`, is in no catalogue and always passes.
 */
import { Context, Effect, Layer, Result, Stream } from "effect"
import {
  type EventType,
  type EventTypeName,
  isReserved,
  MessageRefused
} from "../domain/EventType.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { EventTypeRepo } from "../store/EventTypeRepo.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as JsonSchema from "./JsonSchema.ts"

export class Catalogue extends Context.Service<
  Catalogue,
  {
    /** Says why a tenant's message of a type may not be published; null when it may. */
    readonly judge: (
      tenantId: TenantId,
      type: EventTypeName,
      data: () => unknown
    ) => MessageRefused | null
  }
>()("posthaste/publish/Catalogue") {
  static readonly layer: Layer.Layer<Catalogue, StoreError, EventTypeRepo> = Layer.effect(
    Catalogue,
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const tenants = new Map<TenantId, Owned>()

      const ownedBy = (tenantId: TenantId): Owned => {
        const known = tenants.get(tenantId)
        if (known !== undefined) return known
        const owned: Owned = { types: new Map(), refusesUnknown: false }
        tenants.set(tenantId, owned)
        return owned
      }
      const heard = new Set<string>()

      // Watching begins before loading, and a load never replaces what was heard meanwhile.
      yield* repo.watch((change) =>
        Effect.sync(() => {
          const owned = ownedBy(change.tenantId)
          switch (change._tag) {
            case "Saved":
              owned.types.set(change.eventType.name, { eventType: change.eventType })
              heard.add(change.eventType.id)
              break
            case "Deleted":
              owned.types.delete(change.name)
              break
            case "Unknown":
              owned.refusesUnknown = change.unknown === "refuse"
          }
        })
      )
      yield* Stream.runForEach(repo.all, ({ eventType, tenantId }) =>
        Effect.sync(() => {
          if (!heard.has(eventType.id)) ownedBy(tenantId).types.set(eventType.name, { eventType })
        })
      )
      heard.clear()
      for (const tenantId of yield* repo.refusing) ownedBy(tenantId).refusesUnknown = true

      return Catalogue.of({
        judge: (tenantId, type, data) => {
          const owned = tenants.get(tenantId)
          if (owned === undefined || isReserved(type)) return null
          const entry = owned.types.get(type)
          if (entry === undefined) return owned.refusesUnknown ? unknownType : null
          if (entry.eventType.archived) return archivedType
          if (entry.eventType.schema === null) return null
          const item = validatorOf(entry, entry.eventType.schema)(data())
          return item === null
            ? null
            : new MessageRefused({ errors: [{ ...item, pointer: `/data${item.pointer}` }] })
        }
      })
    })
  )
}

/** A tenant's catalogue. */
interface Owned {
  readonly types: Map<EventTypeName, Entry>
  refusesUnknown: boolean
}

/** A type, and its schema once it was compiled. */
interface Entry {
  readonly eventType: EventType
  validator?: JsonSchema.Validator
}

const validatorOf = (
  entry: Entry,
  schema: NonNullable<EventType["schema"]>
): JsonSchema.Validator => {
  // What another version took and this one cannot compile lets nothing pass.
  entry.validator ??= Result.getOrElse(JsonSchema.compile(schema), (item) => () => ({
    pointer: "",
    message: `The schema of the event type cannot be read: ${item.message}`
  }))
  return entry.validator
}

const refused = (message: string) => new MessageRefused({ errors: [{ pointer: "/type", message }] })
const unknownType = refused("Expected a type of the catalogue")
const archivedType = refused("Expected a type that is not archived")
