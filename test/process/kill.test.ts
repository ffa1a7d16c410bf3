/**
 * Kills the service at random moments while messages are published at full speed, starts it again,
 * and compares what was acknowledged with what a receiver got.
 */
import { Random } from "effect"
import * as Effect from "effect/Effect"
import { afterAll, assert, describe, it } from "vitest"
import { openInbox, until } from "../support/Inbox.ts"
import { makeService, type Service } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const kills = Number(process.env["POSTHASTE_TEST_KILLS"] ?? 20)
const publishers = 16
/** A webhook's attempts at once by default, and those answered and not yet written down. */
const inFlightMax = 10 + 256

describe.each([
  { ground: "PGlite", options: async () => ({}) },
  { ground: "Postgres", options: async () => ({ databaseUrl: await createDatabase() }) }
])("the service on $ground", ({ ground, options }) => {
  const cleanups: Array<() => Promise<void>> = []
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  it(`loses no acknowledged message in ${kills} kills`, { timeout: 300_000 }, async () => {
    const inbox = await openInbox()
    cleanups.push(async () => inbox.close())
    const service = await makeService(await options())
    cleanups.push(service.remove)
    await service.start()
    const created = await service.call("POST", "/v1/webhooks", { url: `${inbox.url}/hook` })
    assert.strictEqual(created.status, 201)

    const acknowledged = new Set<string>()
    for (let kill = 0; kill < kills; kill++) {
      const publishing = publishUntilKilled(service, acknowledged)
      const target = acknowledged.size + (await drawMessages())
      await until(() => acknowledged.size >= target)
      await service.end("SIGKILL")
      await publishing
      await service.start()
    }
    await until(() => [...acknowledged].every((id) => inbox.ids.has(id)))

    const duplicates = inbox.received.length - inbox.ids.size
    assert.isAtLeast(acknowledged.size, kills * 10)
    assert.isAtMost(duplicates, kills * inFlightMax)
    console.log(
      `${ground}: ${kills} kills, ${acknowledged.size} acknowledged, 0 lost, ` +
        `${inbox.ids.size} received, ${duplicates} duplicates`
    )
  })
})

/** Publishes over several connections at once until the service is gone. */
const publishUntilKilled = async (service: Service, acknowledged: Set<string>) => {
  let alive = true
  const publish = async () => {
    while (alive) {
      try {
        const answer = await service.call("POST", "/v1/messages", {
          type: "order.placed",
          data: { order: acknowledged.size, note: "x".repeat(500) }
        })
        if (answer.status === 202) acknowledged.add(answer.json.id)
      } catch {
        alive = false
      }
    }
  }
  await Promise.all(Array.from({ length: publishers }, publish))
}

/** Draws after how many further messages the next kill comes. */
const drawMessages = () => Effect.runPromise(Random.nextIntBetween(20, 400))
