/**
 * `posthaste webhooks pause`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { withClient } from "../Client.ts"
import { answer, both } from "../Print.ts"
import { webhook } from "./Ref.ts"
import { showWebhook } from "./Table.ts"

/** Holds what is owed to a webhook until it is resumed. */
export const pause = Command.make("pause", { webhook }, ({ webhook }) =>
  withClient(({ webhooks }) =>
    Effect.flatMap(webhooks.pause({ params: { id: webhook }, ...both }), (found) =>
      answer(found, showWebhook)
    )
  )
).pipe(Command.withDescription("Hold all deliveries of a webhook"))
