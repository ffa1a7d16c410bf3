/**
 * A program that embeds the engine. It looks at all that the code of a process shares: before it imports
 * the library, while an engine is there, and after. It prints what changed and is then to end by itself.
 */
import * as crypto from "node:crypto"
import * as dns from "node:dns"
import * as events from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import {
  builtinModules,
  createRequire,
  getCompileCacheDir,
  syncBuiltinESMExports
} from "node:module"
import * as net from "node:net"
import * as path from "node:path"
import * as stream from "node:stream"
import { fileURLToPath } from "node:url"
import { type EnvironmentUse, type HostReport, reportMark } from "./Host.ts"

const [, , what = "", dataDir = ""] = process.argv
const root = fileURLToPath(new URL("../..", import.meta.url))
const require = createRequire(import.meta.url)

/** Whose code uses the environment: a file of this repository, a package, or Node itself. */
const culprit = (throughNode: boolean): string => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 100
  const { stack = "" } = new Error()
  Error.stackTraceLimit = stackTraceLimit
  const places = [...stack.matchAll(/((?:file|node):[^\s()]+?|\/[^\s()]+?):\d+:\d+\)?$/gm)]
  // The first three are this function, its caller, and what the caller stands in.
  for (const [, place = ""] of places.slice(3)) {
    if (place.startsWith("node:")) {
      if (throughNode) continue
      break
    }
    const file = place.startsWith("file:") ? fileURLToPath(place) : place
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
    return name ?? path.relative(root, file)
  }
  return "node"
}

const environment = new Map<string, EnvironmentUse>()
const note = (name: string | symbol, how: EnvironmentUse["how"]): void => {
  // Node asks for variables of its own, and for all of them where somebody starts a process.
  const use = { name: String(name), how, by: culprit(name === "*") }
  environment.set(JSON.stringify(use), use)
}
const env = { ...process.env }
process.env = new Proxy(env, {
  get: (_, name) => (note(name, "read"), Reflect.get(env, name)),
  has: (_, name) => (note(name, "read"), Reflect.has(env, name)),
  ownKeys: () => (note("*", "read"), Reflect.ownKeys(env)),
  getOwnPropertyDescriptor: (_, name) => (
    note(name, "read"),
    Reflect.getOwnPropertyDescriptor(env, name)
  ),
  set: (_, name, value) => (note(name, "written"), Reflect.set(env, name, value)),
  defineProperty: (_, name, how) => (note(name, "written"), Reflect.defineProperty(env, name, how)),
  deleteProperty: (_, name) => (note(name, "written"), Reflect.deleteProperty(env, name))
})

const v8 = require("node:v8")
const flags: Array<string> = []
const { setFlagsFromString } = v8
v8.setFlagsFromString = (flag: string) => {
  flags.push(flag)
  setFlagsFromString(flag)
}
syncBuiltinESMExports()

const complaints: Array<string> = []
for (const event of ["unhandledRejection", "uncaughtException", "warning"]) {
  process.on(event, (reason: unknown) => {
    complaints.push(`${event}: ${reason instanceof Error ? reason.stack : String(reason)}`)
  })
}

/** What is looked at, by name: values that must stay the same, or the same object. */
type Picture = ReadonlyMap<string, unknown>

