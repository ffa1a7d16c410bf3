/**
 * `posthaste webhooks list`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { withClient } from "../Client.ts"
import { limit, page, present } from "../Page.ts"
import { both } from "../Print.ts"
import { columns } from "./Table.ts"

/** Lists the webhooks of the tenant, newest first. */
export const list = Command.make(
  "list",
  {
    status: Flag.Literals("status", ["enabled", "paused", "disabled"]).pipe(Flag.optional),
    q: Flag.String("search").pipe(
      Flag.withDescription("Part of a name, uid or URL"),
      Flag.optional
    ),
    limit: limit(20)
  },
  (input) =>
    withClient(({ webhooks }) => page(webhooks.list({ query: present(input), ...both }), columns))
).pipe(Command.withDescription("List webhooks, newest first"), Command.withAlias("ls"))
