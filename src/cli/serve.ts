/**
 * `posthaste serve`: runs the service until it is told to stop.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Layer from "effect/Layer"
import { load } from "../Settings.ts"

/** Runs the service with the settings of the environment. */
export const serve = Command.make("serve", {}, () =>
  Effect.gen(function* () {
    const settings = yield* load
    // Loaded only here: the other words start without the engine.
    const Server = yield* Effect.promise(() => import("../Server.ts"))
    return yield* Layer.launch(Server.layer(settings))
  })
).pipe(Command.withDescription("Run the service"))
