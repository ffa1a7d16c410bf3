/** What retries cost that wait for later. */
import { type Bench, type Cell, loads, losses, open, warmUp } from "../rig/Cell.ts"
import { eventType } from "../rig/Body.ts"
import * as Cpu from "../rig/Cpu.ts"
import { seedWaiting } from "../rig/Seed.ts"
import { percentile } from "../rig/Stats.ts"

const waiting = 1_000_000
const webhooks = 100

/** Starts on a database with a million waiting retries, and serves fresh traffic beside them. */
export const million: Cell = {
  name: "million",
  asks: "What do a million retries that wait until tomorrow cost in memory, start and fresh traffic?",
  run: async (bench) => {
    const rate = bench.options.rate ?? 1_000
    const empty = await measure(bench, 0, rate)
    const full = await measure(bench, waiting, rate)
    const without = (value: number) => ({ reference: { name: "with none waiting", value } })
    return {
      figures: [
        {
          name: "memory of the service after its start, MB",
          value: full.fresh.now,
          target: { atMost: 300 },
          ...without(empty.fresh.now)
        },
        {
          name: "memory of the service after traffic, MB",
          value: full.memory.now,
          target: { atMost: 300 },
          ...without(empty.memory.now)
        },
        {
          name: "start to ready, s",
          value: full.startMs / 1000,
          target: { atMost: 5 },
          ...without(empty.startMs / 1000)
        },
        {
          name: `fresh publish to receive p99 at ${rate}/s, ms`,
          value: percentile(full.load.deliveryLatency, 99),
          ...without(percentile(empty.load.deliveryLatency, 99))
        },
        ...losses(full.load)
      ],
      details: [
        loads([
          ["none waiting", empty.load],
          ["a million waiting", full.load]
        ])
      ]
    }
  }
}

const measure = async (bench: Bench, count: number, rate: number) =>
  bench.withRig({ ground: await bench.ground() }, async (rig) => {
    // Fresh messages go to the first webhook, which has its share of the waiting ones too.
    await rig.webhook(0, { ...open(64), eventTypes: [eventType(0)] })
    for (let i = 1; i < webhooks; i++) await rig.webhook(i, { eventTypes: ["bench.waiting"] })
    await rig.service.end("SIGTERM")
    if (rig.connection !== null && count > 0) await seedWaiting(rig.connection, count)
    const startMs = await rig.service.start()
    const fresh = Cpu.memoryMb(rig.service.pid())
    await warmUp(rig)
    const load = await bench.watch(rig, () =>
      rig.load({ rate, seconds: bench.options.seconds ?? 5 })
    )
    return { startMs, fresh, memory: Cpu.memoryMb(rig.service.pid()), load }
  })
