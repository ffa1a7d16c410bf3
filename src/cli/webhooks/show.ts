/**
 * `posthaste webhooks show`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { withClient } from "../Client.ts"
import { answer, both } from "../Print.ts"
import { webhook } from "./Ref.ts"
import { showWebhook } from "./Table.ts"

/** Shows one webhook. */
export const show = Command.make("show", { webhook }, ({ webhook }) =>
  withClient(({ webhooks }) =>
    Effect.flatMap(webhooks.get({ params: { id: webhook }, ...both }), (found) =>
      answer(found, showWebhook)
    )
  )
).pipe(Command.withDescription("Show a webhook"))
