/**
 * Lives through the history of a seed: engines over one store, clients, receivers and faults, then all
 * is healed and has time to end.
 *
 * Nothing in it depends on the machine: time is a fake clock's, randomness the seed's, and the network
 * a script. The same seed tells the same lines.
 */
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  Layer,
  Queue,
  Random,
  References,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import type { DeliveryId, TenantId } from "../../src/domain/TypeId.ts"
import * as Engine from "../../src/Engine.ts"
import { HttpSender } from "../../src/send/HttpSender.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { TestSender } from "../../src/testing/TestSender.ts"
import * as Checks from "./Checks.ts"
import * as Clients from "./Clients.ts"
import * as Node from "./Node.ts"
import * as Plan from "./Plan.ts"
import * as Prng from "./Prng.ts"
import * as World from "./World.ts"

/** What came of a history. */
export interface Result {
  readonly seed: number
  readonly violations: ReadonlyArray<string>
  /** Tells one history from another. */
  readonly hash: number
  readonly spanMs: number
  readonly engines: number
  readonly messages: number
  readonly requests: number
  /** All that happened, where asked for. */
  readonly lines: ReadonlyArray<string>
}

/** Lives through the history of a seed, in a clock of its own. One that cannot end breaks a promise. */
export const run = (seed: number, keepsLines = false): Effect.Effect<Result> =>
  Effect.scoped(history(Plan.make(seed), keepsLines)).pipe(
    Effect.catchCause((cause) => Effect.succeed(broken(seed, Cause.pretty(cause)))),
    Random.withSeed(seed),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer({ warningDelay: "20 seconds" }), { local: true })
  )

/** The result of a history that did not come to its end. */
export const broken = (seed: number, why: string): Result => ({
  seed,
  violations: [`END: ${why}`],
  hash: 0,
  spanMs: 0,
  engines: 0,
  messages: 0,
  requests: 0,
  lines: []
})

const history = Effect.fnUntraced(function* (plan: Plan.Plan, keepsLines: boolean) {
  const base = yield* TestClock.testClockWith(Effect.succeed)
  yield* base.setTime(World.beganAt)
  const stores = yield* Layer.build(
    Engine.layerStoresTables().pipe(
      Layer.provideMerge(Layer.mergeAll(MemoryTables.layer, Ids.layerSeeded)),
      Layer.provideMerge(TestSender.layer),
      Layer.orDie
    )
  )
  return yield* Effect.gen(function* () {
    const tables = yield* MemoryTables
    const repo = yield* TenantRepo
    const second = { uid: "second", name: null, idempotency: null }
    const [own, other] = [yield* repo.ensureDefault, yield* repo.create(second)]
    const world = World.make(plan, tables, () => base.currentTimeMillisUnsafe(), keepsLines)
    yield* live(world, base, [own.id, other.id]).pipe(
      Effect.provideService(Clock.Clock, wallClock(world, base))
    )
    return {
      seed: plan.seed,
      violations: world.violations,
      hash: world.hash >>> 0,
      spanMs: plan.spanMs,
      engines: world.nodes.length,
      messages: tables.messages.size,
      requests: world.requests.length,
      lines: world.lines
    }
  }).pipe(Effect.provideContext(stores), Effect.orDie)
})

/** The clock on the wall, which can be put forward, over one that only runs. */
const wallClock = (world: World.World, base: Clock.Clock): Clock.Clock => {
  let reads = 0
  const millis = () => {
    if (++reads > readsMax) throw new Error("The history stands still")
    return world.now()
  }
  const nanos = () => base.currentTimeNanosUnsafe() + BigInt(world.offset) * 1_000_000n
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => base.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: Effect.sync(() => base.monotonicTimeNanosUnsafe()),
    sleep: (duration) => base.sleep(duration)
  }
}

/** More looks at the clock than the longest history needs. */
const readsMax = 5_000_000

/** A step of the plan, or a webhook that is to be registered. */
interface Due {
  readonly at: number
  readonly does: Plan.Step["does"] | World.Receiver
  /** How often, at the same time. */
  readonly crowd: number
}

const hour = 3_600_000

