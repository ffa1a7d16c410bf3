/**
 * The way out of the real service: proxies of the environment are ignored, the one that is set is
 * used, and what it does wrong is charged to nobody.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { assert, describe } from "vitest"
import * as ForwardProxy from "../support/ForwardProxy.ts"
import { openInbox, until } from "../support/Inbox.ts"
import { makeService } from "../support/Service.ts"

const acquired = <A>(acquire: () => Promise<A>, release: (a: A) => Promise<void> | void) =>
  Effect.acquireRelease(Effect.promise(acquire), (a) =>
    Effect.promise(async () => void (await release(a)))
  )

const openedInbox = acquired(openInbox, (inbox) => inbox.close())

const started = (env: Readonly<Record<string, string>>) =>
  acquired(
    async () => {
      const service = await makeService({ env })
      await service.start()
      return service
    },
    (service) => service.remove()
  )

describe("the service", () => {
  it.live("ignores the proxies of its environment (SEC-12)", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      const inbox = yield* openedInbox
      const url = `http://127.0.0.1:${proxy.port}`
      const service = yield* started({
        ...Object.fromEntries(
          ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [
            [name, url],
            [name.toLowerCase(), url]
          ])
        ),
        NODE_USE_ENV_PROXY: "1",
        NODE_OPTIONS: "--use-env-proxy"
      })
      yield* Effect.promise(async () => {
        await service.call("POST", "/v1/webhooks", { url: inbox.url })
        await service.call("POST", "/v1/webhooks", { url: "https://127.0.0.1:9/" })
        await service.call("POST", "/v1/messages", { type: "a.b", data: 1 })
        await until(() => inbox.received.length === 1)
        await until(async () => {
          const { json } = await service.call("GET", "/v1/deliveries")
          return json.data.every((one: { attempts: number }) => one.attempts === 1)
        })
      })
      assert.deepStrictEqual(proxy.hits(), { plain: 0, connections: 0 })
    })
  )

  it.live("charges no webhook with its own proxy, and says what is wrong (SEC-13)", () =>
    Effect.gen(function* () {
      const proxy = yield* ForwardProxy.make()
      const inbox = yield* openedInbox
      const service = yield* started({
        POSTHASTE_EGRESS_PROXY: `http://someone:canary-password@127.0.0.1:${proxy.port}`
      })
      yield* Effect.promise(async () => {
        const health = async () => (await service.call("GET", "/health/ready")).json
        const deliveries = async () =>
          (await service.call("GET", "/v1/deliveries")).json.data as ReadonlyArray<{
            readonly attempts: number
            readonly status: string
          }>
        assert.strictEqual((await health()).egress, "proxy")

        const moods: ReadonlyArray<ForwardProxy.Mood> = [
          { status: 407 },
          { status: 502 },
          { status: 503 },
          "hang up"
        ]
        // Each its own webhook: one whose lane waits already would take its time.
        for (const [index, mood] of moods.entries()) {
          proxy.mood(mood)
          const type = `mood.n${index}`
          await service.call("POST", "/v1/webhooks", {
            url: inbox.url,
            eventTypes: [type],
            retry: "quick"
          })
          const before = proxy.asked.length
          await service.call("POST", "/v1/messages", { type, data: 1 })
          await until(() => proxy.asked.length > before)
        }
        const failing = await health()
        assert.deepInclude(failing, { status: "ready", egress: "proxy_failing" })
        assert.isTrue((await deliveries()).every(({ attempts }) => attempts === 0))
        const { json: during } = await service.call("GET", "/v1/webhooks")
        for (const webhook of during.data) {
          assert.deepInclude(webhook, {
            status: "enabled",
            consecutiveFailures: 0,
            lastFailureAt: null
          })
        }

        proxy.mood("open")
        await until(async () => (await deliveries()).every(({ status }) => status === "delivered"))
        assert.isTrue((await deliveries()).every(({ attempts }) => attempts === 1))
        assert.lengthOf(inbox.received, moods.length)
        assert.strictEqual((await health()).egress, "proxy")

        const said = service.output().match(/egress proxy fails/g) ?? []
        assert.lengthOf(said, 1, service.output())
        for (const secret of [
          "canary-password",
          Buffer.from("someone:canary-password").toString("base64")
        ]) {
          assert.notInclude(service.output(), secret)
          assert.notInclude(JSON.stringify([during, failing, await deliveries()]), secret)
        }
      })
    })
  )

  it.live("resolves names on 64 threads", () =>
    Effect.gen(function* () {
      const service = yield* started({})
      yield* Effect.promise(() =>
        Promise.all(
          Array.from({ length: 70 }, (_, i) =>
            service.call("POST", "/v1/webhooks", { url: `http://nobody${i}.invalid/` })
          )
        )
      )
      const tasks = `/proc/${service.pid()}/task`
      const names = fs
        .readdirSync(tasks)
        .map((task) => fs.readFileSync(`${tasks}/${task}/comm`, "utf8").trim())
      assert.lengthOf(
        names.filter((name) => name === "libuv-worker"),
        64
      )
    })
  )

  for (const [env, said] of [
    [
      { POSTHASTE_EGRESS_PROXY: "socks5://someone:canary-password@proxy:1080" },
      "POSTHASTE_EGRESS_PROXY: expected a URL such as"
    ],
    [
      { POSTHASTE_ALLOW_NETWORKS: "10.0.0.0/8,169.254.169.254/32" },
      "POSTHASTE_ALLOW_NETWORKS: 169.254.169.254/32 is link-local or cloud metadata"
    ],
    [
      { POSTHASTE_ALLOW_NETWORKS: "169.254.0.0/16", POSTHASTE_ALLOW_LINK_LOCAL: "true" },
      "POSTHASTE_ALLOW_NETWORKS: 169.254.0.0/16 is link-local or cloud metadata"
    ],
    [
      { POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS: "0" },
      "POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS: expected 1 to 65536"
    ]
  ] as const) {
    it.live(`does not start with ${Object.keys(env).join(" and ")} as it must not be`, () =>
      Effect.promise(async () => {
        const service = await makeService({ env })
        const error = await service.start().then(
          () => undefined,
          (error: Error) => error
        )
        await service.remove()
        assert.include(error?.message, said)
        assert.notInclude(error?.message, "canary-password")
      })
    )
  }
})
