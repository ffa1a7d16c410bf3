/**
 * Breaks the ground under the service: its connections to Postgres, its own time, the space on the
 * server's disk; and compares the books of producers, receivers and the store.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { openFaultProxy } from "../support/FaultProxy.ts"
import { registerHooks, settled } from "../support/Hooks.ts"
import { until } from "../support/Inbox.ts"
import { type Ledger, openLedger } from "../support/Ledger.ts"
import { type Postgres, startPostgres } from "../support/Postgres.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, makeService, type Service } from "../support/Service.ts"
import { type Query, withStore } from "../support/Store.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const cuts = scaled(20, 1_000)
const isFull = scaled(0, 1) === 1
/** Postgres ends a session that is silent for 30 seconds. */
const frozenMs = scaled(3_000, 30_000)
const recoveryMsMax = 60_000

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const open = async (databaseUrl: string): Promise<{ service: Service; ledger: Ledger }> => {
  const ledger = await openLedger()
  cleanups.push(ledger.inbox.close)
  const service = await makeService({ databaseUrl })
  cleanups.push(service.remove)
  await service.start()
  await registerHooks(service, ledger)
  return { service, ledger }
}

const proxied = async () => {
  const databaseUrl = await createDatabase()
  const proxy = await openFaultProxy(Number(new URL(databaseUrl).port))
  cleanups.push(proxy.close)
  return { databaseUrl, proxy, ...(await open(proxy.through(databaseUrl))) }
}

