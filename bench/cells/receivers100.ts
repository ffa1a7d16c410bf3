/** Whether many receivers cost more than one. */
import { type Cell, costs, loads, warmUp } from "../rig/Cell.ts"
import { eventType } from "../rig/Body.ts"
import { measureDirect } from "../rig/Reference.ts"

const count = 100

/** Spreads messages over 100 receivers that each want a type of their own. */
export const receivers100: Cell = {
  name: "receivers100",
  asks: "How many messages a second when they go to 100 receivers in turn?",
  run: async (bench) => {
    const { connections, seconds } = bench.options
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      const direct = await measureDirect(rig, { connections })
      for (let i = 0; i < count; i++) await rig.webhook(i, { eventTypes: [eventType(i)] })
      await warmUp(rig, { types: count })
      const load = await bench.watch(rig, () =>
        rig.load({ rate: null, seconds: seconds ?? 5, connections, types: count })
      )
      return {
        figures: [
          {
            name: "delivered per second",
            value: load.deliveredPerSecond,
            target: { atLeast: 5_000 },
            reference: { name: "straight to the receiver", value: direct.requestsPerSecond }
          },
          ...costs(load)
        ],
        details: [loads([[`${count} receivers`, load]])]
      }
    })
  }
}
