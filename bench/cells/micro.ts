/** What the steps of the path cost by themselves, without network and database. */
import { Bench } from "tinybench"
import { encode } from "../micro/encode.ts"
import { publish } from "../micro/publish.ts"
import { render } from "../micro/render.ts"
import { route } from "../micro/route.ts"
import { settle } from "../micro/settle.ts"
import { sign } from "../micro/sign.ts"
import type { Cell } from "../rig/Cell.ts"

/** Times single steps in this process. */
export const micro: Cell = {
  name: "micro",
  asks: "What does each step cost by itself, in microseconds?",
  run: async () => {
    const groups = await Promise.all([sign(), route(), render(), encode(), settle(), publish()])
    const tasks = groups.flat()
    const bench = new Bench({ time: 400, warmupTime: 300 })
    for (const task of tasks) bench.add(task.name, task.run)
    await bench.run()
    return {
      figures: tasks.map(({ name, times }) => {
        const result = bench.getTask(name)?.result
        const done = result?.state === "completed" ? result.latency.p50 : Number.NaN
        return { name: `${name}, us`, value: (done / times) * 1000 }
      })
    }
  }
}
