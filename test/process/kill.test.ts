/**
 * Kills the service at random moments while messages are published at full speed, starts it again,
 * and compares the books of producers, receivers and the store.
 */
import { Random } from "effect"
import * as Effect from "effect/Effect"
import { afterAll, assert, describe, it } from "vitest"
import { registerHooks, settled } from "../support/Hooks.ts"
import { until } from "../support/Inbox.ts"
import { openLedger } from "../support/Ledger.ts"
import { scaled } from "../support/Scale.ts"
import { makeService } from "../support/Service.ts"
import { withStore } from "../support/Store.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const kills = Number(process.env["POSTHASTE_TEST_KILLS"] ?? scaled(20, 200))
/** Messages between two kills: 200,000 on each ground at full size. */
const messages = scaled(200, 1_050)
/** A webhook's attempts at once by default, and those answered and not yet written down. */
const inFlightMax = 10 + 256

describe.each([
  { ground: "PGlite", database: async () => undefined },
  { ground: "Postgres", database: createDatabase }
])("the service on $ground", ({ database, ground }) => {
  const cleanups: Array<() => Promise<void> | void> = []
  afterAll(async () => {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  })

  it(`loses no acknowledged message in ${kills} kills`, { timeout: 3_600_000 }, async () => {
    const ledger = await openLedger()
    cleanups.push(ledger.inbox.close)
    const databaseUrl = await database()
    const service = await makeService(databaseUrl === undefined ? {} : { databaseUrl })
    cleanups.push(service.remove)
    await service.start()
    await registerHooks(service, ledger)

    for (let kill = 0; kill < kills; kill++) {
      const publishing = ledger.flood(service, service.isRunning)
      const target = ledger.acknowledged() + (await drawMessages())
      await until(() => ledger.acknowledged() >= target)
      await service.end("SIGKILL")
      await publishing
      await service.start()
    }
    await ledger.repeat(service)
    await until(ledger.hasArrived)
    await settled(service, ledger)
    await service.end("SIGTERM")

    const place = databaseUrl === undefined ? {} : { databaseUrl }
    const figures = await withStore({ dataDir: service.dataDir, ...place }, async (query) => {
      // Nobody has counted the rows of so large an embedded database yet.
      await query("analyze")
      return ledger.judge(query, kills)
    })
    assert.isAtMost(figures.unrecorded, kills * inFlightMax)
    console.log(
      `${ground}: ${kills} kills, ${figures.acknowledged} acknowledged, 0 lost, ` +
        `${figures.received} received, ${figures.unrecorded} of them again`
    )
  })
})

/** Draws after how many further messages the next kill comes. */
const drawMessages = () => Effect.runPromise(Random.nextIntBetween(messages / 10, messages * 2))
