/** What failures and their retries cost. */
import { type Cell, costsAtRate, loads, open, warmUp } from "../rig/Cell.ts"
import { percentile } from "../rig/Stats.ts"

const retry = {
  kind: "table",
  delaysMs: [1_000, 1_000, 1_000, 2_000, 2_000, 2_000, 2_000],
  jitter: 0.1
}

/** Asks what a share of failing attempts costsAtRate, retries a second later included. */
const failing = (percent: number): Cell => ({
  name: `failing${percent}`,
  asks: `What does it cost when ${percent} % of attempts fail and are tried again after a second?`,
  run: async (bench) => {
    const { concurrency } = bench.options
    const rate = bench.options.rate ?? 2_000
    const lasts = bench.options.seconds ?? 6
    return bench.withRig({ ground: await bench.ground() }, async (rig) => {
      await rig.webhook(0, { ...open(concurrency), retry })
      await warmUp(rig)
      const healthy = await rig.load({ rate, seconds: lasts })
      await rig.behave({ receiver: 0, delayMs: 0, failingShare: percent / 100, answers: true })
      const load = await bench.watch(rig, () => rig.load({ rate, seconds: lasts, quietMs: 8_000 }))
      return {
        figures: [
          {
            name: "delivered of acknowledged, %",
            value: ((load.deliveries - load.refused) / load.acknowledged) * 100,
            target: { atLeast: 100 }
          },
          {
            name: "attempts per delivery",
            value: (load.received.refused + load.deliveries) / load.deliveries,
            reference: { name: "by chance", value: 1 / (1 - percent / 100) }
          },
          {
            name: "publish to receive p50, ms",
            value: percentile(load.deliveryLatency, 50),
            reference: { name: "without failures", value: percentile(healthy.deliveryLatency, 50) }
          },
          {
            name: "publish to receive p99, ms",
            value: percentile(load.deliveryLatency, 99),
            reference: { name: "without failures", value: percentile(healthy.deliveryLatency, 99) }
          },
          ...costsAtRate(load).map((figure, i) => ({
            ...figure,
            reference: {
              name: "without failures",
              value: costsAtRate(healthy)[i]?.value ?? Number.NaN
            }
          }))
        ],
        details: [
          loads([
            [`${rate}/s`, healthy],
            [`${rate}/s, ${percent} % failing`, load]
          ])
        ]
      }
    })
  }
})

/** One attempt in a hundred fails. */
export const failing1: Cell = failing(1)

/** One attempt in five fails. */
export const failing20: Cell = failing(20)
