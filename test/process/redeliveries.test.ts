/**
 * Redelivers many, kills the service half-way, starts it again and counts what a receiver got.
 */
import { afterAll, assert, describe, it } from "vitest"
import { openInbox, until } from "../support/Inbox.ts"
import { scaled } from "../support/Scale.ts"
import { makeService } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const count = scaled(500, 10_000)
/** A webhook's attempts at once by default, and those answered and not yet written down. */
const inFlightMax = 10 + 256

describe.each([
  { ground: "PGlite", options: async () => ({}) },
  { ground: "Postgres", options: async () => ({ databaseUrl: await createDatabase() }) }
])("a bulk redelivery on $ground", ({ ground, options }) => {
  const cleanups: Array<() => Promise<void>> = []
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  it(
    `of ${count} goes on after a kill, and takes no delivery twice`,
    { timeout: 600_000 },
    async () => {
      const inbox = await openInbox()
      cleanups.push(async () => inbox.close())
      const service = await makeService(await options())
      cleanups.push(service.remove)
      await service.start()
      const hook = await service.call("POST", "/v1/webhooks", {
        url: `${inbox.url}/hook`,
        concurrency: 50
      })
      const publish = async () => {
        while (published-- > 0) {
          await service.call("POST", "/v1/messages", {
            type: "order.placed",
            data: { n: published }
          })
        }
      }
      let published = count
      await Promise.all(Array.from({ length: 16 }, publish))
      const settled = async () =>
        (await service.call("GET", "/v1/deliveries?status=pending&limit=1")).json.data.length === 0
      await until(() => inbox.ids.size === count)
      await until(settled)

      const before = inbox.received.length
      const started = await service.call("POST", "/v1/redeliveries", {
        webhook: hook.json.id,
        status: "delivered"
      })
      assert.strictEqual(started.status, 202)
      const job = async () =>
        (await service.call("GET", `/v1/redeliveries/${started.json.id}`)).json
      let seen = 0
      await until(async () => (seen = (await job()).done) >= count / 4)
      await service.end("SIGKILL")
      await service.start()
      await until(async () => (await job()).state === "done")
      const end = await job()
      await until(() => inbox.received.length >= before + count)
      await until(settled)

      assert.isBelow(seen, count)
      assert.deepInclude(end, { matched: count, done: count })
      // What was in flight when it was killed goes out once more; the job itself takes nothing twice.
      const again = inbox.received.length - before - count
      assert.isAtMost(again, inFlightMax)
      console.log(
        `${ground}: killed after ${seen} of ${count}, ${end.done} redelivered, ` +
          `${again} requests more than deliveries`
      )
    }
  )
})
