/**
 * Tries a webhook out without a delivery: sends it one example, or looks how far a connection comes.
 *
 * Promises: what is sent goes the way of a delivery, with its address guard, its signature and its
 * deadline; nothing is written down, and neither the webhook's health nor its circuit hears of it. It
 * works on webhooks that are paused or disabled. At most 16 trials run at once, one for each webhook.
 */
import { Clock, Context, Effect, Layer, Result } from "effect"
import type { Attempt, Outcome } from "../domain/Attempt.ts"
import { deliveryOf, type WebhookId } from "../domain/TypeId.ts"
import { TrialsBusy, type Webhook } from "../domain/Webhook.ts"
import { attemptOf } from "../settle/Settler.ts"
import * as Verdict from "../settle/Verdict.ts"
import type { OutgoingMessage } from "../store/DeliveryQueue.ts"
import { Ids } from "../store/Ids.ts"
import { AddressGuard } from "./AddressGuard.ts"
import { Authenticator } from "./Authenticator.ts"
import type { HttpRequest, Inspected } from "./HttpSender.ts"
import { notSent } from "./Attempts.ts"
import { build } from "./Request.ts"
import { Signer } from "./Signer.ts"

export class Trials extends Context.Service<
  Trials,
  {
    /** Sends a message once and answers what came of it and what that would mean for a delivery. */
    readonly test: (webhook: Webhook, message: OutgoingMessage) => Effect.Effect<Trial, TrialsBusy>
    /** Opens a connection to the webhook's URL and asks for its headers, with no body and no secret. */
    readonly check: (webhook: Webhook) => Effect.Effect<Inspection, TrialsBusy>
  }
>()("posthaste/send/Trials") {
  static readonly layer = Layer.effect(
    Trials,
    Effect.gen(function* () {
      const guard = yield* AddressGuard
      const ids = yield* Ids
      const sender = yield* Authenticator
      const signer = yield* Signer
      const running = new Set<WebhookId>()

      const bounded = <A>({ id }: Webhook, trial: Effect.Effect<A>): Effect.Effect<A, TrialsBusy> =>
        Effect.suspend(() => {
          if (running.has(id) || running.size >= trialsMax) {
            return new TrialsBusy({ retryAfterSeconds: 1 })
          }
          running.add(id)
          return Effect.ensuring(
            trial,
            Effect.sync(() => running.delete(id))
          )
        })

      const test = Effect.fnUntraced(function* (webhook: Webhook, message: OutgoingMessage) {
        const startedAt = yield* Clock.currentTimeMillis
        const delivery = {
          id: deliveryOf(message.id, 1),
          tenantId: webhook.tenantId,
          webhookId: webhook.id,
          attempts: 0,
          tries: 0,
          orderingKey: null,
          message
        }
        const request = Result.flatMap(guard.url(webhook.url), (url) =>
          build(webhook, url, delivery, startedAt, signer)
        )
        const sent = Result.isFailure(request)
          ? notSent(request.failure)
          : yield* sender.send(webhook, request.success)
        const made = { webhook, delivery, startedAt, ...sent }
        const attempt = attemptOf(made, yield* ids.next("attempt"), { _tag: "Exhausted" })
        return {
          // It belongs to no delivery, so nothing was decided about one.
          attempt: { ...attempt, nextAt: null, settled: null },
          explanation: explain(sent.outcome, webhook),
          request: Result.getOrNull(request)
        }
      })

      const check = Effect.fnUntraced(function* (webhook: Webhook) {
        const checkedAt = yield* Clock.currentTimeMillis
        const url = guard.url(webhook.url)
        if (Result.isFailure(url)) {
          const { outcome } = notSent(url.failure)
          return { checkedAt, inspected: null, refusal: outcome }
        }
        const { timeoutMs } = webhook.settings
        const inspected = yield* sender.probe(webhook, {
          url: url.success,
          method: "GET",
          headers: {},
          body: null,
          timeoutMs
        })
        return { checkedAt, inspected, refusal: null }
      })

      return Trials.of({
        test: (webhook, message) => bounded(webhook, test(webhook, message)),
        check: (webhook) => bounded(webhook, check(webhook))
      })
    })
  )
}

/** What came of an example. */
export interface Trial {
  readonly attempt: Attempt
  /** What happened and what it would mean for a delivery, for people. */
  readonly explanation: string
  /** What was sent, or null where no request could be made. */
  readonly request: HttpRequest | null
}

/** How far a connection came. */
export interface Inspection {
  /** Epoch milliseconds. */
  readonly checkedAt: number
  /** Null where the URL itself may not be sent to. */
  readonly inspected: Inspected | null
  readonly refusal: Outcome | null
}

const trialsMax = 16

/** Says in a sentence what an outcome is and what a delivery would make of it. */
const explain = (outcome: Outcome, { settings }: Webhook): string => {
  if (outcome._tag === "NotSent") {
    return "Nothing was sent, for a reason that the receiver has no part in: a delivery would wait."
  }
  return `${happened(outcome)}: a delivery ${follows[Verdict.ruleOf(outcome, settings)]}.`
}

const happened = (outcome: Outcome): string => {
  if (outcome._tag === "Refused") return "Nothing was sent, see error"
  if (outcome._tag !== "Responded") return "There was no answer"
  const { headers, statusCode } = outcome
  const isRedirect = statusCode >= 300 && statusCode < 400 && headers["location"] !== undefined
  return `The receiver answered ${statusCode}${isRedirect ? ", a redirect, which is not followed" : ""}`
}

const follows: Record<Verdict.Rule, string> = {
  deliver: "would be delivered",
  retry: "would be tried again as its retry policy says",
  exhaust: "would be exhausted at once",
  pause: "would be tried again after a person resumes the webhook, which would be paused",
  disable: "would be exhausted, and the webhook disabled"
}
