/**
 * `posthaste webhooks resume`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { withClient } from "../Client.ts"
import { answer, both } from "../Print.ts"
import { webhook } from "./Ref.ts"
import { showWebhook } from "./Table.ts"

/** Lets a paused or disabled webhook receive again, one probe first. */
export const resume = Command.make("resume", { webhook }, ({ webhook }) =>
  withClient(({ webhooks }) =>
    Effect.flatMap(webhooks.resume({ params: { id: webhook }, ...both }), (found) =>
      answer(found, showWebhook)
    )
  )
).pipe(Command.withDescription("Deliver again, after a pause or after being disabled"))
