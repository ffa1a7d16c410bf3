/**
 * Stops Postgres under load, ends its sessions, freezes it and takes its connections, and compares what
 * was acknowledged with what a receiver got.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Inbox, openInbox, until } from "../support/Inbox.ts"
import { type Postgres, startPostgres } from "../support/Postgres.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, makeService, type Service } from "../support/Service.ts"

const stops = scaled(1, 10)
const outageMs = 3_000
const refusalMsMax = 2_000
/** Of one core, while nothing can be stored; in a short outage the first refusals weigh more. */
const cpuShareMax = scaled(0.5, 0.2)
const recoveryMsMax = 10_000
/** Longer than a commit is waited for, at full size. */
const frozenMs = scaled(3_000, 30_000)
const answerMs = 10_000
const connectionsMax = 40

describe("the service whose Postgres goes away", () => {
  let postgres: Postgres
  let inbox: Inbox
  let service: Service
  let admin: Admin

  beforeAll(async () => {
    postgres = await startPostgres({ settings: { max_connections: connectionsMax } })
    inbox = await openInbox()
    admin = openAdmin(postgres)
    await admin.query("select 1")
    service = await makeService({ databaseUrl: postgres.url })
    await service.start()
    const created = await service.call("POST", "/v1/webhooks", {
      url: `${inbox.url}/hook`,
      concurrency: 64
    })
    assert.strictEqual(created.status, 201)
  })
  afterAll(async () => {
    await service.remove()
    await admin.close()
    inbox.close()
    await postgres.stop()
  })

  /** Publishes all the while, takes the database away `times` times, and checks what must hold. */
  const through = async (
    times: number,
    outage: { readonly begin: () => Promise<unknown>; readonly end: () => Promise<unknown> },
    { lastsMs = outageMs, refusalMs = refusalMsMax, refuses = true } = {}
  ) => {
    const load = startLoad(service)
    const linesBefore = linesOf(service)
    try {
      for (let i = 0; i < times; i++) {
        const acknowledged = load.acknowledged.size
        await until(() => load.acknowledged.size >= acknowledged + 20)
        const refused = load.refusals.length
        await outage.begin()
        const cpu = cpuMs(service.pid())
        await sleep(lastsMs)
        const share = (cpuMs(service.pid()) - cpu) / lastsMs
        if (refuses) {
          assert.isAbove(load.refusals.length, refused)
          assert.isBelow(share, cpuShareMax, "CPU while the database is away")
        }
        await outage.end()
        const backAt = performance.now()
        const known = load.acknowledged.size
        await until(() => load.acknowledged.size > known || performance.now() - backAt > 60_000)
        assert.isBelow(performance.now() - backAt, recoveryMsMax, "milliseconds to recover")
      }
    } finally {
      await load.stop()
    }
    const slowest = Math.max(0, ...load.refusals.map(({ ms }) => ms))
    console.log(
      `${times} outages: ${load.acknowledged.size} acknowledged, ${load.refusals.length} refused, ` +
        `the slowest after ${slowest.toFixed(0)} ms`
    )
    for (const { ms, retryAfter, status } of load.refusals) {
      assert.strictEqual(status, 503)
      assert.isAtLeast(Number(retryAfter), 1)
      assert.isBelow(ms, refusalMs, "milliseconds to a refusal")
    }
    await until(() => [...load.acknowledged].every((id) => inbox.ids.has(id)))
    assert.isBelow(linesOf(service) - linesBefore, 40 * times, "log lines")
    // The session that owns the deliveries is made again once a second.
    await until(async () => (await service.call("GET", "/health/ready")).status === 200)
    return load
  }

  it(
    `goes on by itself after ${stops} stops, and loses nothing`,
    { timeout: 600_000 },
    async () => {
      const pid = service.pid()
      await through(stops, {
        begin: () => postgres.kill("SIGINT"),
        end: () => postgres.restart()
      })
      assert.strictEqual(service.pid(), pid)
    }
  )

  it("goes on when all of its sessions are ended", async () => {
    const end = () => admin.query(endSessions)
    await through(scaled(1, 10), { begin: end, end }, { refuses: false })
  })

  it(`refuses while Postgres is frozen, and goes on`, { timeout: 600_000 }, async () => {
    const isLong = frozenMs > answerMs + refusalMsMax
    const uid = "asked-for"
    await service.call("PUT", `/v1/webhooks/${uid}`, { url: inbox.url, eventTypes: ["none"] })
    const asked: Array<Promise<Asked>> = []
    const removed: Array<Doomed> = []
    await through(
      scaled(1, 3),
      {
        begin: async () => {
          const doomed = await makeDoomed(service, inbox.url)
          removed.push(...doomed)
          signalAll(postgres, "SIGSTOP")
          asked.push(...askAll(service, uid, inbox.url, doomed))
        },
        end: async () => signalAll(postgres, "SIGCONT")
      },
      { lastsMs: frozenMs, refusalMs: answerMs + refusalMsMax, refuses: isLong }
    )
    const answers = await Promise.all(asked)
    const slowest = Math.max(...answers.map(({ ms }) => ms))
    console.log(`${answers.length} other requests, the slowest took ${slowest.toFixed(0)} ms`)
    for (const { contentType, ms, retryAfter, status, what } of answers) {
      assert.isBelow(ms, answerMs + refusalMsMax, what)
      if (!isLong && status < 300) continue
      assert.strictEqual(status, 503, what)
      assert.strictEqual(contentType, "application/problem+json", what)
      assert.isAtLeast(Number(retryAfter), 1, what)
    }
    // Each is there as it was or gone altogether, and can be removed once.
    let there = 0
    for (const { isThere, remove } of removed) {
      const before = await isThere()
      if (before) there++
      assert.strictEqual((await service.call("DELETE", remove)).status, before ? 204 : 404, remove)
      assert.isFalse(await isThere(), remove)
    }
    console.log(`${removed.length} removals, after which ${there} were still there`)
    const doomed = await makeDoomed(service, inbox.url)
    for (const again of await Promise.all(askAll(service, uid, inbox.url, doomed))) {
      assert.isBelow(again.status, 300, again.what)
    }
  })

  it("refuses while others have all connections, and goes on", async () => {
    let others: Others | undefined
    await through(scaled(1, 5), {
      begin: async () => {
        others = takeConnections(postgres)
        // The service may win a session that was ended, so they are ended until it has none.
        await until(async () => {
          await admin.query(endSessions)
          await others!.becomesFull()
          return (await admin.query(sessions)).length === 0
        })
      },
      end: async () => others!.close()
    })
  })
})

