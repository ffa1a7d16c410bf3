/**
 * The catalogue of event types over HTTP: what a tenant's messages are called, mean and hold.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import {
  CatalogueFull,
  EventTypeExists,
  EventTypeName,
  EventTypeNotFound,
  isReserved,
  UnknownEventTypes
} from "../domain/EventType.ts"
import { IdempotencyConflict } from "../domain/Message.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { IdempotencyKey } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

/** The name of a caller's own event type: those below `posthaste.` are ours. */
export const OwnEventTypeName = EventTypeName.check(
  Schema.makeFilter((type: string) =>
    isReserved(type) ? "Event types that begin with posthaste. are reserved" : undefined
  )
)

const fields = {
  displayName: Schema.optionalKey(Text(256).annotate({ description: "The name when absent" })),
  description: Schema.optionalKey(Schema.NullOr(Text(2_048))),
  schema: Schema.optionalKey(
    Schema.NullOr(
      Schema.JsonObject.annotate({
        description: "A JSON Schema (2020-12) that `data` has to meet, without recursion"
      })
    )
  ),
  example: Schema.optionalKey(
    Schema.Json.annotate({ description: "An example of `data`, which meets the schema" })
  ),
  archived: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "An archived type takes no new messages" })
  )
}

/** A type to be added to the catalogue. */
export const EventTypeInput = Schema.Struct({ name: OwnEventTypeName, ...fields }).annotate({
  identifier: "EventTypeInput"
})

/** A type that replaces one, or is added under the name of its path. */
export const EventTypePutInput = Schema.Struct({
  name: Schema.optionalKey(OwnEventTypeName),
  ...fields
}).annotate({ identifier: "EventTypePutInput" })
export type EventTypePutInput = typeof EventTypePutInput.Type

/** What of a type is to be changed. */
export const EventTypePatch = Schema.Struct(fields).annotate({ identifier: "EventTypePatch" })
export type EventTypePatch = typeof EventTypePatch.Type

/** A type as every answer shows it. */
export const EventTypeView = Schema.Struct({
  name: Schema.String,
  displayName: Schema.String,
  description: Schema.NullOr(Schema.String),
  schema: Schema.NullOr(Schema.JsonObject),
  example: Schema.Json,
  archived: Schema.Boolean,
  createdAt: Instant,
  updatedAt: Instant
}).annotate({ identifier: "EventType" })
export type EventTypeView = typeof EventTypeView.Type

const policy = {
  unknown: UnknownEventTypes.annotate({
    description: "What becomes of messages whose type the catalogue does not name"
  })
}

/** What is to become of types that the catalogue does not name. */
export const EventTypePolicyInput = Schema.Struct(policy).annotate({
  identifier: "EventTypePolicyInput"
})

/** What becomes of types that the catalogue does not name. */
export const EventTypePolicy = Schema.Struct(policy).annotate({ identifier: "EventTypePolicy" })

const params = { name: Schema.String.annotate({ description: "The name of an event type" }) }
const created = EventTypeView.pipe(HttpApiSchema.status(201))

/** The endpoints below `/v1/event-types`, and `/v1/event-type-policy`. */
export class EventTypesApi extends HttpApiGroup.make("eventTypes")
  .add(
    HttpApiEndpoint.post("create", "/event-types", {
      headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
      payload: EventTypeInput,
      success: created,
      error: [EventTypeExists, CatalogueFull, IdempotencyConflict]
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Add an event type"),
    HttpApiEndpoint.get("list", "/event-types", {
      query: PageQuery,
      success: PageOf(EventTypeView)
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "List event types"),
    HttpApiEndpoint.get("get", "/event-types/:name", {
      params,
      success: EventTypeView,
      error: EventTypeNotFound
    })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Get an event type"),
    HttpApiEndpoint.put("put", "/event-types/:name", {
      params,
      payload: EventTypePutInput,
      success: [created, EventTypeView],
      error: CatalogueFull
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Replace an event type, or add it"),
    HttpApiEndpoint.patch("patch", "/event-types/:name", {
      params,
      payload: EventTypePatch,
      success: EventTypeView,
      error: EventTypeNotFound
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Change an event type, or archive it"),
    HttpApiEndpoint.delete("delete", "/event-types/:name", {
      params,
      success: HttpApiSchema.NoContent,
      error: EventTypeNotFound
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Remove an event type"),
    HttpApiEndpoint.get("getPolicy", "/event-type-policy", { success: EventTypePolicy })
      .annotate(RequiredScope, "read")
      .annotate(OpenApi.Summary, "Tell what becomes of unknown event types"),
    HttpApiEndpoint.put("putPolicy", "/event-type-policy", {
      payload: EventTypePolicyInput,
      success: EventTypePolicy
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "Allow or refuse unknown event types")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1")
  .annotate(OpenApi.Title, "Event types") {}
