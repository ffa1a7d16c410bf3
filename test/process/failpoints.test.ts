/**
 * Kills the service at every named step, on both grounds, starts it again on the same data, and lets
 * the books of producers, receivers and the store be compared.
 *
 * A step is driven to by what reaches it in life: a load, a retry, a person's request, a first start.
 * The deaths of one step follow each other on one database, each at another passing of it; then the
 * service runs unarmed until nothing is owed.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { type Failpoint, failpoints } from "../../src/telemetry/Failpoint.ts"
import { addAgedDays, countAged } from "../support/Aged.ts"
import { copyEmptyPglite } from "../support/EmptyPglite.ts"
import { isOwing, registerHooks, settled } from "../support/Hooks.ts"
import { until } from "../support/Inbox.ts"
import { type Ledger, openLedger } from "../support/Ledger.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, makeService, type Service } from "../support/Service.ts"
import { type Place, withStore } from "../support/Store.ts"
import { judgeTrail } from "../support/Trail.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const killsOfStep = Number(process.env["POSTHASTE_TEST_KILLS"] ?? scaled(1, 5))
const reachMsMax = 60_000

/** A service whose life is long, and the books that are kept over it. */
interface Site {
  readonly place: Place
  readonly service: Service
  readonly ledger: Ledger
  /** What every start is given besides. */
  env: Record<string, string | undefined>
  /** Counts what drives make, so that each is new. */
  made: number
  /** Said again once all is well. */
  readonly creations: Array<{ readonly key: string; readonly body: unknown }>
}

/** How a step is reached. */
interface Drive {
  /** The only ground that has the step. */
  readonly ground?: Ground
  /** The database is empty at first, and made, if at all, by what is killed. */
  readonly fresh?: "empty" | "unmade"
  /** A step of a database's first day: each death needs a database of its own. */
  readonly isOnce?: true
  /** At which passing it dies, in turn. */
  readonly hits: ReadonlyArray<number>
  /** No publishing all the while. */
  readonly quiet?: true
  /** Done while the service is down, before each armed start. */
  readonly before?: (site: Site) => Promise<unknown>
  /** Done again and again until it dies. */
  readonly act?: (site: Site) => Promise<unknown>
  /** Starts what dies, where that is not the service. */
  readonly kill?: (site: Site, armed: string) => Promise<NodeJS.Signals | null>
  /** A start of its own after the deaths, before the one that all have. */
  readonly revive?: (site: Site) => Promise<unknown>
  /** Holds once the service is well again. */
  readonly after?: (site: Site) => Promise<unknown>
}