/** Ends the service and compares the books; `again` requests may have been made once more. */
const judge = async (service: Service, ledger: Ledger, databaseUrl: string, again: number) => {
  await ledger.repeat(service)
  await settled(service, ledger)
  await service.end("SIGTERM")
  return withStore({ dataDir: service.dataDir, databaseUrl }, (query) => ledger.judge(query, again))
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe("a service whose connections to Postgres break", () => {
  it(
    `loses and doubles nothing when ${cuts} are cut in a commit`,
    { timeout: 900_000 },
    async () => {
      const { databaseUrl, ledger, proxy, service } = await proxied()
      const unknown = { publishes: 0, settlements: 0 }
      for (let i = 0; i < cuts; i++) {
        const mark = `mark${i}.`
        const isSettlement = i % 4 === 3
        const cut = proxy.cut(
          isSettlement
            ? { at: (bytes) => bytes.includes("status_2xx"), passes: "answer" }
            : {
                at: (bytes) => bytes.includes(mark),
                // Mostly after Postgres has all of it; else somewhere in the statement.
                passes: i % 4 === 0 ? (i * 37) % 600 : "answer"
              }
        )
        unknown[isSettlement ? "settlements" : "publishes"]++
        await ledger.publish(service, { type: "order.placed", rest: { channels: [mark] } })
        await cut
      }
      const { acknowledged, received } = await judge(service, ledger, databaseUrl, 0)
      assert.strictEqual(acknowledged, cuts)
      console.log(
        `${cuts} cuts, ${unknown.publishes} of them in a publish and ${unknown.settlements} in a ` +
          `settlement: ${acknowledged} acknowledged, 0 lost, 0 doubled, ${received} requests`
      )
    }
  )

  it.skipIf(!isFull)("goes on when all of them lead nowhere", { timeout: 300_000 }, async () => {
    const { databaseUrl, ledger, proxy, service } = await proxied()
    let goesOn = true
    const load = ledger.load(service, () => goesOn)
    await until(() => ledger.acknowledged() >= 100)
    proxy.silence()
    const silentAt = performance.now()
    const known = ledger.acknowledged()
    await until(() => ledger.acknowledged() >= known + 50)
    const backMs = performance.now() - silentAt
    goesOn = false
    await load
    assert.isBelow(backMs, recoveryMsMax)
    const { acknowledged, unrecorded } = await judge(service, ledger, databaseUrl, 1)
    console.log(
      `silent connections: publishing went on after ${backMs.toFixed(0)} ms, ` +
        `${acknowledged} acknowledged, 0 lost, ${unrecorded} sent again`
    )
  })
})

describe("a service that is frozen while another stands by", () => {
  it("changes nothing when it wakes, and ends", { timeout: 300_000 }, async () => {
    const databaseUrl = await createDatabase()
    const { ledger, service: sleeper } = await open(databaseUrl)
    const other = await makeService({ databaseUrl })
    cleanups.push(other.remove)
    const isReady = other.start()
    let goesOn = true
    const load = ledger.load(sleeper, () => goesOn)
    await until(() => ledger.acknowledged() >= 100)
    goesOn = false
    await load
    await Promise.all(
      Array.from({ length: 10 }, () => ledger.publish(sleeper, { type: "slow.one" }))
    )
    const { pid } = sleeper
    process.kill(pid(), "SIGSTOP")
    const frozenAt = performance.now()
    // What stands in its socket is read as soon as it wakes.
    const late = Array.from({ length: 20 }, (_, i) => lateMessage(sleeper, i))
    await sleep(frozenMs)
    const admin = { dataDir: other.dataDir, databaseUrl }
    if (!isFull) await withStore(admin, (query) => query(endOwner))
    await isReady
    const tookOverMs = performance.now() - frozenAt
    await settled(other, ledger)
    const before = await withStore(admin, fingerprint)
    process.kill(pid(), "SIGCONT")
    await sleeper.ended()
    const answers = await Promise.all(late)
    assert.deepStrictEqual(await withStore(admin, fingerprint), before)
    assert.notInclude(answers, 202)
    await ledger.publish(other, { type: "order.placed" })
    const { acknowledged, unrecorded } = await judge(other, ledger, databaseUrl, 1)
    console.log(
      `frozen for ${tookOverMs.toFixed(0)} ms: another took over, the sleeper changed no row and ` +
        `ended; ${acknowledged} acknowledged, 0 lost, ${unrecorded} sent again`
    )
  })
})

const endOwner = `select pg_terminate_backend(pid) from pg_stat_activity
  where application_name = 'posthaste owner' and datname = current_database()
    and exists (select from pg_locks l where l.pid = pg_stat_activity.pid
      and l.locktype = 'advisory' and l.granted)`

const lateMessage = (service: Service, n: number): Promise<number | string> =>
  fetch(`${service.baseUrl}/v1/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ type: "order.placed", data: { late: n } })
  }).then(
    ({ status }) => status,
    () => "gone"
  )

/** A digest of each table that an engine writes. */
const fingerprint = async (query: Query) => {
  const tables = ["message", "idempotency", "owed", "waiting", "attempt", "cancelled", "notice"]
  const digests: Record<string, string> = {}
  for (const table of [...tables, "webhook", "webhook_health", "engine"]) {
    const rows = await query(`select t::text as row from ${table} t order by 1`)
    digests[table] = createHash("sha256").update(JSON.stringify(rows)).digest("hex")
  }
  return digests
}

describe("a service whose Postgres has no space left", () => {
  it("refuses, and goes on when there is space again", { timeout: 300_000 }, async (context) => {
    const volume = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-volume-"))
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=200m,mode=0777", "tmpfs", volume], {
        stdio: "pipe"
      })
    } catch (error) {
      fs.rmdirSync(volume)
      return context.skip(`no volume can be mounted here: ${String(error)}`)
    }
    cleanups.push(() => {
      execFileSync("umount", ["--lazy", volume])
      fs.rmdirSync(volume)
    })
    const postgres = await startPostgres({
      parent: volume,
      settings: { min_wal_size: "32MB", max_wal_size: "48MB" }
    })
    cleanups.push(postgres.stop)
    const { ledger, service } = await open(postgres.url)
    for (let round = 0; round < scaled(1, 10); round++) {
      const known = ledger.acknowledged()
      let goesOn = true
      const load = ledger.load(service, () => goesOn)
      await until(() => ledger.acknowledged() >= known + 50)
      const filler = fill(volume)
      const refused = ledger.refused()
      await until(() => ledger.refused() >= refused + 20)
      fs.rmSync(filler)
      await revive(postgres)
      const then = ledger.acknowledged()
      await until(() => ledger.acknowledged() >= then + 20)
      goesOn = false
      await load
    }
    const refused = ledger.refused()
    const { acknowledged } = await judge(service, ledger, postgres.url, 1)
    console.log(`no space left: ${acknowledged} acknowledged, 0 lost, ${refused} refused with 503`)
  })
})

/** Takes all the space of a volume. */
const fill = (volume: string): string => {
  const filler = path.join(volume, "filler")
  const descriptor = fs.openSync(filler, "w")
  try {
    for (const size of [1_048_576, 4_096]) {
      const block = Buffer.alloc(size, 1)
      try {
        while (true) fs.writeSync(descriptor, block)
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
      }
    }
  } finally {
    fs.closeSync(descriptor)
  }
  return filler
}

/** Does what an operator's supervisor does for a server that could not even write its log. */
const revive = async (postgres: Postgres) => {
  if (!postgres.isRunning()) await postgres.restart()
}
