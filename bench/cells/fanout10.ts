/** What a delivery costs when a message goes to many. */
import { type Cell, cpuSeconds, loads, losses, open, warmUp } from "../rig/Cell.ts"
import { eventType } from "../rig/Body.ts"

const copies = 10

/** Publishes to one receiver, then the same to ten. */
export const fanout10: Cell = {
  name: "fanout10",
  asks: "What does a delivery cost when each message goes to ten receivers?",
  run: async (bench) => {
    const { concurrency, connections, seconds } = bench.options
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      await rig.webhook(0, { eventTypes: [eventType(0)], ...open(concurrency) })
      await warmUp(rig)
      const lasts = seconds ?? 5
      const one = await rig.load({ rate: null, seconds: lasts, connections })
      for (let i = 1; i < copies; i++) await rig.webhook(i, open(concurrency))
      await warmUp(rig, { copies })
      const ten = await bench.watch(rig, () =>
        rig.load({ rate: null, seconds: lasts, connections, copies })
      )
      return {
        figures: [
          {
            name: "CPU per delivery, % of that at fan-out 1",
            value: (cpuSeconds(ten) / cpuSeconds(one)) * 100,
            target: { atMost: 60 }
          },
          {
            name: "deliveries per second",
            value: ten.deliveredPerSecond,
            reference: { name: "at fan-out 1", value: one.deliveredPerSecond }
          },
          {
            name: "CPU, service + Postgres, s per 1,000 deliveries",
            value: cpuSeconds(ten),
            reference: { name: "at fan-out 1", value: cpuSeconds(one) }
          },
          {
            name: "SQL statements per delivery",
            value: ten.spent.statements / ten.deliveries,
            target: { atMost: 0.1 },
            reference: { name: "at fan-out 1", value: one.spent.statements / one.deliveries }
          },
          {
            name: "WAL per delivery, KB",
            value: ten.spent.walBytes / ten.deliveries / 1000,
            reference: { name: "at fan-out 1", value: one.spent.walBytes / one.deliveries / 1000 }
          },
          ...losses(ten)
        ],
        details: [
          loads([
            ["fan-out 1", one],
            ["fan-out 10", ten]
          ])
        ]
      }
    })
  }
}
