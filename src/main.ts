#!/usr/bin/env node
/**
 * The process: the only file that runs an effect.
 *
 * A first SIGTERM or SIGINT ends it in order, within `POSTHASTE_SHUTDOWN_TIMEOUT`; a second SIGINT
 * ends it at once. Exit codes: 0 done or stopped in order, 1 failed, 70 did not stop in time, 130
 * interrupted twice.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { run } from "./cli/Cli.ts"
import { load } from "./Settings.ts"

/** Ends the process when ending in order takes too long: finalizers alone may wait for ever. */
const onSignal = () => {
  process.once("SIGINT", () => process.exit(130))
  const timeout = Effect.runSync(
    load.pipe(
      Effect.map((settings) => settings.shutdownTimeout),
      Effect.orElseSucceed(() => Duration.seconds(30))
    )
  )
  setTimeout(() => {
    console.error(`did not stop within ${Duration.format(timeout)}`)
    process.exit(70)
  }, Duration.toMillis(timeout)).unref()
}
// Names are resolved on these threads, each of which a slow resolver holds for seconds. Said before the
// first of them starts: later nobody listens.
process.env["UV_THREADPOOL_SIZE"] ??= "64"

process.once("SIGTERM", onSignal).once("SIGINT", onSignal)

const teardown: Runtime.Teardown = (exit, onExit) =>
  Runtime.defaultTeardown(exit, (code) => onExit(code === 130 ? 0 : code || exitCode()))

const exitCode = () => Number(process.exitCode ?? 0)

run.pipe(
  // What was expected to go wrong is one line; the command line words its own refusals.
  Effect.catch((error) =>
    CliError.isCliError(error)
      ? Effect.fail(error)
      : Effect.sync(() => {
          console.error(error.message)
          process.exitCode = 1
        })
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ teardown })
)
