/**
 * `posthaste webhooks update`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { withClient } from "../Client.ts"
import { bodyOf, decode, fieldFlags } from "../Fields.ts"
import { answer, both } from "../Print.ts"
import { webhook } from "./Ref.ts"
import { showWebhook } from "./Table.ts"

/** Changes what the flags name; everything else stays. */
export const update = Command.make(
  "update",
  {
    webhook,
    url: Flag.String("to").pipe(Flag.withDescription("Its new URL"), Flag.optional),
    ...fieldFlags
  },
  ({ url, webhook, ...fields }) =>
    withClient(({ webhooks }) =>
      Effect.gen(function* () {
        const { WebhookPatch } = yield* Effect.promise(() => import("../../api/WebhookInputs.ts"))
        const payload = yield* decode(WebhookPatch)(
          bodyOf(fields, Option.match(url, { onNone: () => ({}), onSome: (url) => ({ url }) }))
        )
        const changed = yield* webhooks.patch({ params: { id: webhook }, payload, ...both })
        yield* answer(changed, showWebhook)
      })
    )
).pipe(Command.withDescription("Change fields of a webhook"))
