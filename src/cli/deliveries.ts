/**
 * `posthaste deliveries`: what was sent, and sending it again.
 */
import * as Command from "effect/cli/Command"
import { list } from "./deliveries/list.ts"
import { retry } from "./deliveries/retry.ts"
import { tail } from "./deliveries/tail.ts"

/** Holds the words about deliveries. */
export const deliveries = Command.make("deliveries").pipe(
  Command.withDescription("Deliveries: what was sent, when, with which result"),
  Command.withSubcommands([list, retry, tail])
)
