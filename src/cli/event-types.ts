/**
 * `posthaste event-types`: the catalogue of what may be published.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { EventTypeView } from "../api/EventTypesApi.ts"
import { withClient } from "./Client.ts"
import { confirmed, yes } from "./Confirm.ts"
import { decode, json } from "./Fields.ts"
import { limit, page, present } from "./Page.ts"
import { answer, both, type Column, instant, record } from "./Print.ts"

const eventType = Argument.String("name").pipe(Argument.withDescription("Such as invoice.paid"))

const columns: ReadonlyArray<Column<EventTypeView>> = [
  ["name", ({ name }) => name],
  ["display name", ({ displayName }) => displayName],
  ["schema", ({ schema }) => (schema === null ? "none" : "yes")],
  ["archived", ({ archived }) => archived],
  ["description", ({ description }) => description]
]

const show = (type: EventTypeView) =>
  record({
    name: type.name,
    "display name": type.displayName,
    description: type.description,
    archived: type.archived,
    schema: type.schema === null ? "none" : JSON.stringify(type.schema),
    example: type.example === null ? null : JSON.stringify(type.example),
    updated: instant(type.updatedAt)
  })

const list = Command.make("list", { limit: limit(50) }, (query) =>
  withClient(({ eventTypes }) => page(eventTypes.list({ query, ...both }), columns))
).pipe(Command.withDescription("List event types"), Command.withAlias("ls"))

const showOne = Command.make("show", { name: eventType }, (params) =>
  withClient(({ eventTypes }) =>
    Effect.flatMap(eventTypes.get({ params, ...both }), (found) => answer(found, show))
  )
).pipe(Command.withDescription("Show an event type"))

const set = Command.make(
  "set",
  {
    name: eventType,
    displayName: Flag.String("display-name").pipe(Flag.optional),
    description: Flag.String("description").pipe(Flag.optional),
    schema: Flag.FileText("schema").pipe(
      Flag.withDescription("A file with a JSON Schema that data has to meet"),
      Flag.optional
    ),
    example: Flag.FileText("example").pipe(
      Flag.withDescription("A file with an example of data"),
      Flag.optional
    )
  },
  ({ example, name, schema, ...named }) =>
    withClient(({ eventTypes }) =>
      Effect.gen(function* () {
        const { EventTypePutInput } = yield* Effect.promise(() => import("../api/EventTypesApi.ts"))
        const payload = yield* decode(EventTypePutInput)({
          ...present(named),
          ...(Option.isSome(schema) ? { schema: yield* json(schema.value) } : {}),
          ...(Option.isSome(example) ? { example: yield* json(example.value) } : {})
        })
        yield* answer(yield* eventTypes.put({ params: { name }, payload, ...both }), show)
      })
    )
).pipe(Command.withDescription("Add an event type to the catalogue, or replace it"))

const archive = Command.make("archive", { name: eventType }, (params) =>
  withClient(({ eventTypes }) =>
    Effect.flatMap(eventTypes.patch({ params, payload: { archived: true }, ...both }), (archived) =>
      answer(archived, show)
    )
  )
).pipe(Command.withDescription("Take no new messages of a type"))

const remove = Command.make("delete", { name: eventType, yes }, ({ name, yes }) =>
  withClient(({ eventTypes }) =>
    Effect.gen(function* () {
      yield* confirmed(yes, `Delete ${name} from the catalogue?`)
      yield* eventTypes.delete({ params: { name } })
      yield* Console.log(`deleted ${name}`)
    })
  )
).pipe(Command.withDescription("Remove an event type from the catalogue"))

/** Holds the words about event types. */
export const eventTypes = Command.make("event-types").pipe(
  Command.withDescription("Event types: the catalogue of what may be published"),
  Command.withSubcommands([list, showOne, set, archive, remove])
)
