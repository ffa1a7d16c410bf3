/** What large bodies cost. */
import { type Cell, costs, loads, open, warmUp } from "../rig/Cell.ts"
import { measureDirect, measureInserts } from "../rig/Reference.ts"

const bytes = 16_000

/** Publishes bodies of 16 KB as fast as they are answered. */
export const payload16k: Cell = {
  name: "payload16k",
  asks: "How many messages of 16 KB a second reach one receiver?",
  run: async (bench) => {
    const { concurrency, connections, seconds } = bench.options
    const ground = await bench.ground()
    return bench.withRig({ ground }, async (rig) => {
      const direct = await measureDirect(rig, { connections, bytes })
      const inserts = await measureInserts(ground, bytes)
      await rig.webhook(0, open(concurrency))
      await warmUp(rig)
      const load = await bench.watch(rig, () =>
        rig.load({ rate: null, seconds: seconds ?? 5, connections, bytes })
      )
      return {
        figures: [
          {
            name: "delivered per second",
            value: load.deliveredPerSecond,
            reference: { name: "straight to the receiver", value: direct.requestsPerSecond }
          },
          {
            name: "the same, beside raw inserts",
            value: load.deliveredPerSecond,
            reference: { name: "rows/s", value: inserts.rowsPerSecond }
          },
          // The target is for bodies of 1 KB.
          ...costs(load, inserts).map(({ target, ...figure }) =>
            target === undefined || figure.name.startsWith("CPU") ? figure : { ...figure, target }
          )
        ],
        details: [loads([["16 KB", load]])]
      }
    })
  }
}
