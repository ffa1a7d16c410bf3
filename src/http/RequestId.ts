/**
 * The id of a request, by which its answer, what is logged of it and what it changed are found.
 */
import { Context } from "effect"

/** The id of the request that is being answered; `Edge` chooses it. */
export const RequestId = Context.Reference<string | null>("posthaste/http/RequestId", {
  defaultValue: () => null
})
