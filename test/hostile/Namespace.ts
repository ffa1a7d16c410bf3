/**
 * Runs the real service inside a network namespace where every address leads to this program and none
 * leads out, and reports as JSON what it connected to. Started by `namespace.test.ts`, as root.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { makeService, type Service } from "../support/Service.ts"
import * as DnsServer from "./DnsServer.ts"
import { accepted, generated, refused, refusedUrls, targets } from "./Vectors.ts"

/** What was found. */
export interface Report {
  readonly creates: ReadonlyArray<{ readonly url: string; readonly status: number }>
  readonly updates: ReadonlyArray<{ readonly url: string; readonly status: number }>
  /** `decoys` name the decoy alone: what follows it is a path or a query. */
  readonly generated: { readonly tried: number; readonly refused: number; readonly decoys: number }
  readonly attempts: ReadonlyArray<Tried>
  /** What a test of each webhook came to, and whether a check of it was let out. */
  readonly trials: ReadonlyArray<{
    readonly url: string
    readonly test: string
    readonly passed: boolean
  }>
  readonly names: ReadonlyArray<Tried>
  readonly rebinding: {
    readonly names: number
    readonly delivered: number
    readonly blocked: number
    /** Names that were asked for more than once after they were registered. */
    readonly askedAgain: number
  }
  /** The middle of the time that a refusal took, in milliseconds. */
  readonly refusalMs: { readonly literal: number; readonly name: number }
  readonly syns: ReadonlyArray<{
    readonly address: string
    readonly port: number
    readonly count: number
  }>
  readonly apiPort: number
  /** What the service logged about addresses. */
  readonly logged: ReadonlyArray<string>
}

interface Tried {
  readonly url: string
  readonly class: string
  readonly status: string
  readonly error: string | null
  readonly durationMs: number
}

/** The address that names lead to where they lead to the public. */
const out = "93.184.216.34"

/** Names and what they lead to (SEC-05, T-40, T-50, T-51). */
const zone: Readonly<Record<string, (type: "A" | "AAAA") => DnsServer.Answer>> = {
  "public.example.net": () => ({ addresses: [out] }),
  "private.example.net": () => ({ addresses: ["10.20.30.40"] }),
  "mixed.example.net": () => ({ addresses: [out, "10.20.30.40"] }),
  "sneaky.example.net": () => ({ addresses: [out, "::1"] }),
  "empty.example.net": () => ({ addresses: [] }),
  "servfail.example.net": () => ({ code: "SERVFAIL" }),
  "lame.example.net": () => ({ code: "REFUSED" }),
  "silent.example.net": () => "silence",
  "alias.example.net": () => ({ alias: "inside.example.net", addresses: ["10.20.30.40"] }),
  "loop.example.net": () => ({ alias: "loop.example.net" }),
  "crowd.example.net": () => ({
    addresses: Array.from({ length: 17 }, (_, i) => `93.184.216.${i + 1}`)
  }),
  "noise.example.net": () => ({ addresses: [out], noise: 40 }),
  "nat64.example.net": () => ({ addresses: ["64:ff9b::808:808"] }),
  "mapped.example.net": () => ({ addresses: ["::ffff:10.20.30.40"] }),
  "meta.example.net": () => ({ addresses: ["169.254.169.254"] }),
  "five.example.net": () => ({
    addresses: ["9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4", "9.9.9.5"]
  }),
  "six.example.net": () => ({ addresses: ["2606:4700:4700::1111"] }),
  "brokensix.example.net": () => ({ addresses: ["2606:4700:dead::1", out] }),
  "darksix.example.net": () => ({ addresses: ["2606:4700:dead::2", "9.9.9.5"] })
}

const ports: Readonly<Record<string, number>> = {
  "five.example.net": 8081,
  "darksix.example.net": 8081
}

