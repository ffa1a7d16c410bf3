/**
 * The service as a child process, used the way its users do: started, driven over HTTP, stopped,
 * started wrongly.
 */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook as SvixWebhook } from "svix"
import { assert, beforeAll, describe, it } from "vitest"
import { borrowing } from "../support/Borrowing.ts"
import { until } from "../support/Inbox.ts"
import { makeService, residentBytes, secretKeys, type Service } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const grounds = [
  { ground: "PGlite", options: async () => ({}) },
  { ground: "Postgres", options: async () => ({ databaseUrl: await createDatabase() }) }
]

const { inbox, prepared } = borrowing()

const started = async (...options: Parameters<typeof prepared>) => {
  const service = await prepared(...options)
  await service.start()
  return service
}

describe.each(grounds)("the service on $ground", ({ ground, options }) => {
  let service: Service
  beforeAll(async () => {
    service = await started(await options())
  })

  it("delivers 1,000 random messages that two independent libraries verify", async () => {
    const receiver = await inbox()
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: receiver.url,
      eventTypes: ["random.thing"]
    })
    const contents = Array.from({ length: 1_000 }, (_, i) => ({
      i,
      text: randomBytes(i % 300).toString("latin1"),
      nested: { value: Math.sin(i), list: [i, String(i), null, "Zoë 🪝 東京"] }
    }))
    for (let i = 0; i < contents.length; i += 50) {
      await Promise.all(
        contents
          .slice(i, i + 50)
          .map((data) => service.call("POST", "/v1/messages", { type: "random.thing", data }))
      )
    }
    await until(() => receiver.ids.size === 1_000)
    const standard = new StandardWebhook(webhook.secret)
    const svix = new SvixWebhook(webhook.secret)
    const seen = new Set<number>()
    for (const { body, headers } of receiver.received) {
      const signed = {
        "webhook-id": String(headers["webhook-id"]),
        "webhook-timestamp": String(headers["webhook-timestamp"]),
        "webhook-signature": String(headers["webhook-signature"])
      }
      const message = standard.verify(body, signed) as { data: (typeof contents)[number] }
      svix.verify(body, signed)
      assert.deepStrictEqual(message.data, contents[message.data.i])
      seen.add(message.data.i)
    }
    assert.strictEqual(seen.size, 1_000)
    console.log(`${ground}: idle service ${mib(residentBytes(service.pid()))} after 1,000 messages`)
  })

  it("finishes and settles what is in flight when it is told to stop", async () => {
    const receiver = await inbox((_, response) => {
      setTimeout(() => response.writeHead(200).end(), 1_000)
    })
    await service.call("POST", "/v1/webhooks", { url: receiver.url, eventTypes: ["slow.thing"] })
    const { json: message } = await service.call("POST", "/v1/messages", {
      type: "slow.thing",
      data: 1
    })
    await until(() => receiver.received.length === 1)
    assert.strictEqual(await service.end("SIGTERM"), 0)
    await service.start()
    const { json } = await service.call("GET", `/v1/messages/${message.id}`)
    assert.strictEqual(json.deliveries[0].status, "delivered")
    assert.lengthOf(receiver.received, 1)
  })

  it("starts again with 10,000 deliveries waiting, within its memory", async () => {
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: "http://127.0.0.1:9/",
      eventTypes: ["held.thing"],
      circuit: { failures: 1, openMs: 3_600_000, openMsMax: 3_600_000 }
    })
    await service.call("POST", `/v1/webhooks/${webhook.id}/pause`)
    await publishMany(service, "held.thing", 10_000)
    await service.call("POST", `/v1/webhooks/${webhook.id}/resume`)
    await until(async () => {
      const { json } = await service.call("GET", `/v1/webhooks/${webhook.id}`)
      return json.circuit.state === "open"
    })
    const before = residentBytes(service.pid())
    await service.end("SIGKILL")
    const ms = await service.start()
    const after = residentBytes(service.pid())
    console.log(
      `${ground}: ready in ${Math.round(ms)} ms with 10,000 waiting, ` +
        `RSS ${mib(before)} before, ${mib(after)} after the start`
    )
    const { json } = await service.call("GET", "/v1/deliveries?limit=250&status=held")
    assert.lengthOf(json.data, 250)
  })
})

