/** Whether a forgotten transaction slows the engine down. */
import { type Cell, cpuSeconds, loads, losses, open, warmUp } from "../rig/Cell.ts"
import type { Load } from "../rig/Load.ts"
import { percentile, slope, sorted } from "../rig/Stats.ts"

/** Publishes at a steady rate, as long without as while another session keeps its snapshot open. */
export const heldsnapshot: Cell = {
  name: "heldsnapshot",
  asks: "Does it get slower while some other session's transaction stays open?",
  run: async (bench) => {
    const rate = bench.options.rate ?? 500
    const seconds = bench.options.seconds ?? 20
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      await rig.webhook(0, open(bench.options.concurrency))
      await warmUp(rig)
      const free = await rig.load({ rate, seconds })
      const other = rig.connect()
      await other?.query("begin transaction isolation level repeatable read")
      await other?.query("select count(*) from owed")
      const held = await bench.watch(rig, () => rig.load({ rate, seconds }))
      await other?.query("rollback")
      await other?.close()
      const slices = medians(held, 10)
      const rise = (parts: ReadonlyArray<number>) =>
        slope(parts.map((ms, i) => [((i + 0.5) / parts.length) * (seconds / 60), ms]))
      return {
        figures: [
          {
            name: "arrival p50 of the last tenth, ms",
            value: slices.at(-1) ?? Number.NaN,
            reference: { name: "first tenth", value: slices[0] ?? Number.NaN }
          },
          {
            name: "rise of arrival p50, ms per minute",
            value: rise(slices),
            reference: { name: "without", value: rise(medians(free, 10)) }
          },
          {
            name: "publish to receive p99, ms",
            value: percentile(held.deliveryLatency, 99),
            reference: { name: "without", value: percentile(free.deliveryLatency, 99) }
          },
          {
            name: "CPU, service + Postgres, s per 1,000 deliveries",
            value: cpuSeconds(held),
            reference: { name: "without", value: cpuSeconds(free) }
          },
          ...losses(held)
        ],
        details: [
          loads([
            [`${rate}/s`, free],
            [`${rate}/s, snapshot held`, held]
          ])
        ]
      }
    })
  }
}

/** The median arrival latency of each of `parts` equal parts of a load, in order. */
const medians = (load: Load, parts: number): ReadonlyArray<number> => {
  const { published, received } = load
  const size = Math.ceil(published.sent / parts)
  return Array.from({ length: parts }, (_, part) => {
    const latencies: Array<number> = []
    for (let i = part * size; i < Math.min(published.sent, (part + 1) * size); i++) {
      if (received.times[i]! > 0) latencies.push(received.acceptedAt[i]! - published.dueAt[i]!)
    }
    return percentile(sorted(latencies), 50)
  })
}
