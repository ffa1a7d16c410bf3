/**
 * Judges a URL before anything is written that would be sent to it.
 */
import { Effect, Result } from "effect"
import { UrlNotAllowed } from "../domain/Webhook.ts"
import type { AddressGuard } from "./AddressGuard.ts"

/** How long a name may take to resolve. */
const resolvesWithin = "1 second"

/**
 * Refuses a URL that no request may go to, naming where it stood. A name that leads nowhere, or not
 * yet, is no reason to refuse it: each attempt asks again.
 */
export const judgeUrl = Effect.fnUntraced(function* (
  guard: AddressGuard["Service"],
  text: string,
  pointer: string
) {
  const refuse = (message: string) =>
    new UrlNotAllowed({ detail: message, errors: [{ pointer, message }] })
  const judged = guard.url(text)
  if (Result.isFailure(judged)) return yield* refuse(judged.failure.message)
  yield* guard.lookup(judged.success).pipe(
    Effect.timeoutOption(resolvesWithin),
    Effect.catch((outcome) => (outcome._tag === "Refused" ? refuse(outcome.detail) : Effect.void))
  )
})
