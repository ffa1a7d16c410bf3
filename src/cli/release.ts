/**
 * `posthaste release`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { withClient } from "./Client.ts"
import { showHold } from "./hold.ts"
import { answer, both } from "./Print.ts"

/** Lets sending go on. */
export const release = Command.make("release", {}, () =>
  withClient(({ hold }) =>
    Effect.flatMap(hold.release({ ...both }), (now) => answer(now, showHold))
  )
).pipe(Command.withDescription("Let sending go on after a hold"))