const call = (
  { service }: Site,
  method: string,
  at: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {}
) =>
  fetch(`${service.baseUrl}${at}`, {
    method,
    headers: {
      authorization: `Bearer ${adminKey}`,
      "content-type": "application/json",
      ...headers
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  }).then(async (response) => {
    const text = await response.text()
    return { status: response.status, json: text === "" ? undefined : JSON.parse(text) }
  })

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Publishes one message to a webhook of its own, whose receiver is never content. */
const toOneOfItsOwn = async (site: Site, at: "gone" | "failing") => {
  const name = `${at}${site.made++}`
  await call(site, "PUT", `/v1/webhooks/${name}`, {
    url: `${site.ledger.inbox.url}/${at}`,
    eventTypes: [`${at}.${name}`],
    retry: { kind: "table", delaysMs: [10, 10], jitter: 0 }
  })
  await site.ledger.publish(site.service, { type: `${at}.${name}`, must: false })
  await sleep(200)
}

const toSlow = (site: Site, count: number, rest = {}, must = true) =>
  Promise.all(
    Array.from({ length: count }, () =>
      site.ledger.publish(site.service, { type: "slow.one", rest, must })
    )
  )

const pause = (site: Site) => call(site, "POST", "/v1/webhooks/slow/pause")
const resume = (site: Site) => call(site, "POST", "/v1/webhooks/slow/resume")

const opening: Drive = { hits: [1] }
const loaded: Drive = { hits: [2, 1, 9, 30, 4] }
const stopping: Drive = {
  hits: [1],
  act: async (site) => {
    await toSlow(site, 5)
    await site.service.end("SIGTERM")
  }
}
const parking: Drive = {
  hits: [1, 2],
  act: async (site) => {
    await toSlow(site, 20)
    await pause(site)
    await resume(site)
  }
}
const holding: Drive = {
  hits: [1],
  act: async (site) => {
    await call(site, "POST", "/v1/hold")
    await call(site, "POST", "/v1/release")
  }
}
const noticing: Drive = { hits: [1, 2], act: (site) => toOneOfItsOwn(site, "failing") }
const creating: Drive = {
  hits: [1, 2],
  act: async (site) => {
    const key = `made${site.made++}`
    const body = { uid: key, url: `${site.ledger.inbox.url}/other`, eventTypes: ["never"] }
    site.creations.push({ key, body })
    await call(site, "POST", "/v1/webhooks", body, { "idempotency-key": key })
  },
  after: async (site) => {
    for (const { body, key } of site.creations) {
      const { status } = await call(site, "POST", "/v1/webhooks", body, { "idempotency-key": key })
      assert.oneOf(status, [200, 201])
    }
    const listed = await call(site, "GET", "/v1/webhooks?q=made&limit=250")
    assert.strictEqual(listed.json.data.length, site.creations.length)
  }
}
const erasing: Drive = {
  hits: [1],
  act: async (site) => {
    const uid = `tenant${site.made++}`
    const as = { "posthaste-tenant": uid }
    await call(site, "POST", "/v1/tenants", { uid, name: uid })
    await call(site, "POST", "/v1/webhooks", { url: `${site.ledger.inbox.url}/other` }, as)
    await call(site, "POST", "/v1/messages", { type: "order.placed", data: {} }, as)
    await call(site, "DELETE", `/v1/tenants/${uid}`)
    await sleep(200)
  },
  after: async (site) => {
    const others = async (): Promise<ReadonlyArray<{ readonly uid: string }>> => {
      const { json } = await call(site, "GET", "/v1/tenants?limit=250")
      return json.data.filter((tenant: { uid: string }) => tenant.uid !== "default")
    }
    // Whose end was never answered is ended now.
    for (const { uid } of await others()) await call(site, "DELETE", `/v1/tenants/${uid}`)
    await until(async () => (await others()).length === 0)
    await sleep(500)
  }
}
const redelivering: Drive = {
  hits: [1],
  quiet: true,
  act: async (site) => {
    await toSlow(site, 3)
    const key = { "idempotency-key": `job${site.made++}` }
    await call(site, "POST", "/v1/redeliveries", { webhook: "slow", status: "delivered" }, key)
    await sleep(300)
  },
  after: async (site) => {
    await until(async () => {
      const { json } = await call(site, "GET", "/v1/redeliveries?limit=250")
      return json.data.every(({ state }: { state: string }) => state === "done")
    })
    await until(async () => !(await isOwing(site.service)))
  }
}
const rotating: Drive = {
  hits: [1],
  kill: (site, armed) => {
    const ring = Array.from(
      { length: ++site.made + 1 },
      (_, i) => `ring${i}:${Buffer.alloc(32, i).toString("base64")}`
    ).toReversed()
    const former = site.env["POSTHASTE_SECRET_KEYS"] ?? firstRing
    site.env["POSTHASTE_SECRET_KEYS"] = [...new Set([...ring, ...former.split(",")])].join(",")
    return rotateKeys(site, armed)
  },
  after: async (site) => {
    await site.service.end("SIGTERM")
    assert.isNull(await rotateKeys(site, undefined))
    const newest = site.env["POSTHASTE_SECRET_KEYS"]!.split(",")[0]
    // All that is left is opened by the newest key alone.
    await site.service.start({ ...site.env, POSTHASTE_SECRET_KEYS: newest })
    await site.ledger.publish(site.service, { type: "order.placed" })
  }
}
const retaining: Drive = {
  hits: [1],
  quiet: true,
  before: (site) =>
    withStore(site.place, async (query) => {
      const k = site.made++
      for (const { id, key } of await addAgedDays(query, [10 + 2 * k, 40 + 2 * k])) {
        site.ledger.adopt(key, "aged.one", id)
      }
    }),
  after: async (site) => {
    // It begins with the start, and leaves the two of each time that were owed until now.
    await until(async () => {
      const { json } = await call(site, "GET", "/v1/messages?type=aged.one&limit=250")
      return json.data.length === 2 * site.made
    })
    await site.service.end("SIGTERM")
    assert.strictEqual(await withStore(site.place, (query) => countAged(query, 4)), 0)
  }
}
const fresh: Drive = { fresh: "empty", hits: [1, 2, 1, 3, 1] }
const firstKey: Drive = {
  fresh: "empty",
  hits: [1],
  isOnce: true,
  before: async (site) => {
    site.env["POSTHASTE_ADMIN_KEY"] = undefined
  },
  revive: async (site) => {
    await site.service.start(site.env)
    const key = fs.readFileSync(path.join(site.place.dataDir, "admin-key"), "utf8").trim()
    const { status } = await call(site, "GET", "/v1/tenants", undefined, {
      authorization: `Bearer ${key}`
    })
    assert.strictEqual(status, 200)
    await site.service.end("SIGTERM")
    // The other callers have the key that tests are given.
    delete site.env["POSTHASTE_ADMIN_KEY"]
  }
}

const drives: Record<Failpoint, Drive> = {
  "directory.claimed": { ...opening, ground: "PGlite" },
  "directory.replaced": { ...opening, ground: "PGlite" },
  "pglite.made": { ground: "PGlite", fresh: "unmade", hits: [1] },
  "keyfile.written": { ...fresh, ground: "PGlite", hits: [1] },
  "keyfile.placed": { ...fresh, ground: "PGlite", hits: [1], isOnce: true },
  "database.opened": opening,
  "migration.locked": fresh,
  "migration.ran": fresh,
  "migration.recorded": fresh,
  "migration.committed": fresh,
  "ownership.locked": opening,
  "ownership.taken": opening,
  "partition.created": fresh,
  "upkeep.prepared": opening,
  "upkeep.expired": opening,
  "recovery.begun": opening,
  "recovery.committed": opening,
  "recovery.planned": opening,
  "firststart.tenant": opening,
  "firststart.key_written": firstKey,
  "firststart.key_placed": firstKey,
  "firststart.key_taken": firstKey,
  "publish.judged": loaded,
  "publish.reserved": loaded,
  "publish.written": loaded,
  "publish.rejected": loaded,
  "publish.committed": loaded,
  "publish.handed": loaded,
  "publish.repeated": loaded,
  "publish.answering": loaded,
  "publish.batch_committed": loaded,
  "publish.batch_answering": loaded,
  "send.taken": loaded,
  "send.dispatching": loaded,
  "send.status": loaded,
  "send.ended": loaded,
  "send.answered": loaded,
  "send.pulled": loaded,
  "send.parking": parking,
  "send.parked": parking,
  "send.expired": {
    hits: [1, 2],
    act: async (site) => {
      await toSlow(site, 8)
      await toSlow(site, 8, { expiresAt: new Date(Date.now() + 60).toISOString() }, false)
      await sleep(500)
    }
  },
  "send.roused": opening,
  "send.cancelled": {
    hits: [1, 2],
    act: async (site) => {
      await pause(site)
      const [entry] = await toSlow(site, 1, {}, false)
      const { json } = await call(site, "GET", `/v1/messages/${entry!.ids![0]}`)
      await call(site, "POST", `/v1/deliveries/${json.deliveries[0].id}/cancel`)
      await resume(site)
    }
  },
  "send.redelivered": {
    hits: [1, 2],
    act: async (site) => {
      const { json } = await call(site, "GET", "/v1/deliveries?status=delivered&limit=1")
      if (json.data.length === 0) return
      await call(site, "POST", `/v1/deliveries/${json.data[0].id}/redeliver`)
    }
  },
  "send.resumed": parking,
  "send.held": holding,
  "send.released": holding,
  "settle.decided": loaded,
  "settle.writing": loaded,
  "settle.committed": loaded,
  "settle.announced": loaded,
  "settle.written": loaded,
  "settle.forgotten": loaded,
  "settle.stopping": { hits: [1], act: (site) => toOneOfItsOwn(site, "gone") },
  "notice.pulled": noticing,
  "notice.published": noticing,
  "notice.removed": noticing,
  "webhook.written": creating,
  "webhook.committed": creating,
  "erasure.retired": erasing,
  "erasure.emptied": erasing,
  "erasure.purged": erasing,
  "redelivery.created": redelivering,
  "redelivery.stepped": { ...redelivering, hits: [1, 2] },
  "redelivery.ended": redelivering,
  "rotation.read": rotating,
  "rotation.secrets": rotating,
  "rotation.parts": rotating,
  "retention.surveyed": retaining,
  "retention.detached": { ...retaining, hits: [1, 2] },
  "retention.dropping": { ...retaining, hits: [1, 2] },
  "retention.messages": retaining,
  "retention.attempts": retaining,
  "retention.locked": retaining,
  "retention.removed": retaining,
  "retention.jobs": retaining,
  "shutdown.begun": stopping,
  "shutdown.draining": stopping,
  "shutdown.drained": stopping,
  "shutdown.closing": stopping
}

/** Those that every change is tried with; all the others run at full size. */
const usual: Record<Ground, ReadonlySet<Failpoint>> = {
  PGlite: new Set(["settle.writing"]),
  Postgres: new Set(["migration.ran", "publish.committed", "shutdown.draining"])
}

type Ground = "PGlite" | "Postgres"

const grounds: ReadonlyArray<{
  readonly ground: Ground
  readonly database: () => Promise<string | undefined>
}> = [
  { ground: "PGlite", database: async () => undefined },
  { ground: "Postgres", database: createDatabase }
]

describe.each(grounds)("a service on $ground", ({ database, ground }) => {
  const steps = failpoints.filter(
    (name) =>
      (drives[name].ground ?? ground) === ground && (scaled(0, 1) === 1 || usual[ground].has(name))
  )
  it.concurrent.for(steps)(
    `loses and doubles nothing, killed ${killsOfStep} times at %s`,
    { timeout: 900_000 },
    async (name) => {
      const drive = drives[name]
      const lives = drive.isOnce === true ? killsOfStep : 1
      for (let life = 0; life < lives; life++) {
        const site = await openSite(await database(), drive.fresh)
        try {
          await through(site, name, drive, killsOfStep / lives, `${ground} ${name}`)
        } finally {
          await site.service.remove()
          site.ledger.inbox.close()
        }
      }
    }
  )
})

/** Kills at a step so many times, heals, and compares the books. */
const through = async (site: Site, name: Failpoint, drive: Drive, kills: number, title: string) => {
  const { ledger, place, service } = site
  let deaths = kills
  if (drive.fresh === undefined) {
    deaths++
    await service.start(site.env)
    await registerHooks(site.service, site.ledger)
    await loadUntil(site, 40)
    // What is owed then is found by the next start.
    await service.end(
      drive.before === undefined && drive.kill === undefined ? "SIGKILL" : "SIGTERM"
    )
  }
  for (let kill = 0; kill < kills; kill++) {
    const armed = `${name}:${drive.hits[kill % drive.hits.length]}`
    await drive.before?.(site)
    const signal = await (drive.kill ?? killService(drive))(site, armed)
    assert.strictEqual(signal, "SIGKILL", `${armed} was not reached:\n${service.output()}`)
  }

  await drive.revive?.(site)
  await service.start(site.env)
  await registerHooks(site.service, site.ledger)
  await call(site, "POST", "/v1/release")
  await resume(site)
  if (drive.fresh !== undefined) await loadUntil(site, 40)
  await ledger.repeat(service)
  await settled(site.service, site.ledger)
  await drive.after?.(site)
  if (service.isRunning()) {
    await settled(site.service, site.ledger)
    await service.end("SIGTERM")
  }
  const figures = await withStore(place, async (query) => {
    await judgeTrail(query)
    return ledger.judge(query, deaths)
  })
  console.log(
    `${title}: ${kills} kills, ${figures.acknowledged} acknowledged, 0 lost, ` +
      `${figures.received} received, ${figures.unrecorded} of them again`
  )
}

const openSite = async (databaseUrl: string | undefined, fresh: Drive["fresh"]): Promise<Site> => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-failpoint-"))
  const place = databaseUrl === undefined ? { dataDir } : { dataDir, databaseUrl }
  if (databaseUrl === undefined && fresh !== "unmade") {
    await copyEmptyPglite(path.join(dataDir, "pglite"))
  }
  const service = await makeService(place)
  const remove = async () => {
    await service.remove()
    fs.rmSync(dataDir, { recursive: true, force: true })
  }
  const env = { POSTHASTE_RETENTION_DAYS: "4" }
  const ledger = await openLedger()
  return { place, service: { ...service, remove }, ledger, env, made: 0, creations: [] }
}

