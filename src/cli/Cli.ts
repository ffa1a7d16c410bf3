/**
 * The words of the command line: one file each, put together here.
 */
import * as Command from "effect/cli/Command"
import { version } from "../domain/Version.ts"
import { listen } from "./listen.ts"
import { migrate } from "./migrate.ts"
import { secrets } from "./secrets.ts"
import { serve } from "./serve.ts"

const posthaste = Command.make("posthaste").pipe(
  Command.withDescription("Webhook delivery: signed, retried, isolated per receiver, written down"),
  Command.withSubcommands([serve, migrate, secrets, listen])
)

/** Runs the command line on the arguments of the process. */
export const run = Command.run(posthaste, { version })
