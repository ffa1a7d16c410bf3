/** How long a publish takes, and how long until the receiver has it. */
import { type Cell, loads, losses, open, warmUp } from "../rig/Cell.ts"
import { measureDirectLatency } from "../rig/Reference.ts"
import { percentile } from "../rig/Stats.ts"

/** Publishes at two steady rates and reads latencies from the instants that were due. */
export const latency: Cell = {
  name: "latency",
  asks: "How long does a publish take at 2,000/s, and how long until the receiver has it at 1,000/s?",
  run: async (bench) => {
    const seconds = bench.options.seconds ?? 6
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      const direct = await measureDirectLatency(rig, 1_000)
      await rig.webhook(0, open(bench.options.concurrency))
      await warmUp(rig)
      const slow = await rig.load({ rate: 1_000, seconds })
      const fast = await bench.watch(rig, () => rig.load({ rate: 2_000, seconds }))
      const from = (name: string, value: number) => ({ reference: { name, value } })
      return {
        figures: [
          {
            name: "publish p99 at 2,000/s, ms",
            value: percentile(fast.publishLatency, 99),
            target: { atMost: 20 },
            ...from("straight", direct.answerP99)
          },
          {
            name: "publish p50 at 2,000/s, ms",
            value: percentile(fast.publishLatency, 50),
            ...from("straight", direct.answerP50)
          },
          {
            name: "publish to receive p50 at 1,000/s, ms",
            value: percentile(slow.deliveryLatency, 50),
            target: { atMost: 5 },
            ...from("straight", direct.arrivalP50)
          },
          {
            name: "publish to receive p99 at 1,000/s, ms",
            value: percentile(slow.deliveryLatency, 99),
            ...from("straight", direct.arrivalP99)
          },
          ...losses(fast)
        ],
        details: [
          loads([
            ["1,000/s", slow],
            ["2,000/s", fast]
          ])
        ]
      }
    })
  }
}
