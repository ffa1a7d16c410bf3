/**
 * `posthaste audit`: who changed what, when, from where.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AuditEntryView } from "../api/AuditApi.ts"
import { AuditAction } from "../domain/AuditEntry.ts"
import { withClient } from "./Client.ts"
import { decode } from "./Fields.ts"
import { days, type PageOf, present } from "./Page.ts"
import { type Answer, both, type Column, instant, list as joined, table } from "./Print.ts"
import { Target } from "./Target.ts"

const columns: ReadonlyArray<Column<AuditEntryView>> = [
  ["at", ({ at }) => instant(at)],
  ["actor", ({ actor }) => actor.name],
  ["from", ({ ip }) => ip],
  ["action", ({ action }) => action],
  ["target", ({ target }) => target],
  ["changed", ({ after, before }) => joined(Object.keys((before && after) ?? {}), "-")]
]

/** The most entries that one answer has. */
const pageMax = 250

/** Prints entries page by page: as a table, or each as a line of JSON, which needs no memory. */
const list = Command.make(
  "list",
  {
    action: Flag.Literals("action", AuditAction.literals).pipe(
      Flag.withDescription("What was done"),
      Flag.optional
    ),
    target: Flag.String("target").pipe(
      Flag.withDescription("To what, by id; an event type by its name"),
      Flag.optional
    ),
    actor: Flag.String("actor").pipe(
      Flag.withDescription("By which key, by id; operator: by whoever worked on the database"),
      Flag.optional
    ),
    days: days("In the last so many days"),
    limit: Flag.Int("limit").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
      Flag.withDescription("How many at most; in a table 20 when absent, as JSON all of them"),
      Flag.optional
    )
  },
  ({ actor, days, limit, ...input }) =>
    withClient(({ audit }) =>
      Effect.gen(function* () {
        const { output } = yield* Target
        const { AuditActor } = yield* Effect.promise(() => import("../api/AuditApi.ts"))
        const now = yield* Clock.currentTimeMillis
        const query = {
          ...present({ ...input, after: Option.map(days, (days) => now - days * 86_400_000) }),
          ...(Option.isSome(actor) ? { actor: yield* decode(AuditActor)(actor.value) } : {})
        }
        const rows: Array<AuditEntryView> = []
        let left = Option.getOrElse(limit, () => (output === "json" ? Infinity : 20))
        let cursor: string | null = null
        do {
          const [page, response]: Answer<PageOf<AuditEntryView>> = yield* audit.list({
            query: {
              ...query,
              limit: Math.min(left, pageMax),
              ...(cursor === null ? {} : { cursor })
            },
            ...both
          })
          left -= page.data.length
          cursor = page.nextCursor
          if (output === "table") rows.push(...page.data)
          else {
            const { data }: { data: ReadonlyArray<unknown> } = JSON.parse(yield* response.text)
            for (const entry of data) yield* Console.log(JSON.stringify(entry))
          }
        } while (cursor !== null && left > 0)
        if (output === "json") return
        yield* table(columns, rows)
        if (cursor !== null) yield* Console.log("… and more: raise --limit")
      })
    )
).pipe(Command.withDescription("List who changed what, newest first"), Command.withAlias("ls"))

/** Holds the words about the audit trail. */
export const audit = Command.make("audit").pipe(
  Command.withDescription("The audit trail: who changed what, when, from where"),
  Command.withSubcommands([list])
)
