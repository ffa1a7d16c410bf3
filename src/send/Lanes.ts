/**
 * The lanes of this engine, one per webhook with work, and the hands that feed and stop them.
 *
 * Lanes live in a `FiberMap`: each is restarted alone, with backoff, when a defect ends it. A webhook
 * without work has no lane; if the store has something for it later, the agenda knows when.
 *
 * Beginning takes over from whatever engine was before: what that one held is due at once. Ending
 * starts nothing more, waits for attempts in flight to be settled, within a bound, and leaves the
 * rest in the store.
 */
import {
  Cause,
  Clock,
  Context,
  Effect,
  FiberMap,
  Latch,
  Layer,
  Metric,
  PubSub,
  Schedule,
  Scope,
  Stream
} from "effect"
import type { Delivery, DeliveryNotFound, DeliveryStateConflict } from "../domain/Delivery.ts"
import { blocks } from "../domain/Ordering.ts"
import type { DeliveryId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import { Circuit } from "../settle/Circuit.ts"
import { Settler } from "../settle/Settler.ts"
import { DeliveryQueue, type DueDelivery } from "../store/DeliveryQueue.ts"
import { HoldRepo } from "../store/HoldRepo.ts"
import { Ownership } from "../store/Ownership.ts"
import type { StoreError } from "../store/StoreError.ts"
import { type WebhookChange, WebhookRepo } from "../store/WebhookRepo.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import { reading } from "../telemetry/Instruments.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { Traces } from "../telemetry/Traces.ts"
import { AddressGuard } from "./AddressGuard.ts"
import * as Agenda from "./Agenda.ts"
import { Authenticator } from "./Authenticator.ts"
import * as Lane from "./Lane.ts"
import type { LaneContext, LaneOptions } from "./LaneContext.ts"
import * as Memory from "./Memory.ts"
import { Signer } from "./Signer.ts"
import { storeRetries } from "./StoreRetries.ts"
import * as Slots from "./Slots.ts"
import * as Sweep from "./Sweep.ts"

export class Lanes extends Context.Service<
  Lanes,
  {
    /**
     * Reserves room in memory for a delivery that is about to be committed. False when the webhook's
     * lane is full, behind or held: the delivery then waits in the store. Synchronous, for the hot path.
     */
    readonly reserve: (webhook: Webhook, delivery: DueDelivery) => boolean
    /** Gives up reservations for deliveries that were not committed. */
    readonly release: (deliveries: ReadonlyArray<DueDelivery>) => void
    /** Gives up reservations whose commit failed in the open: the store is searched for them. */
    readonly doubt: (deliveries: ReadonlyArray<DueDelivery>) => void
    /** Hands over reserved deliveries that are committed. */
    readonly hand: (deliveries: ReadonlyArray<DueDelivery>) => void
    /** Tells a lane that the store has something for it, due at `dueAt` (epoch milliseconds). */
    readonly expect: (webhookId: WebhookId, dueAt: number) => void
    /**
     * Tells a lane that the store has something for it, due at `dueAt` (epoch milliseconds), behind
     * which no message has to queue.
     */
    readonly remind: (webhookId: WebhookId, dueAt: number) => void
    /** Cancels a delivery that is not final; an attempt in flight still ends. */
    readonly cancel: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
    /** Starts a fresh round for a final delivery, now, under the same message id. */
    readonly redeliver: (
      tenantId: TenantId,
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryStateConflict | StoreError>
    /**
     * Every delivery that someone cancelled or redelivered, or that was cancelled because its message
     * expired, from now on. A slow reader misses the oldest of more than 1,024.
     */
    readonly changes: Stream.Stream<Delivery>
    /** Tells whether a person holds all sending. */
    readonly isHeld: Effect.Effect<boolean>
    /** Waits until nothing that is due is left to send, or `attemptsMax` are made, and that is written. */
    readonly done: Effect.Effect<void>
    /** Counts what is alive. */
    readonly stats: Effect.Effect<LaneStats>
  }
>()("posthaste/send/Lanes") {
  static readonly layer = (options: LanesOptions = {}) =>
    Layer.effect(
      Lanes,
      Effect.gen(function* () {
        const queue = yield* DeliveryQueue
        const webhooks = yield* WebhookRepo
        const settler = yield* Settler
        const clock = yield* Clock.Clock
        // Only the engine that owns the database may take over what is owed.
        yield* Ownership

        const memory = Memory.make(options)
        const ended = Latch.makeUnsafe()
        let draining = false
        let held = false
        let attemptsLeft = options.attemptsMax ?? Infinity
        let rousing = false
        const lanes = new Map<WebhookId, Lane.Lane>()
        const moved = yield* Effect.acquireRelease(
          PubSub.sliding<Delivery>(unreadMax),
          PubSub.shutdown
        )
        const fibers = yield* FiberMap.make<WebhookId, void, never>()
        const fork = yield* FiberMap.runtime(fibers)<never>()

        /** Announces what was cancelled, and counts it. */
        const told = (cancelled: ReadonlyArray<Delivery>) =>
          Effect.andThen(
            PubSub.publishAll(moved, cancelled),
            Metric.update(Metrics.deliveriesEnded.cancelled, cancelled.length)
          )

        const context: LaneContext = {
          queue,
          settler,
          clock,
          memory,
          buckets: new Map(),
          options,
          // A scope of its own: the layer's takes nothing more in from the moment it begins to close.
          scope: yield* Effect.acquireRelease(Scope.make(), Scope.close),
          circuit: yield* Circuit,
          sender: yield* Authenticator,
          tracing: yield* Traces,
          signer: yield* Signer,
          guard: yield* AddressGuard,
          slots: Slots.make(options),
          isDraining: () => draining || attemptsLeft === 0,
          takeAttempt: () => attemptsLeft > 0 && attemptsLeft-- > 0,
          putBackAttempt: () => {
            attemptsLeft++
          },
          isHeld: () => held,
          onLeave: (id, backlogAt) => {
            lanes.delete(id)
            if (backlogAt !== null) agenda.note(id, backlogAt)
          },
          onExpired: told,
          onEnded: () => {
            if (draining && memory.inFlight === 0) ended.openUnsafe()
          }
        }

        const laneOf = (webhook: Webhook, start: "slow" | "full"): Lane.Lane => {
          const known = lanes.get(webhook.id)
          if (known !== undefined) return known
          const lane = Lane.make(context, webhook, agenda.at(webhook.id) ?? null, start)
          agenda.forget(webhook.id)
          lanes.set(webhook.id, lane)
          fork(webhook.id, supervised(lane))
          return lane
        }

        const tell = (webhookId: WebhookId, dueAt: number, queued: boolean) => {
          const lane = lanes.get(webhookId)
          if (lane === undefined) agenda.note(webhookId, dueAt)
          else lane.expect(dueAt, queued)
        }
        // What is due later stands in no line yet: messages of today may overtake it.
        const expect = (webhookId: WebhookId, dueAt: number) =>
          tell(webhookId, dueAt, dueAt <= clock.currentTimeMillisUnsafe())

        /** Starts the lanes of webhooks whose backlog fell due. */
        const rouse = (ids: ReadonlyArray<WebhookId>) =>
          Effect.gen(function* () {
            rousing = true
            // What is due then is looked for when sending goes on.
            if (held) return
            const now = yield* Clock.currentTimeMillis
            const resting = ids.filter((id) => !lanes.has(id))
            const found = resting.length === 0 ? [] : yield* webhooks.findMany(resting)
            const gone = resting.filter((id) => found.every((webhook) => webhook.id !== id))
            if (gone.length > 0) yield* queue.abandon(gone)
            for (const webhook of found) {
              // A stopped webhook's backlog is looked for when it is resumed.
              if (webhook.status === "enabled") laneOf(webhook, "slow")
            }
            reach("send.roused")
            ids.forEach((id) => lanes.get(id)?.expect(now, true))
          }).pipe(
            Effect.tapError((error) => log("due_waiting", { reason: error.message })),
            Effect.retry(storeRetries),
            Effect.orDie,
            Effect.ensuring(Effect.sync(() => (rousing = false)))
          )
        const agenda = yield* Agenda.make(rouse)

        yield* webhooks.watch((change) =>
          Effect.gen(function* () {
            const { webhook } = change
            const lane = lanes.get(webhook.id)
            yield* logged(change)
            if (change._tag === "Deleted") {
              lane?.update({ ...webhook, status: "disabled" })
              // A publish that met the deletion may still be committing something for it.
              agenda.note(webhook.id, (yield* Clock.currentTimeMillis) + 10_000)
              return yield* settler.forget(webhook.id)
            }
            lane?.update(webhook)
            if (isResumed(change)) {
              yield* settler.resume(webhook)
              reach("send.resumed")
              expect(webhook.id, yield* Clock.currentTimeMillis)
            } else if (isFreed(change)) {
              tell(webhook.id, yield* Clock.currentTimeMillis, false)
            }
          })
        )

        yield* reading(Metrics.lanes, () => lanes.size)
        yield* reading(Metrics.inFlight, () => memory.inFlight)
        yield* reading(Metrics.held, () => memory.held)
        yield* reading(Metrics.heldBytes, () => memory.heldBytes)

        /** Learns again what is due, as at a start. */
        const readAgenda = Effect.map(queue.agenda, (entries) =>
          entries.forEach(({ dueAt, webhookId }) => {
            const lane = lanes.get(webhookId)
            if (lane === undefined) agenda.note(webhookId, dueAt)
            else lane.expect(dueAt, dueAt <= clock.currentTimeMillisUnsafe())
          })
        )
        // Before anything is due: a hold holds from the start.
        yield* (yield* HoldRepo).watch((isHeld) =>
          Effect.gen(function* () {
            if (isHeld === held) return
            held = isHeld
            lanes.forEach((lane) => lane.wake())
            if (held) {
              reach("send.held")
              return yield* log("hold_begun")
            }
            reach("send.released")
            yield* log("hold_ended")
            yield* Effect.retry(readAgenda, storeRetries).pipe(Effect.orDie)
          })
        )

        reach("recovery.begun")
        const recovered = yield* queue.recover
        reach("recovery.committed")
        yield* readAgenda
        reach("recovery.planned")
        if (recovered > 0) {
          yield* log("engine_recovered", { count: recovered })
        }

        const sweep = yield* Sweep.make({
          queue,
          everyMs: options.sweepMs ?? 600_000,
          holds: (webhookId, id) => lanes.get(webhookId)?.holds(id) === true,
          onParked: expect,
          onWaiting: (webhookId, dueAt) => tell(webhookId, dueAt, false)
        })

        yield* Effect.addFinalizer(() =>
          Effect.gen(function* () {
            draining = true
            lanes.forEach((lane) => lane.wake())
            reach("shutdown.draining")
            if (memory.inFlight === 0) return
            yield* log("engine_stopping", { count: memory.inFlight })
            yield* Effect.timeoutOption(ended.await, options.drainMs ?? 20_000)
            reach("shutdown.drained")
          })
        )

        const isDone = (now: number) =>
          memory.inFlight === 0 &&
          (attemptsLeft === 0 || (lanes.size === 0 && !rousing && agenda.earliest() > now))

        return Lanes.of({
          reserve: (webhook, delivery) =>
            !draining &&
            !held &&
            webhook.status === "enabled" &&
            laneOf(webhook, "full").reserve(delivery),
          release: (deliveries) =>
            deliveries.forEach((delivery) => lanes.get(delivery.webhookId)?.release(delivery)),
          doubt: (deliveries) => {
            deliveries.forEach((delivery) => lanes.get(delivery.webhookId)?.release(delivery))
            sweep.soon()
          },
          hand: (deliveries) =>
            deliveries.forEach((delivery) => lanes.get(delivery.webhookId)?.accept(delivery)),
          expect,
          remind: (webhookId, dueAt) => tell(webhookId, dueAt, false),
          cancel: (tenantId, id) =>
            Effect.tap(queue.cancel(tenantId, id), (delivery) => {
              reach("send.cancelled")
              lanes.get(delivery.webhookId)?.drop(id)
              // Others may have stood behind it.
              expect(delivery.webhookId, clock.currentTimeMillisUnsafe())
              return told([delivery])
            }),
          redeliver: Effect.fnUntraced(function* (tenantId, id) {
            const delivery = yield* queue.redeliver(tenantId, id)
            reach("send.redelivered")
            expect(delivery.webhookId, yield* Clock.currentTimeMillis)
            yield* PubSub.publish(moved, delivery)
            return delivery
          }),
          changes: Stream.fromPubSub(moved),
          isHeld: Effect.sync(() => held),
          done: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            return isDone(now)
          }).pipe(
            Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (done) => done }),
            Effect.asVoid
          ),
          stats: Effect.sync(() => ({
            lanes: lanes.size,
            held: memory.held,
            heldBytes: memory.heldBytes,
            inFlight: memory.inFlight
          }))
        })
      })
    )
}

