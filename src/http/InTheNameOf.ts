/**
 * Lets the stores know in whose name they are changed.
 */
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import type { Actor } from "../domain/AuditEntry.ts"
import type { Scope } from "../domain/Tenant.ts"
import { Acting } from "../store/Acting.ts"
import { RequestId } from "./RequestId.ts"

/** Runs what needs a scope in an actor's name. What may only publish or read changes nothing. */
export const inTheNameOf = (actor: Actor, scope: Scope) =>
  scope === "publish" || scope === "read"
    ? <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => effect
    : <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.gen(function* () {
          const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
          return yield* Effect.provideService(effect, Acting, {
            actor,
            ip: Option.getOrNull(remoteAddress),
            requestId: yield* RequestId
          })
        })