const sessions = `select pid from pg_stat_activity where application_name like 'posthaste%'`
const endSessions = `select pg_terminate_backend(pid) from (${sessions}) s`

/** An answer to a request that is no publish. */
interface Asked {
  readonly what: string
  readonly status: number
  readonly contentType: string | null
  readonly retryAfter: string | null
  readonly ms: number
}

/** Something that is made to be removed. */
interface Doomed {
  /** The path that removes it. */
  readonly remove: string
  /** Says whether it is there, whole: a list knows it as well as its own path. */
  readonly isThere: () => Promise<boolean>
}

/** Makes one of each thing that can be removed. */
const makeDoomed = async (service: Service, url: string): Promise<ReadonlyArray<Doomed>> => {
  const made = async (method: string, path: string, body: object) => {
    const { json, status } = await service.call(method, path, body)
    assert.isBelow(status, 300, path)
    return json
  }
  const name = `doomed.n${Math.random().toString(36).slice(2)}`
  const webhook = await made("POST", "/v1/webhooks", { url, eventTypes: ["none"] })
  const tenant = await made("POST", "/v1/tenants", { uid: name, name })
  await made("POST", "/v1/event-types", { name })
  const key = await made("POST", "/v1/tenants/default/keys", { name, scopes: ["read"] })

  const found = async (path: string) => {
    const { status } = await service.call("GET", path)
    assert.include([200, 404], status, path)
    return status === 200
  }
  const listed = async (list: string, is: (one: Record<string, unknown>) => boolean) => {
    const { json, status } = await service.call("GET", `${list}?limit=250`)
    assert.strictEqual(status, 200, list)
    return json.data.some(is)
  }
  const opens = async () => {
    const { status } = await fetch(`${service.baseUrl}/v1/webhooks`, {
      headers: { authorization: `Bearer ${key.key}` }
    })
    assert.include([200, 401], status)
    return status === 200
  }
  const both = async (one: Promise<boolean>, other: Promise<boolean>) => {
    assert.strictEqual(await one, await other)
    return one
  }
  const known = (list: string, path: string, is: (one: Record<string, unknown>) => boolean) => ({
    remove: path,
    isThere: () => both(found(path), listed(list, is))
  })
  return [
    known("/v1/webhooks", `/v1/webhooks/${webhook.id}`, ({ id }) => id === webhook.id),
    known("/v1/tenants", `/v1/tenants/${name}`, ({ id }) => id === tenant.id),
    known("/v1/event-types", `/v1/event-types/${name}`, (one) => one["name"] === name),
    {
      remove: `/v1/tenants/default/keys/${key.id}`,
      isThere: () =>
        both(
          opens(),
          listed("/v1/tenants/default/keys", ({ id }) => id === key.id)
        )
    }
  ]
}

/**
 * Asks for lists and single things, changes some and removes others, all at once; `uid` names a webhook.
 */
