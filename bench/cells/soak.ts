/** Whether it stays as it is for as long as one cares to look. */
import { type Cell, costsAtRate, loads, open, warmUp } from "../rig/Cell.ts"
import * as Cpu from "../rig/Cpu.ts"
import { monotonicMs } from "../rig/MonotonicClock.ts"
import { percentile, slope } from "../rig/Stats.ts"

/** Publishes at about half of the ceiling and watches memory and latency. */
export const soak: Cell = {
  name: "soak",
  asks: "Do memory and latency stay level at half of the ceiling? Give --seconds and --rate.",
  run: async (bench) => {
    const rate = bench.options.rate ?? 2_500
    const seconds = bench.options.seconds ?? 25
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      await rig.webhook(0, open(bench.options.concurrency))
      await warmUp(rig)
      const memory: Array<readonly [minutes: number, mb: number]> = []
      const beganAt = monotonicMs()
      const look = () => {
        memory.push([(monotonicMs() - beganAt) / 60_000, Cpu.memoryMb(rig.service.pid()).now])
      }
      const looking = setInterval(look, 1_000)
      const load = await bench.watch(rig, () => rig.load({ rate, seconds }))
      clearInterval(looking)
      look()
      return {
        figures: [
          { name: "messages", value: load.acknowledged },
          {
            name: "publish p99, ms",
            value: percentile(load.publishLatency, 99)
          },
          {
            name: "publish to receive p99, ms",
            value: percentile(load.deliveryLatency, 99)
          },
          { name: "publish to receive, worst, ms", value: percentile(load.deliveryLatency, 100) },
          { name: "memory of the service at the end, MB", value: memory.at(-1)?.[1] ?? 0 },
          // Its first half is growth to working size, of code and of heap.
          {
            name: "rise of memory in the second half, MB per minute",
            value: slope(memory.slice(Math.floor(memory.length / 2)))
          },
          ...costsAtRate(load)
        ],
        details: [loads([[`${rate}/s`, load]])]
      }
    })
  }
}
