/**
 * How fast a webhook gets what it is owed while another one is in trouble.
 */
import { assert, it } from "vitest"
import { borrowing } from "../support/Borrowing.ts"
import { until } from "../support/Inbox.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const { inbox, prepared } = borrowing()

it("keeps 49 webhooks as fast as they were beside one that never answers", async () => {
  const silent = await inbox(() => {})
  const receiver = await inbox()
  const service = await prepared({ databaseUrl: await createDatabase() })
  await service.start()
  const create = (url: string) => service.call("POST", "/v1/webhooks", { url })
  for (let i = 0; i < 49; i++) await create(`${receiver.url}/${i}`)

  const round = async () => {
    const from = receiver.received.length
    const begun: Array<number> = []
    for (let i = 0; i < 60; i++) {
      begun.push(performance.now())
      await service.call("POST", "/v1/messages", { type: "a.b", data: { i } })
    }
    await until(() => receiver.received.length === from + 60 * 49)
    const latencies = receiver.received.slice(from).map(({ at, body }) => {
      const { data } = JSON.parse(body.toString()) as { data: { i: number } }
      return at - begun[data.i]!
    })
    return latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!
  }
  await round()
  const alone = Math.min(await round(), await round())
  await create(silent.url)
  const beside = Math.min(await round(), await round())
  console.log(
    `49 healthy webhooks: p99 ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside a dead one`
  )
  assert.isAbove(silent.received.length, 0)
  // Twice leaves room for the noise of a shared machine; a lane that waited would take 15 s.
  assert.isBelow(beside, alone * 2 + 50)
})
