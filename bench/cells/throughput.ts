/** How many messages a second, end to end and durable, for one receiver. */
import { type Bench, type Cell, costs, loads, open, type Outcome, warmUp } from "../rig/Cell.ts"
import type { Load } from "../rig/Load.ts"
import { measureDirect, measureInserts } from "../rig/Reference.ts"
import { percentile } from "../rig/Stats.ts"

const rates = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000]

/** Ramps up to the ceiling, then publishes as fast as it is answered. */
export const throughput: Cell = {
  name: "throughput",
  asks: "How many messages of 1 KB a second, each committed before its 202, reach one receiver?",
  run: async (bench: Bench): Promise<Outcome> => {
    const { concurrency, connections, seconds } = bench.options
    const ground = await bench.ground()
    return bench.withRig({ ground }, async (rig) => {
      const direct = await measureDirect(rig, { connections })
      const inserts = await measureInserts(ground)
      await rig.webhook(0, open(concurrency))
      await warmUp(rig)
      const steps: Array<readonly [string, Load]> = []
      let sustained = 0
      for (const rate of rates) {
        const step = await rig.load({ rate, seconds: Math.max(2, (seconds ?? 4) / 2) })
        steps.push([`${rate}/s`, step])
        if (!holds(step, rate)) break
        sustained = rate
      }
      const saturated = await bench.watch(rig, () =>
        rig.load({ rate: null, seconds: seconds ?? 5, connections })
      )
      steps.push([`${connections} connections, no pause`, saturated])
      return {
        figures: [
          {
            name: "delivered per second at saturation",
            value: saturated.deliveredPerSecond,
            target: { atLeast: 5_000 },
            reference: { name: "straight to the receiver", value: direct.requestsPerSecond }
          },
          {
            name: "the same, beside raw inserts",
            value: saturated.deliveredPerSecond,
            reference: { name: "rows/s", value: inserts.rowsPerSecond }
          },
          { name: "highest rate that held", value: sustained, target: { atLeast: 5_000 } },
          { name: "published per second at saturation", value: saturated.publishedPerSecond },
          ...costs(saturated, inserts).map((figure) =>
            figure.name.startsWith("WAL") ? { ...figure, target: { atMost: 2.4 } } : figure
          )
        ],
        details: [
          loads(steps),
          `  harness alone: publisher ${direct.publisherUs.toFixed(1)} us, ` +
            `receiver ${direct.receiverUs.toFixed(1)} us of CPU per request`
        ]
      }
    })
  }
}

/** Tells whether a rate was kept: nothing refused, deliveries keep pace, publishing stays quick. */
const holds = (load: Load, rate: number): boolean =>
  load.refused === 0 &&
  load.deliveredPerSecond >= 0.95 * rate &&
  percentile(load.publishLatency, 99) < 250