/** The bounds and times of all lanes. */
export interface LanesOptions extends LaneOptions, Memory.MemoryOptions, Slots.SlotsOptions {
  /** Attempts that this engine makes before it only keeps; 0 for one that only manages. No bound by
   * default. */
  readonly attemptsMax?: number
  /** How often deliveries that nobody holds are looked for without a cause, in milliseconds. 600,000 by
   * default. */
  readonly sweepMs?: number
  /** How long ending waits for attempts in flight, in milliseconds. 20,000 by default. */
  readonly drainMs?: number
}

/** What the lanes of this engine hold at a moment. */
export interface LaneStats {
  readonly lanes: number
  /** Deliveries in memory, in flight included. */
  readonly held: number
  readonly heldBytes: number
  readonly inFlight: number
}

/** Tells whether a webhook may be sent to again; one read after a lost commit counts as resumed. */
const isResumed = ({ previous, webhook }: Extract<WebhookChange, { _tag: "Saved" }>): boolean =>
  webhook.status === "enabled" &&
  (previous === null ? webhook.updatedAt > webhook.createdAt : previous.status !== "enabled")

/** Tells whether exhausted deliveries no longer keep back what stands behind them. */
const isFreed = ({ previous, webhook }: Extract<WebhookChange, { _tag: "Saved" }>): boolean =>
  !blocks(webhook.settings.ordering) &&
  (previous === null ? webhook.updatedAt > webhook.createdAt : blocks(previous.settings.ordering))

