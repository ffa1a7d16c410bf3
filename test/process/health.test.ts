/**
 * What a service says of its health, and how soon: beside another one on the same database, and
 * without its database.
 */
import { assert, describe, it } from "vitest"
import { borrowing } from "../support/Borrowing.ts"
import { until } from "../support/Inbox.ts"
import { startPostgres } from "../support/Postgres.ts"
import { adminKey, linesOf, type Service } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const { atEnd, inbox, prepared } = borrowing()

const health = async (service: Service, which: "live" | "ready") => {
  const begun = performance.now()
  const response = await fetch(`${service.baseUrl}/health/${which}`)
  const json: { readonly checks?: Readonly<Record<string, string>> } = JSON.parse(
    await response.text()
  )
  return { status: response.status, checks: json.checks, ms: performance.now() - begun }
}

const storeUp = async (service: Service) => {
  const text = await fetch(`${service.baseUrl}/metrics`).then((response) => response.text())
  return Number(/^posthaste_store_up (\S+)$/m.exec(text)?.[1])
}

describe("two services on one database", () => {
  it("are both alive, one ready and one standing by until the first is gone", async () => {
    const databaseUrl = await createDatabase()
    const first = await prepared({ databaseUrl })
    const second = await prepared({ databaseUrl })
    await first.start()
    const receiver = await inbox()
    await first.call("POST", "/v1/webhooks", { url: receiver.url })
    const started = second.start()
    await until(() => second.output().includes("engine_waiting"))
    assert.include(second.output(), String(first.pid()))
    const standing = await health(second, "ready")
    assert.strictEqual(standing.status, 503)
    assert.deepInclude(standing.checks, { database: "ok", ownership: "waiting" })
    assert.strictEqual((await health(second, "live")).status, 200)
    assert.strictEqual((await second.call("GET", "/v1/webhooks")).json.code, "store_unavailable")
    assert.strictEqual((await health(first, "ready")).status, 200)

    // One that stands by knows no keys: it answers none of them, valid, revoked or invented.
    const made = await first.call("POST", "/v1/tenants/default/keys", {
      name: "short-lived",
      scopes: ["read"]
    })
    const revoked: string = made.json.key
    const statusWith = (service: Service, key: string) =>
      fetch(`${service.baseUrl}/v1/webhooks`, {
        headers: { authorization: `Bearer ${key}` }
      }).then((response) => response.arrayBuffer().then(() => response.status))
    assert.strictEqual(await statusWith(first, revoked), 200)
    assert.strictEqual(await statusWith(second, revoked), 503)
    const at = `/v1/tenants/default/keys/${made.json.id}`
    assert.strictEqual((await first.call("DELETE", at)).status, 204)
    assert.strictEqual(await statusWith(first, revoked), 401)
    for (const key of [revoked, adminKey, "invented"]) {
      assert.strictEqual(await statusWith(second, key), 503)
    }

    const third = await prepared({ databaseUrl })
    const interrupted = third.start().catch(() => "ended")
    await until(() => third.output().includes("engine_waiting"))
    const told = performance.now()
    assert.strictEqual(await third.end("SIGTERM"), 0, third.output())
    assert.isBelow(performance.now() - told, 3_000)
    assert.strictEqual(await interrupted, "ended")

    const begun = performance.now()
    await first.end("SIGKILL")
    await started
    console.log(`took over ${Math.round(performance.now() - begun)} ms after SIGKILL`)
    assert.isBelow(performance.now() - begun, 3_000)
    assert.strictEqual(await statusWith(second, revoked), 401)
    assert.strictEqual(await statusWith(second, adminKey), 200)
    assert.deepStrictEqual((await health(second, "ready")).checks, {
      database: "ok",
      migrations: "ok",
      ownership: "ok",
      lanes: "ok",
      draining: "ok"
    })
    assert.includeMembers(
      linesOf(second).map(({ event }) => event),
      ["engine_waiting", "engine_owning"]
    )
    await second.call("POST", "/v1/messages", { type: "a.b", data: 1 })
    await until(() => receiver.received.length === 1)
  })
})

describe("a service whose Postgres is gone", () => {
  it("is alive, says what is missing, writes little about it, and is ready again", async () => {
    const postgres = await startPostgres()
    atEnd(postgres.stop)
    const receiver = await inbox()
    const service = await prepared({ databaseUrl: postgres.url })
    await service.start()
    await service.call("POST", "/v1/webhooks", { url: receiver.url })
    const waitFor = async (status: number) => {
      const begun = performance.now()
      await until(async () => (await health(service, "ready")).status === status)
      return performance.now() - begun
    }
    const before = linesOf(service).length
    await postgres.kill("SIGQUIT")
    const gone = await waitFor(503)
    const live: Array<number> = []
    for (let i = 0; i < 200; i++) {
      const { ms, status } = await health(service, "live")
      assert.strictEqual(status, 200)
      live.push(ms)
      if (i % 20 === 0) {
        const { status: refused } = await service.call("POST", "/v1/messages", {
          type: "a.b",
          data: 1
        })
        assert.strictEqual(refused, 503)
      }
    }
    const { checks } = await health(service, "ready")
    assert.deepInclude(checks, { database: "failed", ownership: "failed", lanes: "ok" })
    assert.strictEqual(await storeUp(service), 0)
    await postgres.restart()
    const back = await waitFor(200)
    const [p50, p99] = [100, 197].map((at) => live.toSorted((a, b) => a - b)[at]!)
    console.log(
      `not ready after ${Math.round(gone)} ms, ready again ${Math.round(back)} ms after the ` +
        `database; live p50 ${p50!.toFixed(1)} ms, p99 ${p99!.toFixed(1)} ms; ${linesOf(service).length - before} lines`
    )
    assert.isBelow(gone, 3_000)
    assert.isBelow(back, 3_000)
    // The median, as the machine may be busy with other tests.
    assert.isBelow(p50!, 50)
    assert.isBelow(linesOf(service).length - before, 60)
  })
})