const live = Effect.fnUntraced(function* (
  world: World.World,
  base: TestClock.TestClock,
  tenants: readonly [TenantId, TenantId]
) {
  const { plan, receivers } = world
  const prng = Prng.make(plan.seed, "clients")
  const stragglers = Prng.make(plan.seed, "stragglers")
  const recalls = Prng.make(plan.seed, "recalls")
  const network = yield* HttpSender
  const script = yield* TestSender
  const calls = yield* Scope.make()
  // Begun by the clock, which then waits for all that follows: else time would pass meanwhile.
  const fork = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.asVoid(
      Effect.forkIn(Effect.andThen(Effect.sleep(1), effect), calls, { startImmediately: true })
    )
  const adjust = (ms: number) => base.adjust(Duration.millis(ms))
  const arrived = yield* Queue.unbounded<World.Request>()
  for (const { plan: of } of receivers) {
    for (const url of [of.url, ...versions.map((version) => `${of.url}?v=${version}`)]) {
      yield* script.answer(url, ({ headers }) => {
        const answer = world.answers.get(headers) ?? { status: 200 }
        const made = world.requests.findLast((one) => one.answer === answer)
        if (plan.enabled.has("recall") && made !== undefined) Queue.offerUnsafe(arrived, made)
        return answer
      })
    }
  }
  yield* Effect.forkIn(
    Effect.forever(
      Effect.flatMap(Queue.take(arrived), (made) => fork(Clients.recall(world, recalls, made)))
    ),
    calls
  )

  const boot = Effect.suspend(() => fork(Node.start(world, network)))
  /** Has an engine running, if the one before is gone. */
  const ensureRunning = Effect.gen(function* () {
    for (let i = 0; i < 100 && world.current === null; i++) {
      yield* boot
      yield* adjust(1_000)
    }
  })
  /** Does something later, unless all is healed by then. */
  const later = (ms: number, effect: Effect.Effect<unknown>) =>
    fork(
      Effect.andThen(
        Effect.sleep(ms),
        Effect.suspend(() => (world.healed ? Effect.void : effect))
      )
    )

  const publishAll = (from: Prng.Prng, name: string, crowd: number) =>
    Effect.forEach(
      Array.from({ length: crowd }, (_, i) => `${name}.${i}`),
      (each) => Clients.publish(world, from, each, tenants),
      { concurrency: "unbounded", discard: true }
    )

  const act = Effect.fnUntraced(function* (does: Exclude<Due["does"], "publish">) {
    if (typeof does === "object") return yield* fork(Clients.register(world, does, tenants))
    const receiver = prng.maybe(receivers.filter(({ id }) => id !== null))
    const node = world.current
    switch (does) {
      case "crash":
        if (node !== null && hasNext(world)) Node.kill(world, node, "by a signal")
        return
      case "stop":
        if (node === null || !hasNext(world)) return
        return yield* fork(Node.stop(world, node, plan.options.lanes?.drainMs ?? 20_000))
      case "freeze":
      case "zombie": {
        if (node?.state !== "running" || (does === "zombie" && !hasNext(world))) return
        Node.freeze(world, node)
        const ms = prng.pick([100, 5_000, 120_000, 2 * hour])
        // What it was asked for before goes on when it wakes.
        if (does === "zombie" && plan.enabled.has("straggle")) {
          yield* fork(publishAll(stragglers, `late ${node.number}`, stragglers.int(1, 5)))
        }
        if (does === "zombie") yield* boot
        // Another one took over meanwhile: it finds out soon, and ends.
        const thaw = Effect.gen(function* () {
          Node.thaw(world, node)
          if (does === "freeze") return
          yield* Effect.sleep(3_000)
          Node.kill(world, node, "it was fenced")
        })
        return yield* fork(Effect.andThen(Effect.sleep(ms), thaw))
      }
      case "jump":
        world.offset += prng.pick([1_000, 60_000, hour])
        return world.tell("the clock is put forward")
      case "storeDown":
        world.storeDownUntil = world.now() + prng.pick([500, 10_000, 300_000, hour])
        return world.tell("the store is down")
      case "pause":
        if (receiver === undefined) return
        yield* fork(Clients.setStatus(world, receiver, "paused"))
        return yield* later(
          prng.pick([1_000, 600_000, 10 * hour]),
          Clients.setStatus(world, receiver, "enabled")
        )
      case "rotate":
        return receiver && (yield* fork(Clients.rotate(world, prng, receiver)))
      case "edit":
        return receiver && (yield* fork(Clients.edit(world, prng.pick(versions), receiver)))
      case "delete":
        return receiver && (yield* fork(Clients.remove(world, receiver)))
      case "cancel":
      case "redeliver":
        return yield* fork(Clients.move(world, prng, does))
      case "job":
        return yield* fork(Clients.redeliverMany(world, prng, tenants))
      case "hold":
        yield* fork(Clients.hold(world, true))
        return yield* later(prng.pick([1_000, 600_000, 10 * hour]), Clients.hold(world, false))
      case "retention":
        // Long enough for what was settled to go, and for what is open to be in danger.
        return yield* adjust(5 * 24 * hour)
    }
  })

  const heal = Effect.gen(function* () {
    world.healed = true
    world.tell("all is healed")
    for (const node of world.nodes) {
      if (node === world.current) Node.thaw(world, node)
      else Node.kill(world, node, "it was fenced")
    }
    yield* adjust(60_000)
    yield* ensureRunning
    yield* adjust(1_000)
    yield* fork(Clients.hold(world, false))
    for (const receiver of receivers) {
      yield* fork(Clients.setStatus(world, receiver, "enabled"))
    }
    // What a client was doing while the store was slow ends too.
    yield* adjust(60_000)
    world.healedAt = world.now()
  })

  /** Sleeps while retries wait: the clock on the wall goes on meanwhile, and no timer does. */
  const sleep = Effect.fnUntraced(function* (due: ReadonlyMap<DeliveryId, Checks.Deadline>) {
    const restMs = () =>
      Math.min(...[...world.tables.waiting.values()].map(({ dueAt }) => dueAt - world.now()))
    for (let i = 0; i < 60 && restMs() < 2 * hour; i++) yield* adjust(hour / 2)
    const ms = restMs()
    if (ms < 2 * hour || ms === Infinity) return due
    const late = [...due].filter(([, { until }]) => until < world.now())
    // A clock tells whole milliseconds, which what is due need not be.
    world.offset += Math.ceil(ms)
    world.tell("the machine slept")
    return new Map([...due, ...Checks.deadlines(world), ...late])
  })

  yield* boot
  yield* adjust(1)
  let passed = 1
  let number = 0
  for (const { at, crowd, does } of stepsOf(world)) {
    yield* adjust(Math.max(0, at - passed))
    passed = Math.max(passed, at)
    if (world.current === null) {
      yield* adjust(prng.pick([0, 500, 30_000]))
      yield* ensureRunning
    }
    number++
    if (does === "publish") yield* fork(publishAll(prng, `${number}`, crowd))
    else yield* act(does)
    yield* adjust(1)
    passed++
    if (number % 40 === 0) Checks.always(world)
  }
  yield* heal
  Checks.always(world)
  const healedBy = Checks.deadlines(world)
  const due = plan.enabled.has("sleep") ? yield* sleep(healedBy) : healedBy
  // The longest wait is a day's, and a tenth.
  for (let i = 0; i < 27 && isBusy(world); i++) yield* adjust(hour)
  // What blocks its key is delivered again, and then those behind it go out.
  for (let i = 0; i < 300 && world.tables.blocked.size > 0; i++) {
    for (const id of [...world.tables.blocked.keys()].sort()) {
      const known = world.deliveries.get(id)
      if (known !== undefined) yield* fork(Clients.moveOne(world, known, "redeliver"))
    }
    yield* adjust(hour)
  }
  for (let i = 0; i < 2 && isBusy(world); i++) yield* adjust(hour)
  Checks.always(world)
  Checks.atTheEnd(world, due)
  for (const node of world.nodes) Node.kill(world, node, "the history is over")
  yield* Scope.close(calls, Exit.void)
})

/** The versions of its URL that a webhook may move to. */
const versions = [1, 2, 3] as const

/** All that happens, in the order of its time; who comes first at a time was decided by the plan. */
const stepsOf = ({ plan, receivers }: World.World): ReadonlyArray<Due> =>
  [
    ...receivers.map((receiver): Due => ({ at: receiver.plan.at, does: receiver, crowd: 1 })),
    ...plan.steps
  ].sort((a, b) => a.at - b.at)

/** Tells whether something is left to do. */
const isBusy = ({ tables }: World.World): boolean =>
  tables.owed.size + tables.waiting.size + tables.notices.size > 0 ||
  [...tables.redeliveries.values()].some(({ job }) => job.finishedAt === null)

/** Tells whether another engine may come after the one that runs. */
const hasNext = ({ nodes, plan }: World.World): boolean => nodes.length < plan.enginesMax
