/**
 * `posthaste webhooks create`.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { withClient } from "../Client.ts"
import { bodyOf, decode, fieldFlags } from "../Fields.ts"
import { answer, both } from "../Print.ts"
import { showWebhook } from "./Table.ts"

/** Registers a webhook and shows its secret, in full and only now. */
export const create = Command.make(
  "create",
  {
    url: Argument.String("url").pipe(Argument.withDescription("Where its messages go")),
    secret: Flag.Redacted("secret").pipe(
      Flag.withDescription("What signs; whsec_… is generated when absent"),
      Flag.optional
    ),
    ...fieldFlags
  },
  ({ secret, url, ...fields }) =>
    withClient(({ webhooks }) =>
      Effect.gen(function* () {
        const { WebhookInput } = yield* Effect.promise(() => import("../../api/WebhookInputs.ts"))
        const payload = yield* decode(WebhookInput)(
          bodyOf(fields, {
            url,
            ...Option.match(secret, { onNone: () => ({}), onSome: (secret) => ({ secret }) })
          })
        )
        const created = yield* webhooks.create({ payload, headers: {}, ...both })
        yield* answer(created, (webhook) =>
          Effect.andThen(showWebhook(webhook), Console.log(`secret  ${webhook.secret}`))
        )
      })
    )
).pipe(Command.withDescription("Register a webhook"))
