/**
 * Attempts at a receiver with a bad certificate, one after another in a few lines, and what they leave
 * behind: prints the heap after each tenth of them and the open files as JSON. Run with --expose-gc.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as fs from "node:fs"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { HttpSender } from "../../src/send/HttpSender.ts"
import { certificates } from "./Certificates.ts"
import { open } from "./HostileServer.ts"

/** What the attempts left behind. */
export interface Leftovers {
  readonly attempts: number
  readonly refusedByTls: number
  /** Bytes, after collection, before the first attempt and after each tenth of them. */
  readonly heap: ReadonlyArray<number>
  /** Open files before and after. */
  readonly files: readonly [number, number]
}

const attempts = Number(process.argv[2])
const files = () => fs.readdirSync("/proc/self/fd").length
const heap = () => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const server = await open(() => {}, { secure: certificates.selfSigned })
const url = new URL(server.url)

const measured = Effect.gen(function* () {
  const sender = yield* HttpSender
  let refusedByTls = 0
  const some = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }),
      () =>
        sender
          .send({ url, method: "POST", headers: {}, body: Buffer.from("{}"), timeoutMs: 30_000 })
          .pipe(
            Effect.map(({ outcome }) => {
              if (outcome._tag === "Unreachable" && outcome.cause === "tls") refusedByTls++
            })
          ),
      { concurrency: 16, discard: true }
    )
  // The first ones fill caches and compile.
  yield* some(Math.max(200, attempts / 20))
  refusedByTls = 0
  const before = files()
  const samples = [heap()]
  for (let tenth = 0; tenth < 10; tenth++) {
    yield* some(attempts / 10)
    yield* Effect.sleep(50)
    samples.push(heap())
  }
  const leftovers: Leftovers = { attempts, refusedByTls, heap: samples, files: [before, files()] }
  return leftovers
}).pipe(
  Effect.provide(
    HttpSender.layer().pipe(
      Layer.provide(AddressGuard.layer({ allowNetworks: ["127.0.0.0/8"] })),
      Layer.provide(Layer.orDie(Dns.layerStatic({})))
    )
  )
)

const leftovers = await Effect.runPromise(measured)
server.close()
process.stdout.write(`${JSON.stringify(leftovers)}\n`)
