/**
 * The command line beside a running service, and on a database at rest.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { beside, commandLine } from "../support/CommandLine.ts"
import { until } from "../support/Inbox.ts"
import { freePort, makeService, secretKeys, type Service } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const got: Array<string> = []
let status = 200
let hang = false
const receiver = http.createServer((request, response) => {
  got.push(String(request.headers["webhook-id"]))
  request.resume().on("end", () => hang || response.writeHead(status).end())
})
let receiverUrl = ""

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
})
afterAll(() => {
  receiver.closeAllConnections()
  receiver.close()
})

describe("posthaste beside a service", () => {
  let service: Service
  let cli: ReturnType<typeof commandLine>
  beforeAll(async () => {
    service = await makeService()
    await service.start()
    cli = commandLine(beside(service))
  })
  afterAll(() => service.remove())

  it("registers, shows, changes and removes webhooks", async () => {
    const made = await cli.json(
      "webhooks",
      "create",
      receiverUrl,
      "--uid",
      "one",
      "--event-types",
      "a.*,b",
      "--header",
      "x-team=blue",
      "--set",
      'circuit={"failures":7}'
    )
    assert.match(made.secret, /^whsec_/)
    assert.deepStrictEqual(made.eventTypes, ["a.*", "b"])
    assert.strictEqual(made.circuit.failures, 7)

    const table = await cli.run("webhooks", "list")
    assert.include(table.output, made.id)
    assert.match(table.output, /^ID +NAME +STATUS/)
    assert.strictEqual((await cli.json("webhooks", "update", "one", "--name", "n")).name, "n")
    assert.strictEqual((await cli.json("webhooks", "pause", "one")).status, "paused")
    assert.strictEqual((await cli.json("webhooks", "resume", "one")).status, "enabled")
    assert.match((await cli.json("webhooks", "rotate-secret", "one")).secret, /^whsec_/)
    assert.include((await cli.run("webhooks", "show", made.id)).output, "a.*, b")

    const unasked = await cli.run("webhooks", "delete", "one")
    assert.strictEqual(unasked.exitCode, 1)
    assert.include(unasked.errors, "--yes")
    assert.strictEqual((await cli.run("webhooks", "delete", "one", "--yes")).exitCode, 0)
    assert.strictEqual((await cli.run("webhooks", "show", "one")).exitCode, 66)
  })

  it("publishes, lists deliveries and sends what was given up again", async () => {
    await cli.json("webhooks", "create", receiverUrl, "--uid", "two", "--set", 'retry="quick"')
    await cli.json(
      "webhooks",
      "update",
      "two",
      "--set",
      'retry={"kind":"table","delaysMs":[],"jitter":0}'
    )
    status = 500
    const sent = await cli.json("send", "c.d", '{"n":1}')
    assert.strictEqual(sent.deliveries, 1)
    const failed = () => cli.json("deliveries", "list", "--succeeded", "false", "--days", "1")
    await until(async () => (await failed()).data.length === 1)
    status = 200
    const [again] = await cli.json("deliveries", "retry", "--all", "--timeout", "20s")
    assert.strictEqual(again.status, "delivered")
    assert.strictEqual(again.attempts, 2)
    assert.deepStrictEqual(
      got.filter((id) => id === sent.id),
      [sent.id, sent.id]
    )
    const delivered = await cli.json("deliveries", "list", "--webhook", "two", "--limit", "5")
    assert.strictEqual(delivered.data[0].id, again.id)
    assert.strictEqual((await cli.run("deliveries", "retry")).exitCode, 1)
  })

  it("administers tenants and keys, and acts for a tenant", async () => {
    assert.strictEqual((await cli.json("tenants", "create", "acme", "--name", "Acme")).uid, "acme")
    const limits = ["--max-webhooks", "2", "--messages-per-second", "5"]
    const limited = await cli.json("tenants", "update", "acme", ...limits)
    assert.deepStrictEqual(limited.limits, { webhooks: 2, messagesPerSecond: 5 })
    const freed = await cli.json("tenants", "update", "acme", "--max-webhooks", "default")
    assert.deepStrictEqual(freed.limits, { webhooks: null, messagesPerSecond: 5 })
    const shown = await cli.run("tenants", "show", "acme", "--output", "table")
    assert.match(shown.output, /^webhooks +default$/m)
    assert.match(shown.output, /^messages per second +5$/m)
    const wrong = await cli.run("tenants", "update", "acme", "--messages-per-second", "many")
    assert.notStrictEqual(wrong.exitCode, 0)
    assert.include(wrong.errors, "messagesPerSecond")
    const key = await cli.json(
      "keys",
      "create",
      "ci",
      "--tenant",
      "acme",
      "--scopes",
      "read",
      "--expires",
      "24h"
    )
    assert.match(key.key, /^phk_/)
    const reading = commandLine({ POSTHASTE_URL: service.baseUrl, POSTHASTE_API_KEY: key.key })
    assert.lengthOf((await reading.json("webhooks", "list")).data, 0)
    const refused = await reading.run("send", "a")
    assert.strictEqual(refused.exitCode, 1)
    assert.include(refused.errors, "scope")
    await cli.run("keys", "revoke", key.id, "--tenant", "acme", "--yes")
    assert.include((await reading.run("webhooks", "list")).errors, "key")
    assert.strictEqual((await cli.run("tenants", "delete", "acme", "--yes")).exitCode, 0)
  })

  it("lists who changed what, in pages as a table, and all of it as lines of JSON", async () => {
    const made = await cli.json("webhooks", "create", receiverUrl, "--uid", "audited")
    await cli.json("webhooks", "update", "audited", "--name", "n")
    await cli.json("webhooks", "pause", "audited")
    const listed = await cli.run("audit", "list", "--target", made.id, "--limit", "2")
    assert.match(listed.output, /^AT +ACTOR +FROM +ACTION +TARGET +CHANGED\n/)
    assert.match(listed.output, /127\.0\.0\.1 +webhook\.updated +wh_\w+ +name\n/)
    assert.include(listed.output, "raise --limit")
    const exported = await cli.run("audit", "list", "--target", made.id, "--output", "json")
    assert.deepStrictEqual(
      exported.output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).action),
      ["webhook.paused", "webhook.updated", "webhook.created"]
    )
    const one = await cli.json("audit", "list", "--action", "webhook.paused", "--limit", "1")
    assert.strictEqual(one.target, made.id)
    assert.strictEqual((await cli.run("audit", "list", "--actor", "nobody")).exitCode, 1)
    assert.strictEqual((await cli.run("audit", "list", "--days", "0")).exitCode, 64)
  })

  it("tries a webhook out, counts, and keeps the catalogue", async () => {
    await cli.json("webhooks", "create", receiverUrl, "--uid", "three", "--event-types", "x")
    assert.strictEqual((await cli.json("webhooks", "test", "three")).statusCode, 200)
    const checked = await cli.run("webhooks", "check", "three")
    assert.match(checked.output, /^http +HTTP\/1\.1/m)
    assert.strictEqual((await cli.json("stats", "three")).deliveries.delivered, 0)
    assert.include((await cli.run("stats")).output, "attempts in the last hour")
    assert.strictEqual((await cli.json("event-types", "set", "x.y")).name, "x.y")
    assert.isTrue((await cli.json("event-types", "archive", "x.y")).archived)
    assert.strictEqual((await cli.run("send", "x.y")).exitCode, 1)
    const job = await cli.json("redeliveries", "create", "--dry-run", "--wait")
    assert.isTrue(job.dryRun)
    assert.strictEqual((await cli.run("redeliveries", "cancel", job.id)).exitCode, 1)
  })

  it("holds all sending and lets it go on", async () => {
    assert.isTrue((await cli.json("hold", "maintenance")).held)
    assert.include((await cli.run("release")).output, "false")
  })

  it("says what it does not understand, and where nobody answers", async () => {
    assert.strictEqual((await cli.run("nonsense")).exitCode, 64)
    assert.strictEqual((await cli.run("webhooks", "list", "--limit", "0")).exitCode, 64)
    const invalid = await cli.run("webhooks", "create", receiverUrl, "--set", "timeoutMs=1")
    assert.strictEqual(invalid.exitCode, 1)
    assert.include(invalid.errors, "timeoutMs")
    const url = `http://127.0.0.1:${await freePort()}`
    const nobody = await cli.run("webhooks", "list", "--url", url)
    assert.strictEqual(nobody.exitCode, 69)
    assert.include(nobody.errors, url)
  })
})

describe.each(["embedded", "Postgres"])("posthaste on a database at rest, %s", (ground) => {
  let dataDir: string
  let onGround: Record<string, string>
  let cli: ReturnType<typeof commandLine>
  beforeAll(async () => {
    dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-cli-"))
    onGround =
      ground === "embedded"
        ? {}
        : { POSTHASTE_DATABASE_URL: await createDatabase(), POSTHASTE_SECRET_KEYS: secretKeys }
    cli = commandLine({
      POSTHASTE_DATA_DIR: dataDir,
      // Where no service listens, so that the database is what is left.
      POSTHASTE_PORT: String(await freePort()),
      POSTHASTE_ALLOW_HTTP: "true",
      POSTHASTE_ALLOW_NETWORKS: "127.0.0.0/8",
      ...onGround
    })
  })
  afterAll(() => fs.rmSync(dataDir, { recursive: true, force: true }))

  it("does the same, sends nothing, and names who works on the database", async () => {
    const made = await cli.json("webhooks", "create", receiverUrl, "--uid", "rest")
    const told = await cli.json("audit", "list", "--limit", "1", "--actor", "operator")
    assert.deepInclude(told, { action: "webhook.created", target: made.id, ip: null })
    assert.deepStrictEqual(told.actor, { keyId: null, name: "operator" })
    const sent = await cli.json("send", "at.rest", "{}")
    assert.strictEqual(sent.deliveries, 1)
    const [owed] = (await cli.json("deliveries", "list", "--webhook", "rest")).data
    assert.strictEqual(owed.webhookId, made.id)
    assert.strictEqual(owed.status, "pending")
    assert.notInclude(got, sent.id)

    const [due] = await cli.json("process", "--dry-run")
    assert.strictEqual(due.messageId, sent.id)
    assert.notInclude(got, sent.id)
    const later = await cli.json("send", "at.rest", "{}")

    // One is in the middle of it: the next one names it, and takes over when it was killed.
    hang = true
    const one = cli.start("process")
    await until(() => got.includes(sent.id))
    const two = await cli.run("process")
    assert.strictEqual(two.exitCode, 75, two.errors)
    assert.include(two.errors, String(one.pid))
    await one.kill()
    hang = false
    got.length = 0
    const first = await cli.json("process", "--limit", "1", "--timeout", "60s")
    assert.deepInclude(first, { attempts: 1, delivered: 1, timedOut: false })
    assert.deepStrictEqual(
      got.filter((id) => id === sent.id || id === later.id),
      [sent.id]
    )

    const service = await makeService({ dataDir, env: onGround })
    try {
      await service.start()
      await until(() => got.includes(later.id))
      // It answers elsewhere than the settings of this command line say.
      const locked = await cli.run("webhooks", "list")
      assert.strictEqual(locked.exitCode, 75, locked.errors)
      assert.include(locked.errors, String(service.pid()))
    } finally {
      await service.remove()
    }
  })
})
