/**
 * What stands between an engine and the rest of the world: each call of a store and each request goes
 * through here, may meet a fault, and is held against what is promised.
 *
 * A fault comes before the call, or after it was done: then its answer is lost and nobody knows.
 */
import { Clock, Effect, Exit } from "effect"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import type { HttpRequest, HttpSender } from "../../src/send/HttpSender.ts"
import type { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import type { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import type { HoldRepo } from "../../src/store/HoldRepo.ts"
import type { MessageRepo } from "../../src/store/MessageRepo.ts"
import type { NoticeQueue } from "../../src/store/NoticeQueue.ts"
import type { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import type { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { isStale, kill, type Node } from "./Node.ts"
import * as Oracle from "./Oracle.ts"
import { pairOf, receiverOf, type World } from "./World.ts"

/** The ports of one engine. */
export interface Ports {
  readonly queue: (queue: DeliveryQueue["Service"]) => DeliveryQueue["Service"]
  readonly log: (log: DeliveryLog["Service"]) => DeliveryLog["Service"]
  readonly messages: (messages: MessageRepo["Service"]) => MessageRepo["Service"]
  readonly webhooks: (webhooks: WebhookRepo["Service"]) => WebhookRepo["Service"]
  readonly hold: (hold: HoldRepo["Service"]) => HoldRepo["Service"]
  readonly notices: (notices: NoticeQueue["Service"]) => NoticeQueue["Service"]
  readonly redeliveries: (jobs: RedeliveryRepo["Service"]) => RedeliveryRepo["Service"]
  readonly sender: (sender: HttpSender["Service"]) => HttpSender["Service"]
}

/** Makes the ports of a process. */
export const make = (world: World, node: Node): Ports => {
  /** Waits while the process is frozen, and for ever once it is dead. */
  const alive: Effect.Effect<void> = Effect.suspend(() =>
    node.state === "dead"
      ? Effect.never
      : node.state === "frozen"
        ? Effect.andThen(
            node.thawed.await,
            Effect.suspend(() => alive)
          )
        : Effect.void
  )

  const port =
    (operation: string, about: string = "") =>
    <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | StoreError> =>
      Effect.gen(function* () {
        yield* alive
        if (++world.calls > callsMax) throw new Error("The history does not come to its end")
        const fault = draw(world, node, operation)
        if (fault !== null) world.tell(`n${node.number} ${operation} ${about} meets ${fault}`)
        const { faults } = world
        if (fault === "latency") {
          yield* Effect.sleep(faults.pick([1, 50, 3_000, 30_000]))
          yield* alive
        }
        if (fault === "error" || fault === "refusal") {
          if (faults.chance(50)) yield* Effect.sleep(faults.pick([1, 100, 10_000]))
          yield* alive
          return yield* failed(operation, fault)
        }
        if (fault === "crash before") {
          kill(world, node, `before ${operation}`)
          return yield* Effect.never
        }
        const exit = yield* Effect.exit(effect)
        world.tell(`n${node.number} ${operation} ${about} ${exit._tag}`)
        if (fault === "crash after") {
          kill(world, node, `after ${operation}`)
          return yield* Effect.never
        }
        if (fault === "lost answer" && Exit.isSuccess(exit))
          return yield* failed(operation, "error")
        return yield* exit
      })

  const sweeping = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.tap(effect, () => Effect.sync(() => Oracle.swept(world)))

  return {
    queue: (queue) => ({
      recover: port("recover")(queue.recover),
      agenda: port("agenda")(queue.agenda),
      pull: (request) => port("pull", request.webhookId)(queue.pull(request)),
      park: (deliveries, dueAt) => port("park")(queue.park(deliveries, dueAt)),
      owed: port("owed")(queue.owed),
      expire: (deliveries) => port("expire")(sweeping(queue.expire(deliveries))),
      abandon: (webhookIds) => port("abandon")(sweeping(queue.abandon(webhookIds))),
      cancel: (tenantId, id) =>
        port(
          "cancel",
          id
        )(
          Effect.tap(queue.cancel(tenantId, id), () =>
            Effect.sync(() => Oracle.cancelled(world, id))
          )
        ),
      redeliver: (tenantId, id) =>
        port(
          "redeliver",
          id
        )(
          Effect.tap(queue.redeliver(tenantId, id), () =>
            Effect.sync(() => Oracle.reopened(world, id))
          )
        )
    }),

    log: (log) => ({
      ...log,
      settle: (batch) =>
        port(
          "settle",
          batch.map(({ attempt }) => `${attempt.deliveryId}#${attempt.number}`).join(" ")
        )(
          Effect.suspend(() => {
            Oracle.settling(world, node, batch)
            return Effect.onExit(log.settle(batch), (exit) =>
              Effect.sync(() => Oracle.settled(world, node, batch, exit))
            )
          })
        ).pipe(
          Effect.tap(() => Effect.sync(() => Oracle.answered(world, node, batch))),
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (!error.isRetryable) Oracle.refused(world, node, batch)
            })
          )
        )
    }),

    messages: (messages) => ({
      ...messages,
      insert: (rows) =>
        port(
          "insert",
          rows.map(({ message }) => message.id).join(" ")
        )(
          Effect.tap(messages.insert(rows), (results) =>
            Effect.sync(() => Oracle.inserted(world, node, rows, results))
          )
        )
    }),

    webhooks: (webhooks) => ({
      ...webhooks,
      create: (input) => port("create", input.id)(webhooks.create(input)),
      update: (tenantId, ref, update) =>
        port("update", ref)(webhooks.update(tenantId, ref, update)),
      setStatus: (tenantId, ref, status) =>
        port(`set ${status}`, ref)(webhooks.setStatus(tenantId, ref, status)),
      rotateSecret: (tenantId, ref, rotation) =>
        port("rotate", ref)(webhooks.rotateSecret(tenantId, ref, rotation)),
      delete: (tenantId, ref) => port("delete", ref)(sweeping(webhooks.delete(tenantId, ref))),
      findMany: (ids) => port("findMany")(webhooks.findMany(ids))
    }),

    hold: (hold) => ({
      find: port("find hold")(hold.find),
      hold: (reason) => port("hold")(hold.hold(reason)),
      release: port("release")(hold.release),
      watch: hold.watch
    }),

    notices: (notices) => ({
      pull: (limit) => port("pull notices")(notices.pull(limit)),
      remove: (ids) => port("remove notices")(notices.remove(ids))
    }),

    redeliveries: (jobs) => ({
      ...jobs,
      create: (input) => port("create job")(jobs.create(input)),
      unfinished: port("unfinished")(jobs.unfinished),
      step: (id, rows) =>
        port(
          "step",
          id
        )(
          Effect.suspend(() => {
            const finals = Oracle.finals(world)
            return Effect.tap(jobs.step(id, rows), () =>
              Effect.sync(() => Oracle.reopenedOf(world, finals))
            )
          })
        )
    }),

    sender: (sender) => ({
      ...sender,
      send: (request) => send(world, node, sender, alive, request)
    })
  }
}

const send = Effect.fnUntraced(function* (
  world: World,
  node: Node,
  sender: HttpSender["Service"],
  alive: Effect.Effect<void>,
  request: HttpRequest
) {
  const wasFrozen = node.state === "frozen"
  yield* alive
  const receiver = receiverOf(world, request)
  const pair = pairOf(request.headers["webhook-id"] ?? "", receiver?.id ?? "")
  const known = world.byPair.get(pair)
  if (receiver === undefined || known === undefined) {
    world.violated("INV-01", `a request for ${pair}, which nobody has committed`)
    return yield* sender.send(request)
  }
  if (++world.calls > callsMax) throw new Error("The history does not come to its end")
  const made = Oracle.begun(world, node, receiver, known, request, wasFrozen)
  const sent = yield* sender.send(request)
  Oracle.ended(world, made)
  if (node.state !== "dead" && draw(world, node, "send") === "crash after") {
    kill(world, node, "after an answer")
  }
  yield* alive
  // A machine that slept found its clock put forward, and so took longer.
  const endedAt = yield* Clock.currentTimeMillis
  made.answeredAt = endedAt
  return { ...sent, durationMs: endedAt - made.startedAt }
})

/** Where a lost answer or a crash is worth most: what it leaves in the store. */
const isWrite = (operation: string): boolean => ["insert", "settle", "park"].includes(operation)

type Fault = "error" | "refusal" | "latency" | "crash before" | "crash after" | "lost answer"

/** Draws what happens to a call. */
const draw = (world: World, node: Node, operation: string): Fault | null => {
  const { faults, healed, plan } = world
  if (healed || isStale(world, node)) return null
  if (operation !== "send" && world.storeDownUntil > world.now()) return "error"
  if (world.faultsLeft === 0 || !faults.chance(isWrite(operation) ? 15 : 3)) return null
  const kinds = (
    ["crash", "storeErrors", "storeRefusals", "unknownCommits", "latency"] as const
  ).filter((kind) => plan.enabled.has(kind))
  const kind = faults.maybe(kinds)
  const fault = faultOf(world, kind, operation)
  if (fault !== null) world.faultsLeft--
  return fault
}

const faultOf = (
  world: World,
  kind: "crash" | "storeErrors" | "storeRefusals" | "unknownCommits" | "latency" | undefined,
  operation: string
): Fault | null => {
  switch (kind) {
    case "crash":
      if (world.nodes.length >= world.plan.enginesMax) return null
      return operation === "send" || world.faults.chance(50) ? "crash after" : "crash before"
    case "storeErrors":
      return operation === "send" ? null : "error"
    case "storeRefusals":
      return operation === "settle" ? "refusal" : null
    case "unknownCommits":
      return operation === "send" ? null : "lost answer"
    case "latency":
      return operation === "send" ? null : "latency"
    case undefined:
      return null
  }
}

const failed = (operation: string, fault: "error" | "refusal") => {
  const cause = new Error(`scripted: ${fault}`)
  return new StoreError({
    operation,
    cause: new SqlError({
      reason: fault === "error" ? new ConnectionError({ cause }) : new UnknownError({ cause })
    })
  })
}

/** More calls than the longest history needs. */
const callsMax = 300_000
