#!/usr/bin/env node
/**
 * The process: the only file that runs an effect.
 *
 * A first SIGTERM or SIGINT ends it in order, within `POSTHASTE_SHUTDOWN_TIMEOUT`; a second SIGINT
 * ends it at once. `cli/Report` lists the exit codes.
 */
import { enableCompileCache } from "node:module"
import { setFlagsFromString } from "node:v8"

// V8 learns where long-lived objects are made and makes them in the old generation at once. Here it
// learns wrong: most requests end young, and each one that does not keeps others alive until the next
// full collection. Without it a delivery costs a fifth less.
setFlagsFromString("--no-allocation-site-pretenuring")

// V8 lets the old generation grow by a few tens of megabytes before it collects it whole, which stops
// everything for 10 to 20 ms: under load every two seconds, so that one publish in a hundred met it. It
// may triple instead.
setFlagsFromString("--heap-growing-percent=200")

// Before anything else is loaded: the next start finds it compiled.
enableCompileCache()

// Names are resolved on these threads, each of which a slow resolver holds for seconds. Said before the
// first of them starts: later nobody listens.
process.env["UV_THREADPOOL_SIZE"] ??= "64"

const [NodeRuntime, NodeServices, Duration, Effect, Runtime, { run }, { report }] =
  await Promise.all([
    import("@effect/platform-node/NodeRuntime"),
    import("@effect/platform-node/NodeServices"),
    import("effect/Duration"),
    import("effect/Effect"),
    import("effect/Runtime"),
    import("./cli/Cli.ts"),
    import("./cli/Report.ts")
  ])

/** Ends the process when ending in order takes too long: finalizers alone may wait for ever. */
const onSignal = async () => {
  process.once("SIGINT", () => process.exit(130))
  const { load } = await import("./Settings.ts")
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
process.once("SIGTERM", onSignal).once("SIGINT", onSignal)

run.pipe(
  // What was expected to go wrong is worded; a defect is shown with all that is known of it.
  Effect.catch((error) =>
    Effect.sync(() => {
      const { exitCode, text } = report(error)
      if (text !== null) console.error(text)
      process.exitCode = exitCode
    })
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    teardown: (exit, onExit) =>
      Runtime.defaultTeardown(exit, (code) =>
        onExit(code === 130 ? 0 : code || Number(process.exitCode ?? 0))
      )
  })
)