/** Everything that an object holds itself, to the same objects; what is computed is not asked for. */
const inside = (name: string, object: object, into: Map<string, unknown>): void => {
  for (const key of Reflect.ownKeys(object)) {
    const { get, set, value } = Reflect.getOwnPropertyDescriptor(object, key) ?? {}
    into.set(
      `${name}.${String(key)}`,
      get === undefined && set === undefined ? value : (get ?? set)
    )
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" || typeof value === "function") && value !== null

const builtins = builtinModules.filter(
  (name) => !/^_|^(?:sys|punycode|inspector|wasi)\b/.test(name)
)

const look = (): Picture => {
  const seen = new Map<string, unknown>()
  inside("globalThis", globalThis, seen)
  for (const [name, value] of new Map(seen)) {
    if (!isObject(value) || value === globalThis || value === process) continue
    inside(name, value, seen)
    if (typeof value === "function" && isObject(value.prototype)) {
      inside(`${name}.prototype`, value.prototype, seen)
    }
  }
  for (const name of builtins) {
    const module: unknown = require(name)
    if (isObject(module) && module !== process) inside(name, module, seen)
  }
  for (const event of new Set([
    ...process.eventNames(),
    "SIGINT",
    "SIGTERM",
    "exit",
    "beforeExit"
  ])) {
    process.rawListeners(String(event)).forEach((listener, i) => {
      seen.set(`process.on ${String(event)} ${i}`, listener)
    })
  }
  for (const [name, agent] of [
    ["http.globalAgent", http.globalAgent],
    ["https.globalAgent", require("node:https").globalAgent]
  ] as const) {
    inside(`${name}.options`, agent.options, seen)
    seen.set(`${name}.maxSockets`, agent.maxSockets)
  }
  for (const [name, value] of Object.entries({
    "process.title": process.title,
    "process.cwd": process.cwd(),
    "process.umask": process.umask(),
    "process.argv": process.argv.join(" "),
    "process.execArgv": process.execArgv.join(" "),
    "process.exitCode": process.exitCode,
    "process.getuid": process.getuid?.(),
    "process.getMaxListeners": process.getMaxListeners(),
    "process.hasUncaughtExceptionCaptureCallback": process.hasUncaughtExceptionCaptureCallback(),
    "process.env": JSON.stringify(env),
    "process.emit": process.emit,
    "process.emitWarning": process.emitWarning,
    "process.exit": process.exit,
    "process.nextTick": process.nextTick,
    "process.stdout.write": process.stdout.write,
    "process.stderr.write": process.stderr.write,
    "dns.getServers": dns.getServers().join(),
    "dns.getDefaultResultOrder": dns.getDefaultResultOrder(),
    "net.getDefaultAutoSelectFamily": net.getDefaultAutoSelectFamily(),
    "net.getDefaultAutoSelectFamilyAttemptTimeout": net.getDefaultAutoSelectFamilyAttemptTimeout(),
    "events.defaultMaxListeners": events.defaultMaxListeners,
    "stream.getDefaultHighWaterMark": stream.getDefaultHighWaterMark(false),
    "crypto.getFips": crypto.getFips(),
    "module.getCompileCacheDir": getCompileCacheDir()
  })) {
    seen.set(name, value)
  }
  return seen
}

/** Names what is new, gone or another one. */
const differences = (before: Picture, after: Picture): ReadonlyArray<string> => [
  ...[...after.keys()].filter((name) => !before.has(name)).map((name) => `${name} is new`),
  ...[...before].flatMap(([name, value]) =>
    !after.has(name)
      ? [`${name} is gone`]
      : Object.is(value, after.get(name))
        ? []
        : [`${name} is another one`]
  )
]

/** What runs, but for the streams that the process began with. */
const handles = (): ReadonlyArray<string> => process.getActiveResourcesInfo().toSorted()

/** What is in the second list besides the first. */
const leftOver = (before: ReadonlyArray<string>, after: ReadonlyArray<string>) => {
  const rest = [...before]
  return after.filter((name) => {
    const at = rest.indexOf(name)
    if (at !== -1) rest.splice(at, 1)
    return at === -1
  })
}

/** Asks the API as a client would, past `fetch`, which is the host's. */
const post = (port: number, path: string, key: string, body: unknown): Promise<number> =>
  new Promise((resolve, reject) => {
    const request = http.request(
      {
        port,
        path,
        method: "POST",
        agent: false,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }
      },
      (response) => response.resume().once("end", () => resolve(response.statusCode ?? 0))
    )
    request.once("error", reject).end(JSON.stringify(body))
  })

/** Composes an engine with its door, has it deliver what is published through each, and closes it. */
const run = async ({
  Database,
  Engine,
  Http,
  KeyRing,
  Publisher,
  TenantRepo
}: typeof import("../../src/index.ts")): Promise<Picture> => {
  const { Layer, ManagedRuntime, Redacted } = await import("effect")
  const { HttpServer } = await import("effect/http")
  const runtime = ManagedRuntime.make(
    Http.layer().pipe(
      Layer.provideMerge(Http.layerNode({ port: 0 })),
      Layer.provideMerge(
        Engine.layer({ addresses: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] } })
      ),
      Layer.provideMerge(Engine.layerStores()),
      Layer.provide(KeyRing.layerPlain),
      Layer.provideMerge(Database.layerEmbedded({ dataDir }))
    )
  )
  const tenants = await runtime.runPromise(TenantRepo)
  const tenant = await runtime.runPromise(tenants.ensureDefault)
  const key = Redacted.make("host-key-host-key-host-key")
  await runtime.runPromise(
    tenants.importKey({ key, tenantId: tenant.id, name: "host", scopes: ["admin"] })
  )
  const { address } = await runtime.runPromise(HttpServer.HttpServer)
  if (address._tag === "UnixPathAddress") throw new Error("not a port")
  const answered = [
    await post(address.port, "/v1/webhooks", Redacted.value(key), { url: received.url }),
    await post(address.port, "/v1/messages", Redacted.value(key), { type: "a.b", data: {} })
  ]
  if (answered.join() !== "201,202") throw new Error(`answered ${answered.join()}`)
  const publisher = await runtime.runPromise(Publisher)
  await runtime.runPromise(
    publisher.publish({
      tenantId: tenant.id,
      type: "a.b",
      data: "{}",
      uid: null,
      resource: null,
      idempotencyKey: null
    })
  )
  await received.both
  const during = look()
  await runtime.dispose()
  return during
}

/** Does once what must be noticed. */
const plant = (): Picture => {
  process.on("SIGTERM", () => undefined)
  Object.assign(globalThis, { planted: true })
  console.log = () => undefined
  Error.stackTraceLimit = 11
  process.env["PLANTED"] = "true"
  v8.setFlagsFromString("--no-allocation-site-pretenuring")
  require("undici")
  void Promise.reject(new Error("planted"))
  setInterval(() => undefined, 60_000)
  return look()
}

let requests = 0
const { promise: both, resolve: arrived } = Promise.withResolvers<void>()
const receiver = http.createServer((request, response) => {
  if (++requests === 2) arrived()
  request.resume().once("end", () => response.end())
})
await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
const { port } = receiver.address() as net.AddressInfo
const received = { url: `http://127.0.0.1:${port}/`, both }

// Node loads some of itself only when it is looked at, its own dispatcher among it.
look()
const began = handles()
const before = look()
const library = what === "plant" ? undefined : await import("../../src/index.ts")
const during = library === undefined ? plant() : what === "run" ? await run(library) : look()
// What would be started late, and rejections that nobody takes up.
await new Promise((resolve) => setTimeout(resolve, 500))
const after = look()
const open = handles()
receiver.closeAllConnections()
receiver.close()

const report: Omit<HostReport, "exit" | "said"> = {
  during: differences(before, during),
  after: differences(before, after),
  environment: [...environment.values()],
  flags,
  complaints,
  open: leftOver(began, open),
  // Loaded, it sets the dispatcher of all that uses undici, and of Node's own fetch too.
  undiciGlobal: Object.keys(require.cache).some((file) => file.endsWith("undici/lib/global.js")),
  received: requests
}
fs.writeSync(1, `${reportMark}${JSON.stringify(report)}\n`)
