/**
 * Runs a word of the command line against the API. The client, and all that it stands on, is loaded
 * only then.
 */
import * as Effect from "effect/Effect"
import type { ApiClient } from "../api/ApiClient.ts"

/** Connects, uses the client, and lets go of what the connection holds. */
export const withClient = <A, E, R>(use: (client: ApiClient) => Effect.Effect<A, E, R>) =>
  Effect.promise(() => import("./Connection.ts")).pipe(
    Effect.flatMap(({ connect }) => connect),
    Effect.flatMap(use),
    Effect.scoped
  )

/** The same over HTTP only, for what a database at rest has nothing of. */
export const withService = <A, E, R>(use: (client: ApiClient) => Effect.Effect<A, E, R>) =>
  Effect.promise(() => import("./Connection.ts")).pipe(
    Effect.flatMap(({ connectToService }) => connectToService),
    Effect.flatMap(use),
    Effect.scoped
  )
