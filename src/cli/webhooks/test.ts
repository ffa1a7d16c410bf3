/**
 * `posthaste webhooks test`.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { withClient } from "../Client.ts"
import { decode } from "../Fields.ts"
import { answer, both, record } from "../Print.ts"
import { webhook } from "./Ref.ts"

/** Sends one example to a webhook now and says what came of it. */
export const test = Command.make(
  "test",
  {
    webhook,
    type: Flag.String("type").pipe(
      Flag.withDescription("The event type whose example is sent; posthaste.test when absent"),
      Flag.optional
    )
  },
  ({ type, webhook }) =>
    withClient(({ trials }) =>
      Effect.gen(function* () {
        const { TestInput } = yield* Effect.promise(() => import("../../api/TrialsApi.ts"))
        const payload = Option.isSome(type)
          ? yield* decode(TestInput)({ type: type.value })
          : undefined
        const tested = yield* trials.test({ params: { id: webhook }, payload, ...both })
        yield* answer(tested, (attempt) =>
          record({
            result: attempt.explanation,
            class: attempt.class,
            status: attempt.statusCode,
            "took ms": Math.round(attempt.durationMs),
            error: attempt.error,
            type: attempt.type,
            "webhook-id": attempt.messageId,
            request:
              attempt.request === null ? null : `${attempt.request.method} ${attempt.request.url}`
          })
        )
      })
    )
).pipe(Command.withDescription("Send one example now"))
