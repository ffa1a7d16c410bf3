/**
 * `posthaste serve`: runs the service until it is told to stop.
 */
import * as Command from "effect/cli/Command"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Runs the service with the settings of the environment. */
export const serve = Command.make("serve", {}, () =>
  Effect.gen(function* () {
    const { load } = yield* Effect.promise(() => import("../Settings.ts"))
    const settings = yield* load
    // Loaded only here: the other words start without the engine.
    const Server = yield* Effect.promise(() => import("../Server.ts"))
    const { Ownership } = yield* Effect.promise(() => import("../store/Ownership.ts"))
    const running = yield* Layer.build(Server.layer(settings))
    return yield* Context.get(running, Ownership).fenced
  }).pipe(Effect.scoped)
).pipe(Command.withDescription("Run the service"))
