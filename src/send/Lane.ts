/**
 * The actor that owns one webhook's deliveries.
 *
 * ```
 *   hand ─────► mailbox ──► workers (at most `concurrency`) ──► send ──► settle
 *                  ▲                                                       │ again at
 *   store ─ refill ┘            gate closed: park the mailbox              ▼
 *     ▲                                                                 backlog: look
 *     └───────────────────────────────────────────────────────────── into the store then
 * ```
 *
 * A lane sends only while its gate is open: the webhook is enabled, not throttled, and its circuit
 * is closed; half open lets one through. A closed gate empties the mailbox into the store, so a dead
 * webhook holds no memory. First try and tenth try take the same way.
 *
 * Its parts: `Mailbox` is what it has in memory, `Backlog` what it knows of the store, `Pace` how fast
 * it may go, `Attempts` what it does with one delivery.
 */
import { Clock, Effect, Latch, Option } from "effect"
import type { DeliveryId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import { reach } from "../telemetry/Failpoint.ts"
import * as Attempts from "./Attempts.ts"
import * as Backlog from "./Backlog.ts"
import * as Gate from "./Gate.ts"
import type { LaneContext } from "./LaneContext.ts"
import * as Mailbox from "./Mailbox.ts"
import { fits } from "./Memory.ts"
import * as Pace from "./Pace.ts"
import { storeRetries } from "./StoreRetries.ts"

/** A running or resting lane, as the registry sees it. */
export interface Lane {
  /** The webhook as last heard of. */
  readonly webhook: () => Webhook
  /** Takes over what changed about the webhook. */
  readonly update: (webhook: Webhook) => void
  /** Reserves room for a delivery that is about to be committed; see `Lanes.reserve`. */
  readonly reserve: (delivery: DueDelivery) => boolean
  /** Takes a reserved delivery that is now committed. */
  readonly accept: (delivery: DueDelivery) => void
  /** Lets go of a delivery: its reservation, its place in the mailbox, its bytes. */
  readonly release: (delivery: DueDelivery) => void
  /** Drops a cancelled delivery, unless it is in flight. */
  readonly drop: (id: DeliveryId) => void
  /**
   * Learns that the store has something due at `at`, epoch milliseconds. `queued` says that messages
   * stand in line there, so that later ones must not overtake them; retries are no line.
   */
  readonly expect: (at: number, queued: boolean) => void
  /** Makes the lane look around, as at shutdown. */
  readonly wake: () => void
  /** Tells whether the lane holds a delivery in memory. */
  readonly holds: (id: DeliveryId) => boolean
  /** The life of the actor; ends when there has been nothing to do for a while. */
  readonly run: Effect.Effect<void>
}

/**
 * Makes the lane of a webhook that has something due in the store at `backlogAtFirst`, or null. One
 * that begins with a backlog starts slowly.
 */
export const make = (
  context: LaneContext,
  webhookAtFirst: Webhook,
  backlogAtFirst: number | null,
  start: "slow" | "full"
): Lane => {
  const { clock, memory, options, queue, settler } = context
  const mailboxMax = options.mailboxMax ?? 1_000
  const refillMax = options.refillMax ?? 200
  const refillBytesMax = options.refillBytesMax ?? 1_048_576
  const idleMs = options.idleMs ?? 60_000
  const present = () => clock.currentTimeMillisUnsafe()

  let webhook = webhookAtFirst
  let url = context.guard.url(webhook.url)
  let workers = 0
  const changed = Latch.makeUnsafe(true)
  const backlog = Backlog.make(changed, backlogAtFirst, present())
  const mailbox = Mailbox.make(memory, changed, () => backlog.expect(present(), false))
  const pace = Pace.make(context.buckets, webhook.id, start)
  const slot = context.slots.enter(webhook)

  const gate = (now: number): Gate.Gate =>
    context.isHeld() ? Gate.closed : pace.gate(webhook, settler.health(webhook), now)

  const attempts = Attempts.make(context, {
    webhook: () => webhook,
    url: () => url,
    gate,
    mailbox,
    backlog,
    pace,
    changed
  })

  const isBusy = () => workers > 0 || mailbox.size() > 0
  const isLow = () => mailbox.length() < refillMax / 2

  const work = Effect.gen(function* () {
    while (
      workers <= attempts.most() &&
      pace.left(webhook, present()) > 0 &&
      mailbox.length() > 0
    ) {
      const made = yield* slot.run(attempts.next)
      if (!made) return
      if (isLow() && backlog.isDue(present())) changed.openUnsafe()
    }
  }).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        workers--
        changed.openUnsafe()
      })
    )
  )

  /** Reads what is due from the store into the mailbox. */
  const refill = Effect.fnUntraced(function* (workersMax: number) {
    const now = yield* Clock.currentTimeMillis
    // A circuit that lets one probe through needs little more than that one.
    const limit = Math.min(refillMax, workersMax * 20, memory.heldMax - memory.held)
    const reading = backlog.begin()
    if (reading.isLast) mailbox.holdBack()
    const { deliveries, nextDueAt } = yield* queue
      .pull({
        webhookId: webhook.id,
        now,
        limit: Math.max(1, limit),
        bytesMax: Math.max(1, Math.min(refillBytesMax, memory.heldBytesMax - memory.heldBytes)),
        held: mailbox.ids(),
        keys: mailbox.keys(),
        after: reading.after
      })
      .pipe(
        Effect.onError(() => Effect.sync(() => backlog.expect(now, backlog.isQueued()))),
        Effect.retry(storeRetries)
      )
    reach("send.pulled")
    reading.end(mailbox.refill(deliveries), nextDueAt, now)
  })

  /** Empties the mailbox into the store, where it keeps its order and costs no memory. */
  const park = Effect.gen(function* () {
    pace.slow()
    if (mailbox.length() === 0) return
    const { giveUp, owed } = mailbox.empty()
    const now = yield* Clock.currentTimeMillis
    reach("send.parking")
    if (owed.length > 0) yield* Effect.retry(queue.park(owed, now), storeRetries)
    reach("send.parked")
    giveUp()
    backlog.expect(now, true)
  })

  /** Rests until something changes; false when there was nothing to do for so long that it leaves. */
  const rest = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { until, workersMax } = gate(now)
    const stopped = workersMax === 0 && until === null
    // What the store has due matters when the gate lets it out.
    const backlogAt = backlog.at()
    const nextAt = backlogAt === null || stopped ? null : Math.max(backlogAt, until ?? 0)
    const busy = isBusy()
    const pacedAt = mailbox.length() > 0 ? pace.nextAt(webhook, now) : null
    if (busy && pacedAt === null && (nextAt === null || nextAt <= now)) {
      // Workers open the latch when they end and when the mailbox runs low.
      yield* changed.await
      return true
    }
    const restMs = Math.min(
      busy ? Infinity : stopped ? 0 : idleMs,
      nextAt === null || (busy && nextAt <= now) ? Infinity : Math.max(0, nextAt - now),
      pacedAt === null ? Infinity : pacedAt - now
    )
    const woken = yield* Effect.timeoutOption(changed.await, restMs)
    // Something may have been reserved meanwhile, which wakes nobody before it is committed.
    if (Option.isSome(woken) || changed.isOpen() || isBusy()) return true
    if (nextAt !== null && nextAt <= (yield* Clock.currentTimeMillis)) return true
    // From here to the end of the turn nothing can be handed over: nothing gets lost.
    pace.leave(webhook, now)
    slot.leave()
    context.onLeave(webhook.id, nextAt)
    return false
  })

  const run = Effect.gen(function* () {
    yield* settler.adopt(webhook)
    let stays = true
    while (stays && !context.isDraining()) {
      changed.closeUnsafe()
      const now = yield* Clock.currentTimeMillis
      const open = gate(now).workersMax
      if (open === 0) {
        yield* park
      } else if (backlog.isDue(now) && isLow()) {
        yield* refill(open)
      }
      const free = Math.min(
        attempts.most() - workers,
        mailbox.length(),
        pace.left(webhook, present())
      )
      for (let i = 0; i < free; i++) {
        workers++
        yield* Effect.forkChild(work)
      }
      stays = yield* rest
    }
    // At shutdown the lane lives on until its workers have settled what is in flight.
    while (workers > 0) {
      changed.closeUnsafe()
      yield* changed.await
    }
  }).pipe(Effect.orDie)

  const lane: Lane = {
    webhook: () => webhook,
    update: (next) => {
      webhook = next
      url = context.guard.url(next.url)
      changed.openUnsafe()
    },
    reserve: (delivery) => {
      // What stands in an order is read from the store, where every one of its key stands.
      if (delivery.orderingKey !== null) return false
      // What stands in line came first, and what the gate holds back needs no memory.
      if (backlog.isQueued() || mailbox.size() >= mailboxMax) return false
      if (gate(present()).workersMax === 0) return false
      // What has to wait for its turn for long waits where it costs no memory.
      if (webhook.settings.rate !== null && mailbox.length() >= refillMax) return false
      if (!fits(memory, delivery.message.body.length)) return false
      mailbox.reserve(delivery)
      return true
    },
    accept: (delivery) => {
      mailbox.accept(delivery)
      if (workers < webhook.settings.concurrency) changed.openUnsafe()
    },
    release: mailbox.release,
    drop: mailbox.drop,
    expect: backlog.expect,
    wake: () => {
      changed.openUnsafe()
    },
    holds: mailbox.holds,
    run
  }
  return lane
}
