/**
 * One engine process of a history: the real engine over ports that can fail, freeze and die.
 *
 * A dead process does nothing more: its ports never answer, so whatever it still has in memory changes
 * nothing. A frozen one goes on where it stood, perhaps after another one has taken over.
 */
import { Clock, Context, Effect, Exit, Fiber, Latch, Layer, Scope } from "effect"
import { Dns } from "effect/net"
import * as Engine from "../../src/Engine.ts"
import type { Publisher } from "../../src/publish/Publisher.ts"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { HttpSender } from "../../src/send/HttpSender.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import type { Redeliveries } from "../../src/send/Redeliveries.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { NoticeQueue } from "../../src/store/NoticeQueue.ts"
import { Ownership } from "../../src/store/Ownership.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import * as Ports from "./Ports.ts"
import type { World } from "./World.ts"

/** What clients use of an engine. */
export type Services =
  | Publisher
  | Lanes
  | Redeliveries
  | WebhookRepo
  | HoldRepo
  | RedeliveryRepo
  | MessageRepo
  | DeliveryLog
  | Ids

export interface Node {
  readonly number: number
  readonly epoch: number
  state: "starting" | "running" | "frozen" | "dead"
  /** Open while the process is not frozen. */
  readonly thawed: Latch.Latch
  /** Open once it is dead. */
  readonly died: Latch.Latch
  services: Context.Context<Services> | null
  /** Attempts under way, by webhook. */
  readonly inFlight: Map<string, number>
  inFlightAll: number
  /** Ends it in good order: what is in flight is waited for within bounds. */
  stop: Effect.Effect<void> | null
}

/** Tells whether another process has taken over since. */
export const isStale = ({ tables }: World, node: Node): boolean =>
  node.epoch !== tables.engine.epoch

/** Does something in a fiber of a process; null where that dies before it is done. */
export const within = <A, E, R>(
  node: Node,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Exit.Exit<A, E> | null, never, R> =>
  Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (working) =>
    Effect.raceFirst(Fiber.await(working), Effect.as(node.died.await, null))
  )

/** Ends a process at once. */
export const kill = (world: World, node: Node, why: string): void => {
  if (node.state === "dead") return
  node.state = "dead"
  node.services = null
  world.tell(`n${node.number} dies: ${why}`)
  node.died.openUnsafe()
  if (world.current === node) world.current = null
}

/** Ends a process in good order, and for good when it takes too long. */
export const stop = Effect.fnUntraced(function* (world: World, node: Node, drainMs: number) {
  if (node.stop === null || node.state === "dead") return
  world.tell(`n${node.number} stops`)
  yield* Effect.timeoutOption(
    Effect.forkDetach(node.stop).pipe(Effect.flatMap(Fiber.await)),
    drainMs + 10_000
  )
  kill(world, node, "it stopped")
})

/** Freezes a process, as SIGSTOP does. */
export const freeze = (world: World, node: Node): void => {
  if (node.state !== "running") return
  node.state = "frozen"
  node.thawed.closeUnsafe()
  world.tell(`n${node.number} is frozen`)
}

/** Lets a frozen process go on. */
export const thaw = (world: World, node: Node): void => {
  if (node.state !== "frozen") return
  node.state = "running"
  node.thawed.openUnsafe()
  world.tell(`n${node.number} is thawed`)
}

/** Starts a process: it owns the store from now on, and is the current one once it runs. */
export const start = Effect.fnUntraced(function* (world: World, network: HttpSender["Service"]) {
  const { plan, tables } = world
  const memoMap = yield* Layer.makeMemoMap
  const scope = yield* Scope.make()
  const storeScope = yield* Scope.make()
  const base = yield* Layer.buildWithMemoMap(
    Engine.layerStoresTables({ retention: { days: 4 } }).pipe(
      Layer.provideMerge(Ids.layerSeeded),
      Layer.provide(Layer.succeed(MemoryTables, tables)),
      Layer.orDie
    ),
    memoMap,
    storeScope
  )
  const node: Node = {
    number: world.nodes.length + 1,
    epoch: Context.get(base, Ownership).epoch,
    state: "starting",
    thawed: Latch.makeUnsafe(true),
    died: Latch.makeUnsafe(false),
    services: null,
    inFlight: new Map(),
    inFlightAll: 0,
    stop: null
  }
  yield* Effect.forkDetach(Effect.andThen(node.died.await, Scope.close(storeScope, Exit.void)))
  world.nodes.push(node)
  world.current = node
  world.tell(`n${node.number} starts as epoch ${node.epoch}`)
  const clock = yield* Clock.Clock
  const ports = Ports.make(world, node)
  const stores = base.pipe(
    Context.add(DeliveryQueue, ports.queue(Context.get(base, DeliveryQueue))),
    Context.add(DeliveryLog, ports.log(Context.get(base, DeliveryLog))),
    Context.add(MessageRepo, ports.messages(Context.get(base, MessageRepo))),
    Context.add(WebhookRepo, ports.webhooks(Context.get(base, WebhookRepo))),
    Context.add(HoldRepo, ports.hold(Context.get(base, HoldRepo))),
    Context.add(NoticeQueue, ports.notices(Context.get(base, NoticeQueue))),
    Context.add(RedeliveryRepo, ports.redeliveries(Context.get(base, RedeliveryRepo)))
  )
  const path = Engine.layerPath(plan.options).pipe(
    Layer.provideMerge(Layer.succeed(HttpSender, ports.sender(onClock(network, clock)))),
    Layer.provideMerge(AddressGuard.layer()),
    Layer.provide(Dns.layerStatic({ hosts: {} })),
    Layer.provideMerge(Layer.succeedContext(stores))
  )
  const built = yield* within(
    node,
    Effect.provideService(
      Layer.buildWithMemoMap(path, memoMap, scope),
      Clock.Clock,
      mortal(clock, node)
    )
  )
  if (built === null || Exit.isFailure(built)) {
    kill(world, node, "it could not start")
    return node
  }
  if (node.state === "starting") {
    node.state = "running"
    node.services = built.value
    world.tell(`n${node.number} runs`)
    node.stop = Scope.close(scope, Exit.void)
  }
  return node
})

/** The clock of a process: once that is dead, none of its timers goes off. */
const mortal = (clock: Clock.Clock, node: Node): Clock.Clock => ({
  ...clock,
  sleep: (duration) =>
    Effect.andThen(
      clock.sleep(duration),
      Effect.suspend(() => (node.state === "dead" ? Effect.never : Effect.void))
    )
})

/** The network, which goes on by the clock of the world: a receiver answers those who died, too. */
const onClock = (network: HttpSender["Service"], clock: Clock.Clock): HttpSender["Service"] => ({
  ...network,
  send: (request) => Effect.provideService(network.send(request), Clock.Clock, clock)
})
