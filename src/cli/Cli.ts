/**
 * The words of the command line: one file each, put together here.
 */
import * as Command from "effect/cli/Command"
import * as Layer from "effect/Layer"
import { version } from "../domain/Version.ts"
import { audit } from "./audit.ts"
import { deliveries } from "./deliveries.ts"
import { eventTypes } from "./event-types.ts"
import { hold } from "./hold.ts"
import { keys } from "./keys.ts"
import { listen } from "./listen.ts"
import { migrate } from "./migrate.ts"
import { process } from "./process.ts"
import { redeliveries } from "./redeliveries.ts"
import { release } from "./release.ts"
import { secrets } from "./secrets.ts"
import { send } from "./send.ts"
import { serve } from "./serve.ts"
import { stats } from "./stats.ts"
import { Target, targetFlags } from "./Target.ts"
import { tenants } from "./tenants.ts"
import { webhooks } from "./webhooks.ts"

const posthaste = Command.make("posthaste").pipe(
  Command.withSharedFlags(targetFlags),
  Command.withDescription("Webhook delivery: signed, retried, isolated per receiver, written down"),
  Command.withSubcommands([
    serve,
    process,
    send,
    listen,
    webhooks,
    deliveries,
    redeliveries,
    eventTypes,
    stats,
    tenants,
    keys,
    audit,
    hold,
    release,
    secrets,
    migrate
  ]),
  Command.provide((target) => Layer.succeed(Target, target))
)

/** Runs the command line on the arguments of the process. */
export const run = Command.run(posthaste, { version })
