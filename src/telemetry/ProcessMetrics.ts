/**
 * Measures the process itself: memory, CPU, and how late the event loop is.
 *
 * Everything is read when somebody asks; between readings only the delay of the event loop is
 * sampled, by Node, every 20 milliseconds.
 */
import { type Context, Effect, type Scope } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Metrics from "./Metrics.ts"

/** Starts measuring; the effect that it answers reads everything into the metrics. */
export const make: Effect.Effect<Effect.Effect<void>, never, Scope.Scope> = Effect.gen(
  function* () {
    const delay = monitorEventLoopDelay({ resolution: samplingMs })
    yield* Effect.acquireRelease(
      Effect.sync(() => delay.enable()),
      () => Effect.sync(() => delay.disable())
    )
    let cpuBefore = 0
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync(() => {
        // Node measures from one sample to the next, which come no sooner than they are asked for.
        const late = (ns: number) => Math.max(0, ns / 1e9 - samplingMs / 1e3)
        const worst = delay.count === 0 ? 0 : late(delay.max)
        Metrics.loopDelay["0.5"].updateUnsafe(late(delay.percentile(50)), context)
        Metrics.loopDelay["0.99"].updateUnsafe(late(delay.percentile(99)), context)
        Metrics.loopDelay["1"].updateUnsafe(worst, context)
        delay.reset()
        const { heapUsed, rss } = process.memoryUsage()
        Metrics.heapBytes.updateUnsafe(heapUsed, context)
        Metrics.residentBytes.updateUnsafe(rss, context)
        const { system, user } = process.cpuUsage()
        const cpu = (system + user) / 1e6
        Metrics.cpuSeconds.updateUnsafe(cpu - cpuBefore, context)
        cpuBefore = cpu
      })
    )
  }
)

const samplingMs = 20
