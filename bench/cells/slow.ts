/** Whether receivers that take their time leave the engine idle. */
import { type Cell, costsAtRate, loads, open, warmUp } from "../rig/Cell.ts"
import { eventType } from "../rig/Body.ts"

const receivers = 8
const inFlightMax = 512

/** Asks how full the engine keeps its slots when every answer takes `delayMs`. */
const slow = (delayMs: number): Cell => ({
  name: `slow${delayMs}`,
  asks: `How many deliveries a second when each answer takes ${delayMs} ms, with ${inFlightMax} attempts at once?`,
  run: async (bench) => {
    const lasts = bench.options.seconds ?? 5
    const ceiling = (inFlightMax / delayMs) * 1000
    // A little above what the slots can carry, and not above what the engine can.
    const rate = bench.options.rate ?? Math.min(4_000, Math.round(ceiling * 0.9))
    return bench.withRig(
      {
        ground: await bench.ground(),
        env: { POSTHASTE_MAX_IN_FLIGHT: String(inFlightMax) }
      },
      async (rig) => {
        for (let i = 0; i < receivers; i++) {
          await rig.webhook(i, {
            eventTypes: [eventType(i)],
            ...open(inFlightMax / receivers)
          })
        }
        await warmUp(rig, { types: receivers })
        await rig.behave(
          ...Array.from({ length: receivers }, (_, receiver) => ({
            receiver,
            delayMs,
            failingShare: 0,
            answers: true
          }))
        )
        const load = await bench.watch(rig, () =>
          rig.load({ rate, seconds: lasts, types: receivers })
        )
        return {
          figures: [
            {
              name: "delivered per second",
              value: load.deliveredPerSecond,
              target: { atLeast: rate * 0.9 },
              reference: { name: "slots / delay", value: ceiling }
            },
            ...costsAtRate(load)
          ],
          details: [loads([[`${rate}/s, ${delayMs} ms`, load]])]
        }
      }
    )
  }
})

/** Receivers that take 50 ms. */
export const slow50: Cell = slow(50)

/** Receivers that take half a second. */
export const slow500: Cell = slow(500)