/** Names that are led elsewhere at once: a name server that is asked for more may be late. */
const flipsAtOnce = 50
const rebindOf = (i: number) => `rebind.n${Math.floor(i / flipsAtOnce)}`

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const main = async (flips: number, generatedMax: number): Promise<Report> => {
  const helpers: Array<ChildProcess> = []
  const helper = async (file: string, ...args: ReadonlyArray<string>) => {
    const child = spawn("python3", [here(file), ...args], { stdio: ["pipe", "pipe", "inherit"] })
    helpers.push(child)
    child.once("exit", (code) => {
      if (code !== null && code !== 0) throw new Error(`${file} ended with ${code}`)
    })
    await once(child.stdout, "data")
    return child
  }
  const syns = await helper("syns.py")
  await helper(
    "stuck.py",
    ...["9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4", "9.9.9.9", "2606:4700:dead::2"].map(
      (address) => `${address},8081`
    )
  )
  const dns = await DnsServer.open("127.0.0.1", (name, type, asked) => {
    // The first answer is what is judged; whoever asks again is led elsewhere.
    const flip = /^r(\d+)\.rebind\.example\.net$/.exec(name)
    if (flip !== null) {
      if (type === "AAAA") return { addresses: [] }
      const isPublic = (Number(flip[1]) + asked) % 2 === 1
      return { addresses: [isPublic ? out : "10.20.30.40"] }
    }
    return zone[name]?.(type) ?? (name === "example.com" ? { addresses: [out] } : undefined)
  })
  const web = http.createServer((request, response) => {
    request.resume().on("end", () => response.writeHead(204).end())
  })
  web.listen(80, "::")
  const tls = net.createServer((socket) => socket.on("error", () => {}).resume())
  tls.listen(443, "::")
  const five = http.createServer((request, response) => {
    request.resume().on("end", () => response.writeHead(204).end())
  })
  five.listen(8081, "9.9.9.5")

  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-namespace-"))
  const retry = { kind: "table", delaysMs: [3_600_000], jitter: 0 }
  const unlimited = { POSTHASTE_TENANT_MAX_WEBHOOKS: "1000000" }
  const create = (service: Service, url: string, type: string, timeoutMs = 1_500) =>
    service.call("POST", "/v1/webhooks", { url, eventTypes: [type], timeoutMs, retry })
  const many = async <A>(items: ReadonlyArray<A>, use: (item: A) => Promise<unknown>) => {
    const left = [...items]
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let one = left.shift(); one !== undefined; one = left.shift()) await use(one)
      })
    )
  }

  // Under rules that let everything in, so that it stands in the database when they become strict.
  const open = await makeService({
    dataDir,
    env: {
      POSTHASTE_ALLOW_NETWORKS:
        "0.0.0.0/0,::/0,169.254.169.254/32,100.100.100.200/32,192.0.0.192/32,168.63.129.16/32," +
        "fd00:ec2::254/128,fe80::1/128",
      POSTHASTE_ALLOW_LINK_LOCAL: "true",
      ...unlimited
    }
  })
  await open.start()
  await many([...refused, ...accepted], (url) => create(open, url, "vector"))
  await many(Object.keys(zone), async (name) => {
    const made = await create(open, `http://${name}:${ports[name] ?? 80}/`, "name", 8_000)
    if (made.status !== 201) throw new Error(`${name}: ${JSON.stringify(made.json)}`)
  })
  await many(["http://9.9.9.9:8081/", "http://9.9.9.8/", "http://9.9.9.7/"], (url) =>
    create(open, url, "name")
  )
  await many(
    Array.from({ length: flips }, (_, i) => i),
    (i) => create(open, `http://r${i}.rebind.example.net/`, rebindOf(i), 10_000)
  )
  await open.end("SIGTERM")

  const service = await makeService({
    dataDir,
    env: { POSTHASTE_HOST: "0.0.0.0", POSTHASTE_ALLOW_NETWORKS: "", ...unlimited }
  })
  await service.start()
  dns.forget()

  const creates: Array<{ url: string; status: number }> = []
  await many([...refused, ...refusedUrls, ...accepted], async (url) => {
    const { status } = await create(service, url, "created")
    creates.push({ url, status })
  })
  const updates: Array<{ url: string; status: number }> = []
  const { json: good } = await create(service, `http://${out}/`, "updated")
  await many([...refused, ...refusedUrls], async (url) => {
    const { status } = await service.call("PATCH", `/v1/webhooks/${good.id}`, { url })
    updates.push({ url, status })
  })
  const all = targets.flatMap(generated)
  const some = all.filter((_, i) => i % Math.ceil(all.length / generatedMax) === 0)
  let refusals = 0
  await many(some, async (url) => {
    const { json, status } = await create(service, url, "generated")
    if (status === 422) refusals++
    else if (new URL(json.url).hostname !== "example.com") throw new Error(`accepted ${url}`)
  })

  /** Every webhook by its id. */
  const registered = async () => {
    const webhooks = new Map<string, { readonly url: string; readonly type: string }>()
    for (let cursor = ""; ;) {
      const { json } = await service.call("GET", `/v1/webhooks?limit=250${cursor}`)
      for (const { eventTypes, id, url } of json.data) {
        webhooks.set(id, { url, type: eventTypes[0] })
      }
      if (json.nextCursor === null) return webhooks
      cursor = `&cursor=${json.nextCursor}`
    }
  }
  const publish = async (type: string): Promise<ReadonlyArray<Tried>> => {
    const { json: message } = await service.call("POST", "/v1/messages", { type, data: {} })
    const webhooks = await registered()
    for (;;) {
      const found = []
      for (let cursor = ""; ;) {
        const { json } = await service.call(
          "GET",
          `/v1/deliveries?limit=250&message=${message.id}${cursor}`
        )
        found.push(...json.data)
        if (json.nextCursor === null) break
        cursor = `&cursor=${json.nextCursor}`
      }
      if (found.length > 0 && found.every(({ attempts }) => attempts > 0)) {
        const tried: Array<Tried> = []
        await many(found, async (delivery) => {
          const { json } = await service.call("GET", `/v1/deliveries/${delivery.id}/attempts`)
          const [attempt] = json.data ?? json
          tried.push({
            url: webhooks.get(delivery.webhookId)?.url ?? "",
            class: attempt.class,
            status: delivery.status,
            error: attempt.error,
            durationMs: attempt.durationMs
          })
        })
        return tried
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
  const attempts = await publish("vector")
  const trials: Array<Report["trials"][number]> = []
  const vectors = [...(await registered())].filter(([, { type }]) => type === "vector")
  await many(vectors, async ([id, { url }]) => {
    const test = await service.call("POST", `/v1/webhooks/${id}/test`)
    const check = await service.call("POST", `/v1/webhooks/${id}/check`)
    trials.push({ url, test: test.json.class, passed: check.json.dns.verdict === "allowed" })
  })
  const flipped: Array<Tried> = []
  for (let i = 0; i < flips; i += flipsAtOnce) flipped.push(...(await publish(rebindOf(i))))
  const names = await publish("name")

  const refusalMs = async (url: string) => {
    const times: Array<number> = []
    for (let i = 0; i < 100; i++) {
      const begun = performance.now()
      await create(service, url, "created")
      times.push(performance.now() - begun)
    }
    return times.sort((a, b) => a - b)[50]!
  }
  const literal = await refusalMs("http://10.20.30.40/")
  const name = await refusalMs("http://private.example.net/")

  const again = Array.from({ length: flips }, (_, i) =>
    dns.asked(`r${i}.rebind.example.net`, "A")
  ).filter((asked) => asked > 1).length
  const logged = service
    .output()
    .split("\n")
    .filter((line) => line.includes("leads where"))
  await service.end("SIGTERM")

  // That the count sees what it should: one connection to each place that has to have none.
  for (const address of ["127.0.0.1", "::1", "10.20.30.40", "169.254.169.254"]) {
    const socket = net.connect(80, address)
    await once(socket, "connect")
    socket.destroy()
  }
  await new Promise((resolve) => setTimeout(resolve, 200))
  let counted = ""
  syns.stdout.on("data", (chunk: Buffer) => (counted += chunk.toString()))
  syns.stdin.end("\n")
  await once(syns, "exit")
  for (const child of helpers) child.kill()
  dns.close()
  for (const server of [web, tls, five]) server.close()
  fs.rmSync(dataDir, { recursive: true, force: true })
  return {
    creates,
    updates,
    generated: {
      tried: some.length,
      refused: refusals,
      decoys: some.filter((url) => /^https:\/\/example\.com[/?]/.test(url)).length
    },
    attempts,
    trials,
    names,
    rebinding: {
      names: flips,
      delivered: flipped.filter((one) => one.status === "delivered").length,
      blocked: flipped.filter((one) => one.class === "blocked").length,
      askedAgain: again
    },
    refusalMs: { literal, name },
    syns: counted
      .split("\n")
      .map((line) => line.split(" "))
      .filter((parts) => parts.length === 3)
      .map(([address = "", port, count]) => ({
        address,
        port: Number(port),
        count: Number(count)
      })),
    apiPort: Number(new URL(service.baseUrl).port),
    logged
  }
}

const [flips = "100", generatedMax = "300"] = process.argv.slice(2)
const report = await main(Number(flips), Number(generatedMax))
process.stdout.write(`\n${JSON.stringify(report)}\n`, () => process.exit(0))
