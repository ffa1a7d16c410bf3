/** How quickly a backlog goes out. */
import { type Cell, open, warmUp } from "../rig/Cell.ts"
import * as Cpu from "../rig/Cpu.ts"
import { monotonicMs } from "../rig/MonotonicClock.ts"
import { measureDirect } from "../rig/Reference.ts"

/** Publishes to a paused webhook, resumes it, and waits for the last delivery. */
export const drain: Cell = {
  name: "drain",
  asks: "How many deliveries a second when a backlog is let out?",
  run: async (bench) => {
    const { concurrency, connections, messages } = bench.options
    const ground = await bench.ground()
    return bench.withRig({ ground }, async (rig) => {
      const direct = await measureDirect(rig, { connections })
      const id = await rig.webhook(0, open(concurrency))
      await warmUp(rig)
      await rig.service.call("POST", `/v1/webhooks/${id}/pause`)
      const running = await rig.begin({ rate: null, seconds: 120, count: messages, connections })
      const { acknowledgedAt, beganAt, endedAt } = await running.published
      const backlog = acknowledgedAt.reduce((sum, at) => (at > 0 ? sum + 1 : sum), 0)
      const pid = rig.service.pid()
      const before = { service: Cpu.processMs(pid), postgres: Cpu.treeMs(ground.postgres.pid) }
      const resumedAt = monotonicMs()
      await bench.watch(rig, async () => {
        await rig.service.call("POST", `/v1/webhooks/${id}/resume`)
        await running.arrived(backlog, 10_000)
      })
      const cpuMs =
        Cpu.processMs(pid) - before.service + Cpu.treeMs(ground.postgres.pid) - before.postgres
      const load = await running.finish()
      const { accepted, lastAt } = load.received
      return {
        figures: [
          {
            name: `drained per second, backlog of ${backlog.toLocaleString("en")}`,
            value: (accepted / (lastAt - resumedAt)) * 1000,
            target: { atLeast: 6_000 },
            reference: { name: "straight to the receiver", value: direct.requestsPerSecond }
          },
          {
            name: "published per second while paused",
            value: (backlog / (endedAt - beganAt)) * 1000
          },
          { name: "CPU of draining, s per 1,000 deliveries", value: cpuMs / accepted },
          { name: "peak memory of the service, MB", value: Cpu.memoryMb(pid).peak },
          { name: "lost", value: load.lost, target: { atMost: 0 } },
          { name: "duplicates", value: load.duplicates, target: { atMost: 0 } }
        ]
      }
    })
  }
}
