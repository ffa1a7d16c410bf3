/** What removing old messages costs those who publish meanwhile. */
import { firstId } from "../../src/store/Partitions.ts"
import { type Cell, loads, losses, open, warmUp } from "../rig/Cell.ts"
import type { Connection } from "../rig/Database.ts"
import type { Load } from "../rig/Load.ts"
import { monotonicMs } from "../rig/MonotonicClock.ts"
import type { Rig } from "../rig/Rig.ts"
import { historyDays, seedHistory } from "../rig/SeedHistory.ts"
import { percentile, sorted } from "../rig/Stats.ts"

const webhooks = 100
const dayMs = 86_400_000

/** The history is older than what is kept, and younger than what is kept while nothing is removed. */
const keptDays = 30
const nothingRemoved = { POSTHASTE_RETENTION_DAYS: "365" }
const removed = { POSTHASTE_RETENTION_DAYS: String(keptDays) }

/** How long the removal may take, in milliseconds. */
const removalMaxMs = 600_000

/**
 * Publishes beside a long history, while all of it that is settled is removed, and after that.
 *
 * **Details**
 *
 * Of half of the days nothing is open, so they are dropped whole; of the others a tenth waits, so their
 * messages are deleted in batches.
 */
export const retention: Cell = {
  name: "retention",
  asks: "How long does a publish take while --messages old deliveries are removed?",
  run: async (bench) => {
    const rate = bench.options.rate ?? 1_000
    const seconds = bench.options.seconds ?? 20
    return bench.withRig({ ground: await bench.ground(), env: nothingRemoved }, async (rig) => {
      const { connection, service } = rig
      if (connection === null) throw new Error("retention is measured on Postgres")
      await rig.webhook(0, open(bench.options.concurrency))
      for (let i = 1; i < webhooks; i++) await rig.webhook(i, { eventTypes: ["bench.nothing"] })
      await service.end("SIGTERM")
      const end = Math.floor(Date.now() / dayMs) * dayMs - (keptDays + 1) * dayMs
      await seedHistory(connection, bench.options.messages, end)
      const dropped = firstId(end - (historyDays / 2) * dayMs)
      await connection.query("delete from waiting where delivery_id < $1", [dropped])
      const toRemove = await settled(connection, end)

      await service.start()
      await warmUp(rig)
      const before = await rig.load({ rate, seconds })
      await service.end("SIGTERM")

      const beganAt = monotonicMs()
      await service.start(removed)
      const removal = untilRemoved(rig)
      await warmUp(rig)
      const beside = await bench.watch(rig, () => rig.load({ rate, seconds }))
      const endedAt = await removal
      const after = await rig.load({ rate, seconds })
      const removing = latencies(beside, endedAt)
      // The better of both ends: strangers may have been busy at one of them.
      const without =
        percentile(before.publishLatency, 99) < percentile(after.publishLatency, 99)
          ? before
          : after
      const p99 = percentile(removing, 99)
      const p99Without = percentile(without.publishLatency, 99)
      return {
        figures: [
          { name: "settled deliveries to remove", value: toRemove },
          { name: "of them left", value: await settled(connection, end), target: { atMost: 0 } },
          { name: "removal took, s", value: (endedAt - beganAt) / 1_000 },
          {
            name: `publish p99 at ${rate}/s while removing, ms`,
            value: p99,
            reference: { name: "without", value: p99Without }
          },
          { name: "divided by that without", value: p99 / p99Without, target: { atMost: 2 } },
          {
            name: "publish p50 while removing, ms",
            value: percentile(removing, 50),
            reference: { name: "without", value: percentile(without.publishLatency, 50) }
          },
          {
            name: "publish to receive p99, ms",
            value: percentile(beside.deliveryLatency, 99),
            reference: { name: "without", value: percentile(without.deliveryLatency, 99) }
          },
          ...losses(beside)
        ],
        details: [
          loads([
            [`${rate}/s, before`, before],
            [`${rate}/s, removing`, beside],
            [`${rate}/s, after`, after]
          ])
        ]
      }
    })
  }
}

/** Counts deliveries of messages before an instant that were settled. */
const settled = async (connection: Connection, before: number): Promise<number> => {
  const [row] = await connection.query<{ count: number }>(
    "select count(*)::float8 as count from attempt where delivery_id < $1 and settled is not null",
    [firstId(before)]
  )
  return row!.count
}

/** Waits until the service says that it has removed what there was, and answers when. */
const untilRemoved = async ({ service }: Rig): Promise<number> => {
  const giveUpAt = monotonicMs() + removalMaxMs
  while (!service.output().includes("messages_removed")) {
    if (monotonicMs() > giveUpAt) throw new Error("the removal did not end")
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return monotonicMs()
}

/** What publishes took that were due before an instant. */
const latencies = ({ published }: Load, before: number) => {
  const all: Array<number> = []
  for (let i = 0; i < published.sent; i++) {
    const at = published.acknowledgedAt[i]!
    if (at > 0 && published.dueAt[i]! < before) all.push(at - published.dueAt[i]!)
  }
  return sorted(all)
}
