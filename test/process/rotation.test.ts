/**
 * A key ring that is turned while the service works: every request on the way is signed and says who
 * calls as its receiver expects, before, during and after, and the old key can go.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, it } from "vitest"
import { verify } from "../../src/verify.ts"
import { borrowing } from "../support/Borrowing.ts"
import { openInbox, type Received, until } from "../support/Inbox.ts"
import { type Service } from "../support/Service.ts"
import { scaled } from "../support/Scale.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const webhooks = scaled(200, 10_000)
const publishers = 8
/** How long the figures before are taken. */
const quietMs = scaled(1_000, 10_000)

const key = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString("base64")}`
const [former, next] = [key("former", 1), key("next", 2)]

const { atEnd, prepared } = borrowing()

it(
  `signs every request while the keys of ${webhooks} webhooks are replaced`,
  { timeout: 900_000 },
  async () => {
    const databaseUrl = await createDatabase()
    const secrets: Array<string> = []
    const sentAt = new Map<string, number>()
    const latencies: Array<number> = []
    let received = 0
    const wrong: Array<string> = []
    const judge = (request: Received) => {
      const n = Number(request.path.slice(1))
      const { body, headers } = request
      const result = verify({ secret: secrets[n]!, headers, body })
      const isKnown = headers.authorization === `Bearer token-${n}` && headers["x-own"] === `h${n}`
      if (!result.ok || !isKnown) wrong.push(`${n}: ${JSON.stringify(result)}`)
      received++
      const at = sentAt.get(JSON.parse(body.toString()).data.nonce)
      if (at !== undefined) latencies.push(performance.now() - at)
    }
    const inbox = await openInbox((request, response) => {
      judge(request)
      response.writeHead(204).end()
    })
    atEnd(inbox.close)

    const serviceWith = async (keys: string) => {
      const service = await prepared({
        databaseUrl,
        env: { POSTHASTE_SECRET_KEYS: keys, POSTHASTE_TENANT_MAX_WEBHOOKS: String(webhooks) }
      })
      await service.start()
      return service
    }
    let service = await serviceWith(former)
    const register = async (n: number) => {
      const { json, status } = await service.call("POST", "/v1/webhooks", {
        url: `${inbox.url}/${n}`,
        uid: `w${n}`,
        eventTypes: [`for.w${n}`],
        headers: { "X-Own": `h${n}` },
        auth: { kind: "bearer", token: `token-${n}` }
      })
      assert.strictEqual(status, 201)
      secrets[n] = json.secret
    }
    await inParallel(webhooks, register)
    await service.end("SIGTERM")

    service = await serviceWith(`${next},${former}`)
    let published = 0
    const publish = async (n: number) => {
      const nonce = `${published++}`
      sentAt.set(nonce, performance.now())
      const { status } = await service.call("POST", "/v1/messages", {
        type: `for.w${n}`,
        data: { nonce }
      })
      assert.strictEqual(status, 202)
    }
    const allReceived = () => until(() => received >= published)
    let turn = 0
    /** Publishes until it is told to stop, and changes webhooks, so that they are read and written. */
    const load = async (isOver: () => boolean) => {
      await Promise.all(
        Array.from({ length: publishers }, async (_, i) => {
          while (!isOver()) {
            const n = turn++ % webhooks
            await publish(n)
            if (i === 0) await change(service, n)
          }
        })
      )
      await allReceived()
      const figures = { count: latencies.length, ...percentiles(latencies) }
      latencies.length = 0
      return figures
    }

    const begun = performance.now()
    const quiet = await load(() => performance.now() - begun > quietMs)
    const rotatedAt = performance.now()
    const rotation = rotateKeys(databaseUrl, `${next},${former}`)
    let rotatedMs = 0
    let output = ""
    void rotation
      .catch((error: unknown) => String(error))
      .then((text) => {
        rotatedMs = performance.now() - rotatedAt
        output = text
      })
    const busy = await load(() => output !== "")
    assert.match(output, new RegExp(`^next +${3 * webhooks}$`, "m"))
    assert.notInclude(output, "former")
    await service.end("SIGTERM")

    service = await serviceWith(next)
    await inParallel(webhooks, publish)
    await allReceived()
    assert.deepStrictEqual(wrong, [])
    assert.notInclude(service.output(), "secret_unreadable")
    console.log(
      `${webhooks} webhooks, ${3 * webhooks} sealed again in ${Math.round(rotatedMs)} ms: ` +
        `${received} requests, 0 with a wrong signature or auth; publish to receive ` +
        `p50 ${quiet.p50} p99 ${quiet.p99} ms before, p50 ${busy.p50} p99 ${busy.p99} ms during`
    )
  }
)

/** Changes a webhook and leaves what it is known by as it was. */
const change = async (service: Service, n: number) => {
  const { json, status } = await service.call("PATCH", `/v1/webhooks/w${n}`, {
    name: `name ${n}`,
    headers: { "X-Own": `h${n}` },
    auth: { kind: "bearer", token: `token-${n}` }
  })
  assert.strictEqual(status, 200)
  assert.deepStrictEqual(json.unreadable, [])
}

const inParallel = async (count: number, work: (n: number) => Promise<void>) => {
  let n = 0
  await Promise.all(
    Array.from({ length: publishers }, async () => {
      while (n < count) await work(n++)
    })
  )
}

const percentiles = (values: ReadonlyArray<number>) => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0)
  return { p50: at(0.5), p99: at(0.99) }
}

/** Runs the command beside the service and answers what it printed. */
const rotateKeys = (databaseUrl: string, keys: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
    const child = spawn(process.execPath, [main, "secrets", "rotate-keys"], {
      env: {
        PATH: process.env["PATH"],
        POSTHASTE_DATABASE_URL: databaseUrl,
        POSTHASTE_SECRET_KEYS: keys
      }
    })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.once("error", reject)
    child.once("exit", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`rotate-keys ended with ${code}: ${output}`))
    )
  })