describe("the service", () => {
  it("refuses a data directory that another one holds, and names its process", async () => {
    const first = await started()
    const second = await makeService({ dataDir: first.dataDir })
    const error = await second.start().then(
      () => undefined,
      (failure: Error) => failure
    )
    assert.include(error?.message, String(first.pid()))
    await second.remove()
    assert.strictEqual((await first.call("GET", "/v1/webhooks")).status, 200)
  })

  it.each([
    ["POSTHASTE_PORT", "eighty"],
    ["POSTHASTE_LOG_LEVEL", "loud"],
    ["POSTHASTE_ALLOW_NETWORKS", "10/8"],
    ["POSTHASTE_SHUTDOWN_TIMEOUT", "soon"],
    ["POSTHASTE_AUDIT_RETENTION", "1 hour"],
    ["POSTHASTE_SECRET_KEYS", "k1:hidden"],
    ["POSTHASTE_DATABASE_URL", "postgres://nobody:hidden@127.0.0.1:1/none"]
  ])("does not start with a wrong %s, and says so in one line", (name, value) => {
    const { said, status } = command(["serve"], { [name]: value })
    assert.notStrictEqual(status, 0)
    assert.lengthOf(said, 1, said.join("\n"))
    assert.include(said[0], name === "POSTHASTE_DATABASE_URL" ? "127.0.0.1:1/none" : name)
    assert.notInclude(said[0], "hidden")
  })

  it("does not start on Postgres without a key ring, and says how to make one", async () => {
    const { status, said } = command(["serve"], {
      POSTHASTE_DATABASE_URL: await createDatabase()
    })
    assert.strictEqual(status, 78)
    assert.notInclude(said.join(), "Migrated")
    assert.match(said.at(-1)!, /^POSTHASTE_SECRET_KEYS: /)
    const script = /node -p "(.*)"$/.exec(said.at(-1)!)?.[1]
    const made = spawnSync(process.execPath, ["-p", script ?? ""], { encoding: "utf8" })
    assert.match(made.stdout, /^k1:[A-Za-z0-9+/]{43}=\n$/)
  })

  it("signs on while its keys are rotated, and keeps no secret in a dump", async () => {
    const databaseUrl = await createDatabase()
    const receiver = await inbox()
    const canary = `whsec_${Buffer.from("canary-canary-canary-canary!").toString("base64")}`
    const rotated = `new:${Buffer.alloc(32, 9).toString("base64")},${secretKeys}`
    const service = await started({ databaseUrl })
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: receiver.url,
      secret: canary
    })
    const deliver = async (service: Service) => {
      const from = receiver.received.length
      await service.call("POST", "/v1/messages", { type: "a.b", data: 1 })
      await until(() => receiver.received.length === from + 1)
      const { body, headers } = receiver.received.at(-1)!
      new StandardWebhook(canary).verify(body, {
        "webhook-id": String(headers["webhook-id"]),
        "webhook-timestamp": String(headers["webhook-timestamp"]),
        "webhook-signature": String(headers["webhook-signature"])
      })
    }
    await deliver(service)
    await service.end("SIGTERM")

    const next = await prepared({ databaseUrl, env: { POSTHASTE_SECRET_KEYS: rotated } })
    await next.start()
    const { said, status } = command(["secrets", "rotate-keys"], {
      POSTHASTE_DATABASE_URL: databaseUrl,
      POSTHASTE_SECRET_KEYS: rotated
    })
    assert.strictEqual(status, 0, said.join("\n"))
    assert.match(said.at(-1)!, /^new +1$/)
    await deliver(next)
    const { json } = await next.call("GET", `/v1/webhooks/${webhook.id}/secret`)
    assert.strictEqual(json.secret, canary)

    const dump = spawnSync("pg_dump", ["--inserts", databaseUrl], { encoding: "latin1" })
    assert.include(dump.stdout, receiver.url, dump.stderr)
    for (const form of [canary, canary.slice(6), "canary-canary", hexOf("canary-canary")]) {
      assert.notInclude(dump.stdout, form)
    }
  })

  it("holds what is owed to a webhook whose secret it cannot read, unsent", async () => {
    const databaseUrl = await createDatabase()
    const receiver = await inbox()
    const service = await started({ databaseUrl })
    const { json: webhook } = await service.call("POST", "/v1/webhooks", { url: receiver.url })
    await service.end("SIGTERM")
    const POSTHASTE_SECRET_KEYS = `other:${Buffer.alloc(32, 9).toString("base64")}`
    const wrong = await prepared({ databaseUrl, env: { POSTHASTE_SECRET_KEYS } })
    await wrong.start()
    const publish = (service: Service) =>
      service.call("POST", "/v1/messages", { type: "a.b", data: 1 })
    const { json: message } = await publish(wrong)
    await until(() => wrong.output().includes("No secret of the webhook"))
    assert.include(wrong.output(), "secret_unreadable")
    assert.strictEqual((await wrong.call("GET", `/v1/webhooks/${webhook.id}`)).status, 200)
    const hidden = await wrong.call("GET", `/v1/webhooks/${webhook.id}/secret`)
    assert.deepInclude(hidden.json, { status: 409, code: "secret_unreadable" })
    const renamed = await wrong.call("PATCH", `/v1/webhooks/${webhook.id}`, { name: "renamed" })
    assert.strictEqual(renamed.status, 200)
    const { json } = await wrong.call("GET", `/v1/messages/${message.id}`)
    assert.deepInclude(json.deliveries[0], { status: "pending", attempts: 0 })
    await wrong.end("SIGTERM")
    assert.lengthOf(receiver.received, 0)
    await service.start()
    await publish(service)
    await until(() => receiver.ids.size === 2)
    assert.isTrue(receiver.ids.has(message.id))
  })

  it("rotates the keys of an embedded database only while no service holds it", async () => {
    const service = await started()
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: "http://127.0.0.1:9/"
    })
    const env = {
      POSTHASTE_DATA_DIR: service.dataDir,
      POSTHASTE_SECRET_KEYS: `new:${Buffer.alloc(32, 9).toString("base64")}`
    }
    const refused = command(["secrets", "rotate-keys"], env)
    assert.strictEqual(refused.status, 75)
    assert.include(refused.said.join(), String(service.pid()))
    await service.end("SIGTERM")
    const { said, status } = command(["secrets", "rotate-keys"], env)
    assert.strictEqual(status, 0, said.join("\n"))
    assert.match(said.at(-1)!, /^new +1$/)
    const next = await prepared({ dataDir: service.dataDir, env })
    await next.start()
    const { json } = await next.call("GET", `/v1/webhooks/${webhook.id}/secret`)
    assert.strictEqual(json.secret, webhook.secret)
  })
})

/** Runs one command to its end; answers its exit code and the lines it said. */
const command = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) => {
  const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
  const run = spawnSync(process.execPath, [main, ...args], {
    env: { PATH: process.env["PATH"], ...env },
    encoding: "utf8",
    // Ends what hangs; a busy machine is no reason to fail.
    timeout: 100_000
  })
  return { status: run.status, said: `${run.stdout}${run.stderr}`.trim().split("\n") }
}

const hexOf = (text: string) => Buffer.from(text).toString("hex")

const publishMany = async (service: Service, type: string, count: number) => {
  const size = 500
  for (let from = 0; from < count; from += size) {
    const messages = Array.from({ length: size }, (_, i) => ({ type, data: { n: from + i } }))
    const { json } = await service.call("POST", "/v1/messages/batch", { messages })
    assert.strictEqual(json.accepted, size)
  }
}

const mib = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`