/** Changes that are kept for a slow reader. */
const unreadMax = 1_024

/** Says what people did to a webhook; what the engine did is an alert. */
const logged = (change: WebhookChange): Effect.Effect<void> => {
  const about = { webhook: change.webhook.id, tenant: change.webhook.tenantId }
  if (change._tag === "Deleted") return log("webhook_deleted", about)
  const { disabledReason, status } = change.webhook
  if (change.previous === null || change.previous.status === status) return Effect.void
  // What the engine stops an alert tells of.
  if (disabledReason !== null) return Effect.void
  switch (status) {
    case "enabled":
      return log("webhook_resumed", about)
    case "paused":
      return log("webhook_paused", about)
    case "disabled":
      return Effect.void
  }
}

/** Restarts a lane alone when a defect ends it: after 100 ms, then ever later, up to 10 seconds. */
const supervised = (lane: Lane.Lane): Effect.Effect<void> =>
  lane.run.pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : log("lane_restarted", { webhook: lane.webhook().id }, cause)
    ),
    Effect.retry({
      schedule: Schedule.min([
        Schedule.exponential("100 millis"),
        Schedule.spaced("10 seconds")
      ]).pipe(Schedule.jittered),
      while: (cause) => !Cause.hasInterruptsOnly(cause)
    }),
    Effect.catch(Effect.failCause)
  )
