/**
 * Lets handlers know who calls, and the stores in whose name they are changed.
 */
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import { Caller } from "../api/Authorization.ts"
import type { Scope } from "../domain/Tenant.ts"
import { Acting } from "../store/Acting.ts"
import { RequestId } from "./RequestId.ts"

/** Runs what needs a scope in a caller's name. What may only publish or read changes nothing. */
export const inTheNameOf = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  caller: Caller["Service"],
  scope: Scope
) => {
  const called = Effect.provideService(effect, Caller, caller)
  return scope === "publish" || scope === "read"
    ? called
    : Effect.gen(function* () {
        const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
        return yield* Effect.provideService(called, Acting, {
          actor: caller.actor,
          ip: Option.getOrNull(remoteAddress),
          requestId: yield* RequestId
        })
      })
}
