/**
 * Answers the endpoints below `/v1/event-types`, and `/v1/event-type-policy`.
 *
 * A schema is compiled and an example is tried on it before anything is written, so what is stored can
 * be checked against.
 */
import { Effect, Option, Result, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import {
  type EventTypePatch,
  type EventTypePutInput,
  type EventTypeView,
  OwnEventTypeName
} from "../api/EventTypesApi.ts"
import { pageRequest } from "../api/Page.ts"
import type { InvalidInput } from "../api/Problems.ts"
import {
  type EventType,
  type EventTypeFields,
  EventTypeName,
  EventTypeNotFound
} from "../domain/EventType.ts"
import type { TenantId } from "../domain/TypeId.ts"
import * as JsonSchema from "../publish/JsonSchema.ts"
import { EventTypeRepo } from "../store/EventTypeRepo.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { invalidAt } from "./RequestProblemsLayer.ts"
import { answered } from "./StoreFaults.ts"

export const EventTypesHandlers = HttpApiBuilder.group(
  Api,
  "eventTypes",
  Effect.fn(function* (handlers) {
    const eventTypes = yield* EventTypeRepo

    const change = (tenantId: TenantId, name: string, patch: EventTypePatch) =>
      eventTypes.update(tenantId, name, (eventType) => judged({ ...eventType, ...patch }))

    const put = Effect.fnUntraced(function* (
      tenantId: TenantId,
      name: string,
      input: EventTypePutInput
    ) {
      const fields = yield* Effect.fromResult(judged(fieldsOf(name, input)))
      const replaced = eventTypes
        .update(tenantId, name, () => Result.succeed(fields))
        .pipe(
          Effect.asSome,
          Effect.catchTag("EventTypeNotFound", () => Effect.succeedNone)
        )
      const added = eventTypes.create(tenantId, name, fields, null).pipe(
        Effect.asSome,
        Effect.catchTags({
          // Another request added it meanwhile: that one's is then replaced.
          EventTypeExists: () => Effect.succeedNone,
          // Without an idempotency key there is nothing to conflict with.
          IdempotencyConflict: Effect.die
        })
      )
      while (true) {
        const found = yield* replaced
        if (Option.isSome(found)) return found.value
        const made = yield* added
        if (Option.isSome(made)) return made.value
      }
    })

    return handlers.handleAll({
      create: Effect.fn("EventTypesHandlers.create")(function* ({ headers, payload, request }) {
        const { tenantId } = yield* Caller
        const fields = yield* Effect.fromResult(judged(fieldsOf(payload.name, payload)))
        const idempotency = yield* idempotencyOf(headers["idempotency-key"], request)
        return view(yield* eventTypes.create(tenantId, payload.name, fields, idempotency))
      }, answered),

      list: Effect.fn("EventTypesHandlers.list")(function* ({ query }) {
        const { tenantId } = yield* Caller
        const page = yield* eventTypes.list(tenantId, yield* Effect.fromResult(pageRequest(query)))
        return { ...page, data: page.data.map(view) }
      }, answered),

      get: Effect.fn("EventTypesHandlers.get")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return view(yield* eventTypes.get(tenantId, yield* nameOf(params.name)))
      }, answered),

      put: Effect.fn("EventTypesHandlers.put")(function* ({ params, payload }) {
        const { tenantId } = yield* Caller
        if (!Schema.is(OwnEventTypeName)(params.name)) {
          return yield* invalidAt("/params/name", "Expected the name of an event type of yours")
        }
        if (payload.name !== undefined && payload.name !== params.name) {
          return yield* invalidAt("/name", "Expected the name that the path names")
        }
        return view(yield* put(tenantId, params.name, payload))
      }, answered),

      patch: Effect.fn("EventTypesHandlers.patch")(function* ({ params, payload }) {
        const { tenantId } = yield* Caller
        return view(yield* change(tenantId, yield* nameOf(params.name), payload))
      }, answered),

      delete: Effect.fn("EventTypesHandlers.delete")(function* ({ params }) {
        const { tenantId } = yield* Caller
        yield* eventTypes.delete(tenantId, yield* nameOf(params.name))
      }, answered),

      getPolicy: Effect.fn("EventTypesHandlers.getPolicy")(function* () {
        const { tenantId } = yield* Caller
        return { unknown: yield* eventTypes.unknown(tenantId) }
      }, answered),

      putPolicy: Effect.fn("EventTypesHandlers.putPolicy")(function* ({ payload }) {
        const { tenantId } = yield* Caller
        yield* eventTypes.setUnknown(tenantId, payload.unknown)
        return payload
      }, answered)
    })
  })
)

/** Text that no type can be called names nothing. */
const nameOf = (text: string): Effect.Effect<string, EventTypeNotFound> =>
  Schema.is(EventTypeName)(text) ? Effect.succeed(text) : Effect.fail(new EventTypeNotFound())

/** All fields of a type; what the input leaves out has its default. */
const fieldsOf = (name: string, input: EventTypePutInput): EventTypeFields => ({
  displayName: input.displayName ?? name,
  description: input.description ?? null,
  schema: input.schema ?? null,
  example: input.example ?? null,
  archived: input.archived ?? false
})

/** Lets fields pass whose schema compiles, and is met by the example where there is one. */
const judged = (fields: EventTypeFields): Result.Result<EventTypeFields, InvalidInput> => {
  if (fields.schema === null) return Result.succeed(fields)
  const compiled = JsonSchema.compile(fields.schema)
  if (Result.isFailure(compiled)) {
    const { message, pointer } = compiled.failure
    return Result.fail(invalidAt(`/schema${pointer}`, message))
  }
  const wrong = fields.example === null ? null : compiled.success(fields.example)
  return wrong === null
    ? Result.succeed(fields)
    : Result.fail(invalidAt(`/example${wrong.pointer}`, wrong.message))
}

const view = (eventType: EventType): EventTypeView => ({
  name: eventType.name,
  displayName: eventType.displayName,
  description: eventType.description,
  schema: eventType.schema,
  example: eventType.example,
  archived: eventType.archived,
  createdAt: eventType.createdAt,
  updatedAt: eventType.updatedAt
})
