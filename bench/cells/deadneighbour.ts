/** Whether a dead webhook slows its neighbours. */
import { type Cell, loads, warmUp } from "../rig/Cell.ts"
import { eventType } from "../rig/Body.ts"
import { percentile, sorted } from "../rig/Stats.ts"
import type { Load } from "../rig/Load.ts"

const count = 100

/** Publishes to 100 webhooks in turn, with all alive and with one that never answers. */
export const deadneighbour: Cell = {
  name: "deadneighbour",
  asks: "How much slower are 99 healthy webhooks while a hundredth one never answers?",
  run: async (bench) => {
    const rate = bench.options.rate ?? 1_500
    const lasts = (bench.options.seconds ?? 12) / 4
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      for (let i = 0; i < count; i++) await rig.webhook(i, { eventTypes: [eventType(i)] })
      await warmUp(rig, { types: count })
      const measure = (dead: boolean) =>
        rig.behave({ receiver: 0, delayMs: 0, failingShare: 0, answers: !dead }).then(() =>
          rig.load({
            rate,
            seconds: lasts,
            types: count,
            expects: (number) => number % count !== 0
          })
        )
      // Alternately, so that what else the machine does falls on both. It lives again only at the
      // end: what it did not answer is in flight until then.
      const alive: Array<Load> = [await measure(false), await measure(false)]
      const dead: Array<Load> = [await bench.watch(rig, () => measure(true)), await measure(true)]
      const p99 = (list: ReadonlyArray<Load>) =>
        percentile(sorted(list.flatMap((load) => [...load.deliveryLatency])), 99)
      const lost = [...alive, ...dead].reduce((sum, load) => sum + load.lost, 0)
      return {
        figures: [
          {
            name: "healthy p99 with the dead one / without",
            value: p99(dead) / p99(alive),
            target: { atMost: 1.2 }
          },
          {
            name: "healthy publish to receive p99, ms",
            value: p99(dead),
            reference: { name: "without the dead one", value: p99(alive) }
          },
          { name: "lost by the healthy ones", value: lost, target: { atMost: 0 } }
        ],
        details: [
          loads([
            ["all alive", alive[0]!],
            ["all alive, again", alive[1]!],
            ["one dead", dead[0]!],
            ["one dead, again", dead[1]!]
          ])
        ]
      }
    })
  }
}
