/**
 * `posthaste hold`.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HoldView } from "../api/HoldApi.ts"
import { withClient } from "./Client.ts"
import { answer, both, instant, record } from "./Print.ts"

/** Prints whether sending is held. */
export const showHold = ({ held, reason, since }: HoldView) =>
  record({ held, since: since === null ? null : instant(since), reason })

/** Stops all sending until it is released; messages are accepted as ever. */
export const hold = Command.make(
  "hold",
  {
    reason: Argument.String("reason").pipe(
      Argument.withDescription("Why, for whoever finds it held"),
      Argument.optional
    )
  },
  ({ reason }) =>
    withClient(({ hold }) =>
      Effect.flatMap(
        hold.hold({
          payload: Option.match(reason, {
            onNone: () => undefined,
            onSome: (reason) => ({ reason })
          }),
          ...both
        }),
        (now) => answer(now, showHold)
      )
    )
).pipe(Command.withDescription("Stop all sending, and go on accepting"))
