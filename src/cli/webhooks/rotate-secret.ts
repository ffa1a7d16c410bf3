/**
 * `posthaste webhooks rotate-secret`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { withClient } from "../Client.ts"
import { decode } from "../Fields.ts"
import { answer, both, record } from "../Print.ts"
import { webhook } from "./Ref.ts"

/** Replaces the secret of a webhook; the former one signs on for a while. */
export const rotateSecret = Command.make(
  "rotate-secret",
  {
    webhook,
    secret: Flag.Redacted("secret").pipe(
      Flag.withDescription("The new one; generated when absent"),
      Flag.optional
    ),
    gracePeriodSeconds: Flag.Int("grace-seconds").pipe(
      Flag.withDescription("How long the former secret signs on; a day when absent"),
      Flag.optional
    )
  },
  ({ gracePeriodSeconds, secret, webhook }) =>
    withClient(({ webhooks }) =>
      Effect.gen(function* () {
        const { RotateInput } = yield* Effect.promise(() => import("../../api/WebhookInputs.ts"))
        const payload = yield* decode(RotateInput)({
          ...(Option.isSome(secret) ? { secret: Redacted.value(secret.value) } : {}),
          ...(Option.isSome(gracePeriodSeconds)
            ? { gracePeriodSeconds: gracePeriodSeconds.value }
            : {})
        })
        const rotated = yield* webhooks.rotateSecret({ params: { id: webhook }, payload, ...both })
        yield* answer(rotated, ({ publicKey, secret }) =>
          record({ secret, "public key": publicKey })
        )
      })
    )
).pipe(Command.withDescription("Replace the secret; the former one signs on for a while"))
