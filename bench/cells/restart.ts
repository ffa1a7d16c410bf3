/** How long a start takes. */
import { type Bench, type Cell, type Measured, open } from "../rig/Cell.ts"
import type { Ground } from "../rig/Ground.ts"
import { median } from "../rig/Stats.ts"

const starts = 3
const messages = 5_000

/** Starts on data, in order and after a kill, on Postgres and on the embedded database. */
export const restart: Cell = {
  name: "restart",
  asks: "How long from the start of the process until it is ready, with data in its database?",
  run: async (bench) => ({
    figures: [
      ...(await measure(bench, "Postgres", await bench.ground(), 1)),
      ...(await measure(bench, "PGlite", null, 2))
    ]
  })
}

const measure = (
  bench: Bench,
  name: string,
  ground: Ground | null,
  secondsMax: number
): Promise<ReadonlyArray<Measured>> =>
  bench.withRig({ ground }, async (rig) => {
    const first = rig.startMs()
    await rig.webhook(0, open(bench.options.concurrency))
    await rig.load({
      rate: null,
      seconds: 10,
      count: messages,
      connections: bench.options.connections
    })
    const restartAfter = async (signal: NodeJS.Signals) => {
      const times: Array<number> = []
      for (let i = 0; i < starts; i++) {
        // Something is owed when it ends, so a kill leaves something to recover.
        const load = rig.load({ rate: 500, seconds: 0.5, leaves: true })
        if (signal === "SIGTERM") await load
        await rig.service.end(signal)
        times.push(await rig.service.start())
        await load
      }
      return median(times) / 1000
    }
    return [
      { name: `${name}: first start, empty database, s`, value: first / 1000 },
      {
        name: `${name}: start after SIGTERM, s`,
        value: await restartAfter("SIGTERM"),
        target: { atMost: secondsMax }
      },
      {
        name: `${name}: start after SIGKILL, s`,
        value: await restartAfter("SIGKILL"),
        target: { atMost: secondsMax }
      }
    ]
  })