const askAll = (
  service: Service,
  uid: string,
  url: string,
  doomed: ReadonlyArray<Doomed>
): ReadonlyArray<Promise<Asked>> =>
  (
    [
      ["GET", "/v1/webhooks"],
      ["GET", `/v1/webhooks/${uid}`],
      ["GET", `/v1/webhooks/${uid}/stats`],
      ["GET", "/v1/messages"],
      ["GET", "/v1/deliveries"],
      ["GET", "/v1/redeliveries"],
      ["GET", "/v1/event-types"],
      ["GET", "/v1/stats"],
      ["GET", "/v1/tenants"],
      ["GET", "/v1/tenants/default/keys"],
      ["POST", "/v1/webhooks", { url, eventTypes: ["none"] }],
      ["PATCH", `/v1/webhooks/${uid}`, { name: "changed" }],
      ["POST", `/v1/webhooks/${uid}/pause`],
      ["POST", "/v1/tenants/default/keys", { name: "made", scopes: ["read"] }],
      [
        "POST",
        "/v1/messages",
        { type: "none", data: 1, webhook: { url: `${url}/${Math.random()}` } }
      ],
      ["POST", "/v1/messages/batch", { messages: [{ type: "none", data: 1 }] }],
      ...doomed.map(({ remove }) => ["DELETE", remove] as const)
    ] as const
  ).map(async ([method, path, body]) => {
    const beganAt = performance.now()
    const { headers, status } = await service.call(method, path, body)
    return {
      what: `${method} ${path}`,
      status,
      contentType: headers.get("content-type"),
      retryAfter: headers.get("retry-after"),
      ms: performance.now() - beganAt
    }
  })

/** Signals the postmaster and all its children. */
const signalAll = (postgres: Postgres, signal: NodeJS.Signals) => {
  const { pid } = postgres
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
  for (const one of [pid, ...children.trim().split(" ").map(Number)]) process.kill(one, signal)
}

interface Others {
  /** Waits until the server turns one of them away from now on. */
  readonly becomesFull: () => Promise<unknown>
  readonly close: () => void
}

/** Opens sessions as fast as the server lets it, and keeps them. */
const takeConnections = (postgres: Postgres): Others => {
  const words = Buffer.from("user\0posthaste\0database\0postgres\0\0")
  const startup = Buffer.alloc(8)
  startup.writeInt32BE(8 + words.length)
  startup.writeInt32BE(196_608, 4)
  const sockets = new Set<net.Socket>()
  let turnedAway = 0
  const open = () => {
    const socket = net.connect(postgres.port, "127.0.0.1", () => {
      socket.write(Buffer.concat([startup, words]))
    })
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
    socket.on("data", (data) => {
      if (data[0] === "E".charCodeAt(0)) turnedAway++
    })
  }
  const timer = setInterval(() => {
    for (let i = 0; i < 4; i++) open()
  }, 10)
  return {
    becomesFull: () => {
      const before = turnedAway
      return until(() => turnedAway > before)
    },
    close: () => {
      clearInterval(timer)
      for (const socket of sockets) socket.destroy()
    }
  }
}

interface Refusal {
  readonly status: number
  readonly retryAfter: string | null
  readonly ms: number
}

/** Publishes from four callers, each as soon as it has its answer and a little later. */
const startLoad = (service: Service) => {
  const acknowledged = new Set<string>()
  const refusals: Array<Refusal> = []
  let ended = false
  const publish = async () => {
    while (!ended) {
      const beganAt = performance.now()
      const response = await fetch(`${service.baseUrl}/v1/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
        body: JSON.stringify({ type: "order.placed", data: { note: "x".repeat(200) } })
      })
      const text = await response.text()
      const ms = performance.now() - beganAt
      if (response.status === 202) acknowledged.add(JSON.parse(text).id)
      else {
        const retryAfter = response.headers.get("retry-after")
        refusals.push({ status: response.status, retryAfter, ms })
      }
      await sleep(response.status === 202 ? 5 : 100)
    }
  }
  const running = Promise.all(Array.from({ length: 4 }, publish))
  return {
    acknowledged,
    refusals,
    stop: async () => {
      ended = true
      await running
    }
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const linesOf = (service: Service): number => service.output().split("\n").length

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))

/** Reads the CPU that a process took so far, in milliseconds. */
const cpuMs = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1_000
}

interface Admin {
  readonly query: (text: string) => Promise<ReadonlyArray<unknown>>
  readonly close: () => Promise<void>
}

/** Opens a session of the test's own, which stays open until the server ends it. */
const openAdmin = (postgres: Postgres): Admin => {
  const runtime = ManagedRuntime.make(
    PgClient.layer({
      url: Redacted.make(postgres.url),
      maxConnections: 1,
      idleTimeout: "1 hour",
      applicationName: "admin"
    })
  )
  return {
    query: (text) =>
      runtime.runPromise(Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(text).unprepared)),
    close: () => runtime.dispose()
  }
}
