/**
 * Sends a message's own bytes, of whichever content type, as they were stored.
 */
import * as Result from "effect/Result"
import type { Refused } from "../../domain/Attempt.ts"
import type { Method } from "../../domain/Format.ts"
import type { OutgoingMessage } from "../../store/DeliveryQueue.ts"
import { refuse } from "./Content.ts"

/** Answers the stored bytes; refused where the method carries no body. */
export const body = (
  message: OutgoingMessage,
  method: Method
): Result.Result<Uint8Array, Refused> =>
  method === "GET"
    ? refuse("A GET request has no body to carry the message; use the format query.")
    : Result.succeed(message.body)