const loadUntil = async ({ ledger, service }: Site, count: number) => {
  const enough = ledger.acknowledged() + count
  await ledger.load(service, () => ledger.acknowledged() < enough)
}

/** Starts the service armed and drives it until it is dead. */
const killService = (drive: Drive) => async (site: Site, armed: string) => {
  const { ledger, service } = site
  const env = { ...site.env, POSTHASTE_FAILPOINT: armed }
  const isReady = await service.start(env).then(
    () => true,
    () => false
  )
  if (isReady) {
    let isAlive = true
    const died = service.ended().then(() => (isAlive = false))
    const load = drive.quiet === true ? undefined : ledger.load(service, () => isAlive)
    const act = async () => {
      while (isAlive) {
        // It dies in the middle of it, which is the purpose.
        await drive.act?.(site).catch(() => undefined)
        await sleep(5)
      }
    }
    const acting = act()
    await Promise.race([died, sleep(reachMsMax)])
    if (isAlive) await service.end("SIGTERM")
    await Promise.all([load, acting])
  }
  return service.ended()
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

const firstRing = `test:${Buffer.alloc(32, 7).toString("base64")}`

/** Runs `posthaste secrets rotate-keys` to its end or its death. */
const rotateKeys = async ({ env, place }: Site, armed: string | undefined) => {
  const child = spawn(process.execPath, [main, "secrets", "rotate-keys"], {
    stdio: "ignore",
    env: {
      PATH: process.env["PATH"],
      ...env,
      POSTHASTE_DATA_DIR: place.dataDir,
      POSTHASTE_DATABASE_URL: place.databaseUrl,
      POSTHASTE_FAILPOINT: armed
    }
  })
  const [code, signal]: Array<NodeJS.Signals | null> = await once(child, "exit")
  if (signal === null) assert.strictEqual(Number(code), 0)
  return signal ?? null
}
