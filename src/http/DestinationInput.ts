/**
 * Reads the one destination that a request gives with a message.
 */
import { Redacted, Result } from "effect"
import type { DestinationInput } from "../api/MessagesApi.ts"
import type { InvalidInput } from "../api/Problems.ts"
import type { Destination } from "../publish/Destinations.ts"
import { invalidAt } from "./RequestProblemsLayer.ts"
import { readSecret } from "./WebhookRules.ts"

/** Reads it; refuses a secret that is none and names where it stands. */
export const destinationOf = (
  { secret, url }: DestinationInput,
  pointer: string
): Result.Result<Destination, InvalidInput> =>
  secret === undefined
    ? Result.succeed({ url, secret: null })
    : readSecret(secret).pipe(
        Result.map((key) => ({ url, secret: Redacted.make(key) })),
        Result.mapError(({ errors: [error] }) => invalidAt(pointer, error?.message ?? ""))
      )
