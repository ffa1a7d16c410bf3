/**
 * All that one cell stands on: the service as a child process on a database of its own, and a
 * publisher and a receiver in processes of theirs.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Published, PublisherMethods } from "../publisher.ts"
import type { Behaviour, ReceiverMethods } from "../receiver.ts"
import { adminKey, makeService, type Service } from "../../test/support/Service.ts"
import { data, eventType, receiverPath } from "./Body.ts"
import { type Child, startChild } from "./Child.ts"
import { connect, type Connection } from "./Database.ts"
import type { Ground } from "./Ground.ts"
import { join, type Load, type LoadPlan } from "./Load.ts"
import * as Meter from "./Meter.ts"

/** What to build. */
export interface RigOptions {
  /** Postgres; null: the embedded database. */
  readonly ground: Ground | null
  readonly env?: Readonly<Record<string, string>>
  /** Where the service writes its CPU profile when it ends. */
  readonly profileDir?: string | undefined
  /** Runs between the migration of the database and the start that is measured. */
  readonly seed?: (connection: Connection) => Promise<void>
}

/** A service under test and what it is tested with. */
export interface Rig {
  readonly service: Service
  /** The database of the service; null when it is embedded. */
  readonly connection: Connection | null
  /** A second connection to the same database. */
  readonly connect: () => Connection | null
  /** How long the service took from its start to being ready, in milliseconds. */
  readonly startMs: () => number
  /** Registers a webhook at the receiver with this number and answers its id. */
  readonly webhook: (receiver: number, fields?: object) => Promise<string>
  readonly behave: (...behaviours: ReadonlyArray<Behaviour>) => Promise<void>
  /** Publishes to the service, and waits until everything arrived. */
  readonly load: (plan: LoadPlan) => Promise<Load>
  /** Publishes the same to the receiver itself: what the harness can do without the service. */
  readonly direct: (plan: LoadPlan) => Promise<Load>
  /** Publishes and, while that lasts, leaves the receiver counting for `arrived` and `finish`. */
  readonly begin: (plan: LoadPlan) => Promise<Running>
  readonly close: () => Promise<void>
}

/** A load that was published, or is being published. */
export interface Running {
  /** The number of its first message. */
  readonly first: number
  readonly published: Promise<Published>
  /** Waits until so many arrived, or none for a while; answers how many did. */
  readonly arrived: (count: number, quietMs: number) => Promise<number>
  /** Ends the load and tells what came of it. */
  readonly finish: () => Promise<Load>
}

/** Messages a second that no service here reaches; bounds what is kept of a load without a rate. */
const perSecondMax = 80_000

/** Builds a rig and starts its service. */
export const makeRig = async (options: RigOptions): Promise<Rig> => {
  const { ground } = options
  const databaseUrl = ground === null ? undefined : await ground.createDatabase()
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-bench-"))
  const open = () => (databaseUrl === undefined ? null : connect(databaseUrl))
  const connection = open()
  const service = await makeService({
    dataDir,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    env: {
      ...options.env,
      ...(options.profileDir === undefined
        ? {}
        : {
            NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=250 --cpu-prof-dir=${options.profileDir}`
          })
    }
  })
  const publisher: Child<PublisherMethods> = startChild(new URL("../publisher.ts", import.meta.url))
  const receiver: Child<ReceiverMethods> = startChild(new URL("../receiver.ts", import.meta.url))

  const close = async () => {
    await service.end(options.profileDir === undefined ? "SIGKILL" : "SIGTERM")
    await service.remove()
    await Promise.all([publisher.stop(), receiver.stop(), connection?.close()])
    if (ground !== null && databaseUrl !== undefined) await ground.dropDatabase(databaseUrl)
    fs.rmSync(dataDir, { recursive: true, force: true })
  }

  try {
    const receiverPort = await receiver.call("listen", null)
    if (ground?.countsStatements === true) {
      await connection?.query("create extension if not exists pg_stat_statements")
    }
    let startMs = await service.start()
    if (options.seed !== undefined && connection !== null) {
      await service.end("SIGTERM")
      await options.seed(connection)
      startMs = await service.start()
    }
    let nextNumber = 0

    const begin = async (plan: LoadPlan, direct: boolean): Promise<Running> => {
      const first = nextNumber
      const rate = plan.rate ?? perSecondMax
      const count = plan.count ?? Math.ceil(rate * plan.seconds)
      nextNumber += count
      await receiver.call("expect", { first, count, copies: plan.copies ?? 1 })
      const spent = await Meter.start({
        servicePid: service.pid(),
        postgresPid: ground?.postgres.pid ?? null,
        connection,
        countsStatements: ground?.countsStatements ?? false
      })
      const body = `{"type":"${eventType(0)}","data":${data(plan.bytes ?? 1000)}}`
      const published = publisher.call("publish", {
        port: direct ? receiverPort : Number(new URL(service.baseUrl).port),
        path: direct ? receiverPath(0) : "/v1/messages",
        headers: direct ? {} : { authorization: `Bearer ${adminKey}` },
        body,
        types: plan.types ?? 1,
        connections: plan.connections ?? 128,
        first,
        count,
        ratePerSecond: plan.rate,
        lastsMs: plan.seconds * 1000
      })
      return {
        first,
        published,
        arrived: (accepted, quietMs) => receiver.call("until", { accepted, quietMs }),
        finish: async () => {
          const what = await published
          const used = await spent()
          const received = await receiver.call("collect", null)
          return join(plan, first, count, what, received, used)
        }
      }
    }

    const load = async (plan: LoadPlan, direct: boolean) => {
      const running = await begin(plan, direct)
      const published = await running.published
      if (plan.leaves !== true) {
        const expects = plan.expects ?? (() => true)
        const awaited = published.acknowledgedAt.reduce(
          (sum, at, i) => (at > 0 && expects(running.first + i) ? sum + 1 : sum),
          0
        )
        await running.arrived(awaited * (plan.copies ?? 1), plan.quietMs ?? 5_000)
        // The last settlements are written after the last arrival.
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      return running.finish()
    }

    return {
      service,
      connection,
      connect: open,
      startMs: () => startMs,
      webhook: async (number, fields = {}) => {
        const url = `http://127.0.0.1:${receiverPort}${receiverPath(number)}`
        const { json, status } = await service.call("POST", "/v1/webhooks", { url, ...fields })
        if (status !== 201) throw new Error(`no webhook: ${status} ${JSON.stringify(json)}`)
        return json.id
      },
      behave: (...behaviours) => receiver.call("behave", behaviours),
      load: (plan) => load(plan, false),
      direct: (plan) => load(plan, true),
      begin: (plan) => begin(plan, false),
      close
    }
  } catch (error) {
    const said = service.output()
    await close()
    throw said === ""
      ? error
      : new Error(`the service said:\n${said.slice(-4000)}`, { cause: error })
  }
}
