/**
 * The actor that owns one webhook's deliveries.
 *
 * ```
 *   hand ─────► mailbox ──► workers (at most `concurrency`) ──► send ──► settle
 *                  ▲                                                       │ again at
 *   store ─ refill ┘            gate closed: park the mailbox              ▼
 *     ▲                                                              backlogAt: look
 *     └────────────────────────────────────────────────────────────  into the store then
 * ```
 *
 * A lane sends only while its gate is open: the webhook is enabled, not throttled, and its circuit
 * is closed; half open lets one through. A closed gate empties the mailbox into the store, so a dead
 * webhook holds no memory. After it the lane starts slowly: one attempt at a time, then two, four and
 * so on, one more with each success, as TCP does (RFC 5681, section 3.1). A webhook with a rate has a
 * bucket of tokens, one for each attempt; while it is empty the mailbox waits for the next token.
 * First try and tenth try take the same way.
 *
 * Whatever a receiver does ends in `settle`. A defect while one delivery is handled is logged and
 * that delivery is put off for a minute; its lane goes on.
 */
import {
  Cause,
  Clock,
  Effect,
  Exit,
  Latch,
  Option,
  PartitionedSemaphore,
  Random,
  Result,
  Schedule,
  type Scope
} from "effect"
import { classify, type NotSent, type Outcome, type Refused } from "../domain/Attempt.ts"
import type { Delivery } from "../domain/Delivery.ts"
import { blocks } from "../domain/Ordering.ts"
import type { DeliveryId, WebhookId } from "../domain/TypeId.ts"
import type { UrlNotAllowed, Webhook } from "../domain/Webhook.ts"
import type { Circuit } from "../settle/Circuit.ts"
import type { Settler } from "../settle/Settler.ts"
import type { DeliveryQueue, DueDelivery } from "../store/DeliveryQueue.ts"
import type { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import type { Traces } from "../telemetry/Traces.ts"
import type { AddressGuard } from "./AddressGuard.ts"
import type { Authenticator } from "./Authenticator.ts"
import * as Gate from "./Gate.ts"
import type { HttpRequest, Sent } from "./HttpSender.ts"
import { fits, type Memory } from "./Memory.ts"
import * as Order from "./Order.ts"
import * as Rate from "./Rate.ts"
import { build } from "./Request.ts"
import type { Signer } from "./Signer.ts"

/** The bounds and times of each lane. */
export interface LaneOptions {
  /** Deliveries that one lane holds in memory. 1,000 by default. */
  readonly mailboxMax?: number
  /** Deliveries that are read from the store at once. 200 by default. */
  readonly refillMax?: number
  /** Body bytes that are read from the store at once. 1 MiB by default. */
  readonly refillBytesMax?: number
  /** Attempts that are answered and not yet written down. 256 by default. */
  readonly unsettledMax?: number
  /** How long a lane without work stays, in milliseconds. 60,000 by default. */
  readonly idleMs?: number
  /** How long a delivery is put off that met a defect of ours, in milliseconds. 60,000 by default. */
  readonly defectDelayMs?: number
}

/** What lanes share. */
export interface LaneContext {
  readonly queue: DeliveryQueue["Service"]
  readonly settler: Settler["Service"]
  readonly circuit: Circuit["Service"]
  readonly sender: Authenticator["Service"]
  readonly tracing: typeof Traces.Service
  readonly signer: Signer["Service"]
  readonly guard: AddressGuard["Service"]
  readonly clock: Clock.Clock
  readonly slots: PartitionedSemaphore.PartitionedSemaphore<WebhookId>
  readonly memory: Memory
  /** What lanes that left had taken of their rates, until it is back. */
  readonly buckets: Map<WebhookId, Rate.Bucket>
  readonly options: LaneOptions
  /** Lives as long as all lanes; what is being settled outlives a restart of its lane in it. */
  readonly scope: Scope.Scope
  readonly isDraining: () => boolean
  /** Counts an attempt that is about to begin; false when the engine has made all it may. */
  readonly takeAttempt: () => boolean
  /** Takes that back for an attempt that was not made. */
  readonly putBackAttempt: () => void
  /** Tells whether a person holds all sending. */
  readonly isHeld: () => boolean
  /** Called in the turn in which a lane decides to leave, with when it has to come back, if ever. */
  readonly onLeave: (lane: Lane, backlogAt: number | null) => void
  /** Tells of deliveries that were cancelled because it was too late for them. */
  readonly onExpired: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void>
  /** Called whenever an attempt in flight has ended and is settled. */
  readonly onEnded: () => void
}

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
  const { circuit, clock, memory, queue, sender, settler, signer, slots } = context
  const mailboxMax = context.options.mailboxMax ?? 1_000
  const refillMax = context.options.refillMax ?? 200
  const refillBytesMax = context.options.refillBytesMax ?? 1_048_576
  const unsettledMax = context.options.unsettledMax ?? 256
  const idleMs = context.options.idleMs ?? 60_000
  const defectDelayMs = context.options.defectDelayMs ?? 60_000

  let webhook = webhookAtFirst
  let url = context.guard.url(webhook.url)
  let backlogAt = backlogAtFirst
  // Messages stand in line in the store: what comes later joins them, or it would overtake.
  let queued = backlogAtFirst !== null && backlogAtFirst <= clock.currentTimeMillisUnsafe()
  // The last reading left nobody in that line, so the next one will leave nobody either.
  let isShort = false
  // What came to memory while the last of the line were read: it follows them.
  let followers: Array<DueDelivery> | null = null
  let joined = 0
  let workers = 0
  let unsettled = 0
  let ramp = start === "slow" ? 1 : Infinity
  // What the receiver has no part in keeps the lane from sending until then; and how often in a row.
  let waitsUntil = 0
  let waits = 0
  const mailbox: Array<DueDelivery> = []
  // Reserved, in the mailbox or in flight; true while the store has the row in `owed`.
  const held = new Map<DeliveryId, boolean>()
  // Cancelled while an attempt was under way, of which nothing may come.
  const dropped = new Set<DeliveryId>()
  const changed = Latch.makeUnsafe(true)
  const order = Order.make()
  // The last key that was read: the next reading goes on behind it, so that no key waits for others.
  let lastKey = ""
  const bucket = context.buckets.get(webhook.id) ?? Rate.make()

  const gate = (now: number): Gate.Gate =>
    context.isHeld()
      ? Gate.closed
      : Gate.gate(webhook, settler.health(webhook), { ramp, waitsUntil }, now)

  const hold = (delivery: DueDelivery, owed: boolean) => {
    held.set(delivery.id, owed)
    memory.held++
    memory.heldBytes += delivery.message.body.length
  }

  const release = (delivery: DueDelivery) => {
    if (!held.delete(delivery.id)) return
    // Someone may have had it sent again meanwhile, and it was passed over as held.
    if (dropped.delete(delivery.id)) expect(clock.currentTimeMillisUnsafe(), false)
    memory.held--
    memory.heldBytes -= delivery.message.body.length
    if (held.size === 0) changed.openUnsafe()
  }

  const expect = (at: number, inLine: boolean) => {
    if (inLine) {
      queued = true
      joined++
    }
    if (backlogAt !== null && backlogAt <= at) return
    backlogAt = at
    changed.openUnsafe()
  }

  const ended = () => {
    memory.inFlight--
    context.onEnded()
  }

  /** Lets the next of a key go, or lets go of all of them: then the store says how it goes on. */
  const advance = (delivery: DueDelivery, goesOn: boolean) => {
    if (delivery.orderingKey === null) return
    const next = goesOn ? order.next(delivery) : undefined
    if (next !== undefined) {
      mailbox.push(next)
      return changed.openUnsafe()
    }
    order.end(delivery).forEach(release)
    expect(clock.currentTimeMillisUnsafe(), false)
  }

  /** Lets go of a delivery that nothing is owed for any more; the next of its key may go. */
  const leave = (delivery: DueDelivery) => {
    release(delivery)
    advance(delivery, true)
  }

  /** Puts a delivery off whose handling met a defect, so that it cannot keep its lane busy. */
  const putOff = Effect.fnUntraced(function* (delivery: DueDelivery, cause: Cause.Cause<unknown>) {
    if (Cause.hasInterruptsOnly(cause)) return
    yield* log("delivery_put_off", { webhook: webhook.id, delivery: delivery.id }, cause)
    const dueAt = (yield* Clock.currentTimeMillis) + defectDelayMs
    yield* Effect.ignore(queue.park([delivery], dueAt))
    release(delivery)
    advance(delivery, false)
    expect(dueAt, false)
  })

  /** Writes down what came of an attempt; the receiver's next one need not wait for that. */
  const settle = (delivery: DueDelivery, startedAt: number, sent: Sent) => {
    unsettled++
    return settler.settle({ webhook, delivery, startedAt, ...sent }).pipe(
      Effect.flatMap((verdict) =>
        Effect.sync(() => {
          release(delivery)
          reach("settle.forgotten")
          if (verdict._tag === "Again") expect(verdict.at, false)
          advance(
            delivery,
            verdict._tag === "Delivered" ||
              (verdict._tag === "Exhausted" && !blocks(webhook.settings.ordering))
          )
          if (verdict._tag === "Delivered" && ramp < webhook.settings.concurrency) {
            ramp++
            changed.openUnsafe()
          }
        })
      ),
      Effect.catchCause((cause) => putOff(delivery, cause)),
      Effect.ensuring(
        Effect.sync(() => {
          if (unsettled-- === unsettledMax) changed.openUnsafe()
          ended()
        })
      )
    )
  }

  /** Stops the lane for a while, ever longer: its deliveries wait in the store, nothing is counted. */
  const wait = Effect.fnUntraced(function* ({ cause }: NotSent) {
    const share = yield* Random.next
    const now = clock.currentTimeMillisUnsafe()
    // Attempts that were under way together say it once.
    if (waitsUntil > now) return
    const { firstMs, mostMs } = waiting[cause]
    waitsUntil = now + Math.round(Math.min(firstMs * 2 ** waits++, mostMs) * (0.75 + share / 2))
  })

  const send = (delivery: DueDelivery, request: HttpRequest) => {
    const sending = sender.send(webhook, request)
    const { tracing } = context
    if (tracing === undefined) return sending
    const about = {
      message: delivery.message.id,
      delivery: delivery.id,
      webhook: webhook.id,
      attempt: delivery.attempts + 1
    }
    return tracing.attempt(about, sending, ({ outcome }) =>
      outcome._tag === "NotSent" ? "not_sent" : classify(outcome)
    )
  }

  /** Ends a delivery that is not worth sending any more, with the others of that kind at hand. */
  const expire = Effect.fnUntraced(function* (first: DueDelivery, now: number) {
    const others = mailbox.filter((delivery) => isExpired(delivery, now))
    for (const delivery of others) mailbox.splice(mailbox.indexOf(delivery), 1)
    const expired = [first, ...others]
    const ended = yield* Effect.retry(queue.expire(expired), storeRetries)
    reach("send.expired")
    expired.forEach(leave)
    yield* context.onExpired(ended)
  })

  /** Makes one attempt; answers false when the gate turned out to be closed. */
  const attempt = Effect.fnUntraced(
    function* (delivery: DueDelivery) {
      const now = yield* Clock.currentTimeMillis
      const { rate } = webhook.settings
      if (context.isDraining() || gate(now).workersMax === 0) return false
      if (isExpired(delivery, now)) {
        yield* expire(delivery, now)
        return true
      }
      if (rate !== null && !bucket.take(rate, now)) return false
      if (!context.takeAttempt()) return false
      reach("send.taken")
      const request = Result.flatMap(url, (url) => build(webhook, url, delivery, now, signer))
      memory.inFlight++
      const sent = yield* (
        Result.isFailure(request)
          ? Effect.succeedSome(notSent(request.failure))
          : circuit.run(webhook, send(delivery, request.success), ({ outcome }) =>
              circuitOutcome(outcome)
            )
      ).pipe(
        // An answered attempt stays in flight until it is settled: shutdown waits for that.
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) && wasMade(exit.value) ? Effect.void : Effect.sync(ended)
        )
      )
      const outcome = Option.isSome(sent) ? sent.value.outcome : null
      if (Option.isNone(sent) || outcome?._tag === "NotSent") {
        if (rate !== null) bucket.putBack()
        context.putBackAttempt()
        if (outcome?._tag === "NotSent") yield* wait(outcome)
        return false
      }
      waits = 0
      reach("send.answered")
      // Begun at once: what the outcome says about the webhook is known before its next request.
      yield* Effect.forkIn(settle(delivery, now, sent.value), context.scope, {
        startImmediately: true
      })
      return true
    },
    (effect, delivery) =>
      Effect.catchCause(effect, (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : Effect.as(putOff(delivery, cause), true)
      )
  )

  /** The number of workers that may run now. */
  const workersMax = () =>
    context.isDraining() || unsettled >= unsettledMax
      ? 0
      : gate(clock.currentTimeMillisUnsafe()).workersMax

  /** The number of attempts that the rate lets begin now. */
  const paceMax = () => {
    const { rate } = webhook.settings
    return rate === null ? Infinity : bucket.left(rate, clock.currentTimeMillisUnsafe())
  }

  /** Makes the attempt that is next; answers false when there is none, or it could not be made. */
  const attemptNext = Effect.suspend(() => {
    // Taken out only now: what waits for its turn can still be cancelled.
    const delivery = mailbox.shift()
    if (delivery === undefined) return Effect.succeed(false)
    return Effect.map(attempt(delivery), (made) => {
      if (!made && dropped.has(delivery.id)) leave(delivery)
      else if (!made) mailbox.unshift(delivery)
      return made
    })
  })

  const work = Effect.gen(function* () {
    while (workers <= workersMax() && paceMax() > 0 && mailbox.length > 0) {
      const made = yield* PartitionedSemaphore.withPermit(slots, webhook.id)(attemptNext)
      if (!made) return
      if (isLow() && isBehind()) changed.openUnsafe()
    }
  }).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        workers--
        changed.openUnsafe()
      })
    )
  )

  const isLow = () => mailbox.length < refillMax / 2
  const isBehind = () => backlogAt !== null && backlogAt <= clock.currentTimeMillisUnsafe()

  /** Reads what is due from the store into the mailbox. */
  const refill = Effect.fnUntraced(function* (workersMax: number) {
    const now = yield* Clock.currentTimeMillis
    // A circuit that lets one probe through needs little more than that one.
    const limit = Math.min(refillMax, workersMax * 20, memory.heldMax - memory.held)
    // Cleared first: whoever expects something while the store is read sets it again.
    backlogAt = null
    const before = joined
    if (queued && isShort) {
      queued = false
      followers ??= []
    }
    const pulled = yield* queue
      .pull({
        webhookId: webhook.id,
        now,
        limit: Math.max(1, limit),
        bytesMax: Math.max(1, Math.min(refillBytesMax, memory.heldBytesMax - memory.heldBytes)),
        held: new Set(held.keys()),
        keys: order.keys(),
        after: lastKey
      })
      .pipe(
        Effect.onError(() => Effect.sync(() => expect(now, queued))),
        Effect.retry(storeRetries)
      )
    reach("send.pulled")
    let nextKey = lastKey
    for (const delivery of pulled.deliveries) {
      if (held.has(delivery.id)) continue
      hold(delivery, false)
      if (order.admit(delivery)) mailbox.push(delivery)
      if (delivery.orderingKey !== null && delivery.orderingKey > nextKey) {
        nextKey = delivery.orderingKey
      }
    }
    mailbox.push(...(followers ?? []))
    followers = null
    const { nextDueAt } = pulled
    isShort = nextDueAt === null || nextDueAt > now
    if (isShort && joined === before) queued = false
    if (nextDueAt !== null) expect(nextDueAt, false)
    // Having come to the end of the keys, it begins again with the first.
    if (isShort && lastKey !== "") expect(now, false)
    lastKey = isShort ? "" : nextKey
  })

  /** Empties the mailbox into the store, where it keeps its order and costs no memory. */
  const park = Effect.gen(function* () {
    ramp = 1
    if (mailbox.length === 0) return
    const parked = mailbox.splice(0)
    const owed = parked.filter((delivery) => held.get(delivery.id) === true)
    const now = yield* Clock.currentTimeMillis
    reach("send.parking")
    if (owed.length > 0) yield* Effect.retry(queue.park(owed, now), storeRetries)
    reach("send.parked")
    for (const delivery of parked) {
      release(delivery)
      order.end(delivery).forEach(release)
    }
    expect(now, true)
  })

  /** Rests until something changes; false when there was nothing to do for so long that it leaves. */
  const rest = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { until, workersMax } = gate(now)
    const stopped = workersMax === 0 && until === null
    // What the store has due matters when the gate lets it out.
    const nextAt = backlogAt === null || stopped ? null : Math.max(backlogAt, until ?? 0)
    const busy = workers > 0 || held.size > 0
    const { rate } = webhook.settings
    const isPaced = rate !== null && mailbox.length > 0 && bucket.left(rate, now) === 0
    const pacedAt = isPaced ? bucket.nextAt(rate, now) : null
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
    if (Option.isSome(woken) || changed.isOpen() || busy) return true
    if (nextAt !== null && nextAt <= (yield* Clock.currentTimeMillis)) return true
    // From here to the end of the turn nothing can be handed over: nothing gets lost.
    if (rate !== null) Rate.leave(context.buckets, webhook, bucket, now)
    context.onLeave(lane, nextAt)
    return false
  })

  const run = Effect.gen(function* () {
    yield* settler.adopt(webhook)
    let stays = true
    while (stays && !context.isDraining()) {
      changed.closeUnsafe()
      const open = gate(yield* Clock.currentTimeMillis).workersMax
      if (open === 0) {
        yield* park
      } else if (isBehind() && isLow()) {
        yield* refill(open)
      }
      for (
        let free = Math.min(workersMax() - workers, mailbox.length, paceMax());
        free > 0;
        free--
      ) {
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
      const now = clock.currentTimeMillisUnsafe()
      // What stands in an order is read from the store, where every one of its key stands.
      if (delivery.orderingKey !== null) return false
      // What stands in line came first, and what the gate holds back needs no memory.
      if (queued || held.size >= mailboxMax || gate(now).workersMax === 0) return false
      // What has to wait for its turn for long waits where it costs no memory.
      if (webhook.settings.rate !== null && mailbox.length >= refillMax) return false
      if (!fits(memory, delivery.message.body.length)) return false
      hold(delivery, true)
      return true
    },
    accept: (delivery) => {
      if (followers === null) mailbox.push(delivery)
      else followers.push(delivery)
      if (workers < webhook.settings.concurrency) changed.openUnsafe()
    },
    release,
    drop: (id) => {
      for (const place of [mailbox, followers ?? []]) {
        const at = place.findIndex((delivery) => delivery.id === id)
        if (at < 0) continue
        return place.splice(at, 1).forEach(leave)
      }
      const behind = order.remove(id)
      if (behind !== undefined) release(behind)
      else if (held.has(id)) dropped.add(id)
    },
    expect,
    wake: () => {
      changed.openUnsafe()
    },
    holds: (id) => held.has(id),
    run
  }
  return lane
}

/** A store that is away is asked again: after 100 ms, then ever later, up to every 5 seconds. */
export const storeRetries = {
  schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
    Schedule.jittered
  ),
  while: (error: StoreError) => error.isRetryable
}

/**
 * How long a lane waits that was kept from sending, in milliseconds: twice as long each time, give or
 * take a quarter, and never so long that it would leave for want of work and forget how long.
 */
const waiting = {
  proxy: { firstMs: 1_000, mostMs: 45_000 },
  crowd: { firstMs: 250, mostMs: 5_000 }
} as const

const wasMade = (sent: Option.Option<Sent>): boolean =>
  Option.isSome(sent) && sent.value.outcome._tag !== "NotSent"

const isExpired = ({ message }: DueDelivery, now: number): boolean =>
  message.expiresAt !== null && message.expiresAt <= now

/** The outcome of an attempt for which there is no request that may be sent. */
export const notSent = (refusal: Refused | UrlNotAllowed): Sent => ({
  outcome:
    refusal._tag === "Refused"
      ? refusal
      : { _tag: "Refused", rule: "url", detail: refusal.message },
  durationMs: 0
})

/** What an outcome says about the health of the receiver. */
const circuitOutcome = (outcome: Outcome): "success" | "failure" | "ignored" => {
  switch (classify(outcome)) {
    case "status_2xx":
      return "success"
    case "status_429":
    case "blocked":
    case "not_sent":
      return "ignored"
    default:
      return "failure"
  }
}
