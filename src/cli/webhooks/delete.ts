/**
 * `posthaste webhooks delete`.
 */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { withClient } from "../Client.ts"
import { confirmed, yes } from "../Confirm.ts"
import { webhook } from "./Ref.ts"

/** Removes a webhook; what was still owed to it is cancelled. */
export const remove = Command.make("delete", { webhook, yes }, ({ webhook, yes }) =>
  withClient(({ webhooks }) =>
    Effect.gen(function* () {
      const { id, url } = yield* webhooks.get({ params: { id: webhook } })
      yield* confirmed(yes, `Delete ${id} (${url}) and cancel what is owed to it?`)
      yield* webhooks.delete({ params: { id } })
      yield* Console.log(`deleted ${id}`)
    })
  )
).pipe(Command.withDescription("Remove a webhook; what is owed to it is cancelled"))
