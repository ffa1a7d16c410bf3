/**
 * `posthaste deliveries list`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { withClient } from "../Client.ts"
import { days, limit, page, present } from "../Page.ts"
import { both } from "../Print.ts"
import { columns } from "./Table.ts"

const states = ["pending", "waiting", "held", "delivered", "exhausted", "cancelled"] as const

/** Lists deliveries, newest message first. */
export const list = Command.make(
  "list",
  {
    succeeded: Flag.Literals("succeeded", ["true", "false"]).pipe(
      Flag.withDescription("true: what was delivered; false: what was given up"),
      Flag.optional
    ),
    status: Flag.Literals("status", states).pipe(Flag.optional),
    webhook: Flag.String("webhook").pipe(
      Flag.withDescription("Of one webhook, by id or uid"),
      Flag.optional
    ),
    message: Flag.String("message").pipe(
      Flag.withDescription("Of one message, by id or uid"),
      Flag.optional
    ),
    type: Flag.String("type").pipe(Flag.withDescription("Of one event type"), Flag.optional),
    days: days("Of messages of the last so many days"),
    limit: limit(20)
  },
  ({ days, status, succeeded, ...input }) =>
    withClient(({ deliveries }) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const outcome = Option.map(succeeded, (is) =>
          is === "true" ? ("delivered" as const) : ("exhausted" as const)
        )
        const query = present({
          ...input,
          status: Option.orElse(status, () => outcome),
          after: Option.map(days, (days) => now - days * 86_400_000)
        })
        yield* page(deliveries.list({ query, ...both }), columns)
      })
    )
).pipe(Command.withDescription("List deliveries, newest message first"), Command.withAlias("ls"))
