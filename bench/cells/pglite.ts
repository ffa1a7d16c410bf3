/** What the embedded database can do. */
import { type Cell, cpuSeconds, loads, losses, open } from "../rig/Cell.ts"
import * as Cpu from "../rig/Cpu.ts"
import { measureDirect } from "../rig/Reference.ts"
import { percentile } from "../rig/Stats.ts"

/** Publishes to a service with the embedded database as fast as it answers, and at a steady rate. */
export const pglite: Cell = {
  name: "pglite",
  asks: "How many messages a second reach one receiver when the database is the embedded one?",
  run: async (bench) => {
    const { concurrency, connections, seconds } = bench.options
    return bench.withRig({ ground: null }, async (rig) => {
      const direct = await measureDirect(rig, { connections })
      await rig.webhook(0, open(concurrency))
      await rig.load({ rate: 500, seconds: 3 })
      const steady = await rig.load({ rate: 500, seconds: (seconds ?? 5) / 2 })
      const saturated = await bench.watch(rig, () =>
        rig.load({ rate: null, seconds: seconds ?? 5, connections })
      )
      return {
        figures: [
          {
            name: "delivered per second at saturation",
            value: saturated.deliveredPerSecond,
            target: { atLeast: 1_000 },
            reference: { name: "straight to the receiver", value: direct.requestsPerSecond }
          },
          { name: "CPU, s per 1,000 deliveries", value: cpuSeconds(saturated) },
          {
            name: "publish p99 at 500/s, ms",
            value: percentile(steady.publishLatency, 99)
          },
          {
            name: "publish to receive p50 at 500/s, ms",
            value: percentile(steady.deliveryLatency, 50)
          },
          { name: "memory of the service, MB", value: Cpu.memoryMb(rig.service.pid()).now },
          ...losses(saturated)
        ],
        details: [
          loads([
            ["500/s", steady],
            [`${connections} connections, no pause`, saturated]
          ])
        ]
      }
    })
  }
}
