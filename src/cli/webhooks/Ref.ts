/**
 * The webhook that a word is about.
 */
import * as Argument from "effect/cli/Argument"

/** Names a webhook by its id or uid. */
export const webhook = Argument.String("webhook").pipe(Argument.withDescription("Its id or uid"))
