/**
 * Makes the attempts of one lane, and has each written down.
 *
 * Whatever a receiver does ends in `settle`, begun at once: what an outcome says about the webhook is
 * known before its next request. A defect while one delivery is handled is logged, and that delivery
 * is put off for a while; its lane goes on.
 */
import { Cause, Clock, Effect, Exit, type Latch, Option, Random, Result } from "effect"
import { classify, type Outcome, type Refused } from "../domain/Attempt.ts"
import { blocks } from "../domain/Ordering.ts"
import type { UrlNotAllowed, Webhook } from "../domain/Webhook.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import type { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import type { Backlog } from "./Backlog.ts"
import type { Gate } from "./Gate.ts"
import type { HttpRequest, Sent } from "./HttpSender.ts"
import type { LaneContext } from "./LaneContext.ts"
import type { Mailbox } from "./Mailbox.ts"
import type { Pace } from "./Pace.ts"
import { build } from "./Request.ts"
import { storeRetries } from "./StoreRetries.ts"

/** The parts of a lane, which its attempts read and change. */
export interface LaneParts {
  readonly webhook: () => Webhook
  readonly url: () => Result.Result<URL, UrlNotAllowed>
  readonly gate: (now: number) => Gate
  readonly mailbox: Mailbox
  readonly backlog: Backlog
  readonly pace: Pace
  /** Opened when the lane has reason to look around. */
  readonly changed: Latch.Latch
}

export interface Attempts {
  /** The number of attempts that may be under way now, as far as the lane's gate goes. */
  readonly most: () => number
  /** Makes the attempt that is next; answers false when there is none, or it could not be made. */
  readonly next: Effect.Effect<boolean, StoreError>
}

/** Makes the attempts of a lane. */
export const make = (context: LaneContext, parts: LaneParts): Attempts => {
  const { circuit, clock, memory, queue, sender, settler, signer, tracing } = context
  const { backlog, changed, gate, mailbox, pace } = parts
  const unsettledMax = context.options.unsettledMax ?? 256
  const defectDelayMs = context.options.defectDelayMs ?? 60_000
  let unsettled = 0

  const ended = () => {
    memory.inFlight--
    context.onEnded()
  }

  /** Puts a delivery off whose handling met a defect, so that it cannot keep its lane busy. */
  const putOff = Effect.fnUntraced(function* (delivery: DueDelivery, cause: Cause.Cause<unknown>) {
    if (Cause.hasInterruptsOnly(cause)) return
    yield* log("delivery_put_off", { webhook: delivery.webhookId, delivery: delivery.id }, cause)
    const dueAt = (yield* Clock.currentTimeMillis) + defectDelayMs
    yield* Effect.ignore(Effect.retry(queue.park([delivery], dueAt), storeRetries))
    mailbox.release(delivery)
    mailbox.advance(delivery, false)
    backlog.expect(dueAt, false)
  })

  /** Writes down what came of an attempt; the receiver's next one need not wait for that. */
  const settle = (delivery: DueDelivery, startedAt: number, sent: Sent) => {
    unsettled++
    const webhook = parts.webhook()
    pace.bear(sent.outcome, webhook.settings.concurrency, startedAt, clock)
    return settler.settle({ webhook, delivery, startedAt, ...sent }).pipe(
      Effect.flatMap((verdict) =>
        Effect.sync(() => {
          const { concurrency, ordering } = parts.webhook().settings
          mailbox.release(delivery)
          reach("settle.forgotten")
          if (verdict._tag === "Again") backlog.expect(verdict.at, false)
          mailbox.advance(
            delivery,
            verdict._tag === "Delivered" || (verdict._tag === "Exhausted" && !blocks(ordering))
          )
          if (verdict._tag === "Delivered" && pace.quicken(concurrency)) changed.openUnsafe()
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

  const send = (webhook: Webhook, delivery: DueDelivery, request: HttpRequest) => {
    const sending = sender.send(webhook, request)
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
    const expired = [first, ...mailbox.takeWhere((delivery) => isExpired(delivery, now))]
    const ended = yield* Effect.retry(queue.expire(expired), storeRetries)
    reach("send.expired")
    expired.forEach(mailbox.leave)
    yield* context.onExpired(ended)
  })

  /** Makes one attempt; answers false when the gate turned out to be closed. */
  const attempt = Effect.fnUntraced(
    function* (delivery: DueDelivery) {
      const now = yield* Clock.currentTimeMillis
      const webhook = parts.webhook()
      if (context.isDraining() || gate(now).workersMax === 0) return false
      if (isExpired(delivery, now)) {
        yield* expire(delivery, now)
        return true
      }
      if (!pace.take(webhook, now)) return false
      if (!context.takeAttempt()) return false
      reach("send.taken")
      const request = Result.flatMap(parts.url(), (url) =>
        build(webhook, url, delivery, now, signer)
      )
      memory.inFlight++
      const sent = yield* (
        Result.isFailure(request)
          ? Effect.succeedSome(notSent(request.failure))
          : circuit.run(webhook, send(webhook, delivery, request.success), ({ outcome }) =>
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
        pace.putBack(webhook)
        context.putBackAttempt()
        if (outcome?._tag === "NotSent") {
          pace.wait(outcome.cause, yield* Random.next, clock.currentTimeMillisUnsafe())
        }
        return false
      }
      pace.went()
      reach("send.answered")
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

  return {
    most: () =>
      context.isDraining() || unsettled >= unsettledMax
        ? 0
        : gate(clock.currentTimeMillisUnsafe()).workersMax,
    next: Effect.suspend(() => {
      // Taken out only now: what waits for its turn can still be cancelled.
      const delivery = mailbox.take()
      if (delivery === undefined) return Effect.succeed(false)
      return Effect.map(attempt(delivery), (made) => {
        if (!made) mailbox.putBack(delivery)
        return made
      })
    })
  }
}

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
