/**
 * Turns the outcome of an attempt into a verdict, and writes down all that follows from it.
 *
 * `settle` decides what becomes of the delivery, carries the webhook's health forward in memory,
 * writes attempt, delivery and health in one commit, and then raises the alerts. It answers when the
 * result is durable.
 *
 * Promises: the health of an adopted webhook in memory is the truth, and the store follows it; every
 * failure writes it, and so does a success that changes more than the time of the last one. A result
 * that cannot be written because the store is away is kept and tried again for as long as this layer
 * lives. If the process ends before, its delivery is sent once more after the restart.
 */
import {
  Clock,
  Context,
  DateTime,
  Effect,
  Layer,
  LogLevel,
  Option,
  References,
  Result
} from "effect"
import { type Attempt, classify, describe, type Outcome } from "../domain/Attempt.ts"
import type { Notice } from "../domain/Notice.ts"
import { blocks } from "../domain/Ordering.ts"
import { resolve } from "../domain/RetryPolicy.ts"
import type { AttemptId, WebhookId } from "../domain/TypeId.ts"
import type { Stop, Webhook, WebhookHealth } from "../domain/Webhook.ts"
import type { DeliveryLog } from "../store/DeliveryLog.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import { Ids } from "../store/Ids.ts"
import type { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { type Alert, Alerts, raisedBy } from "./Alerts.ts"
import * as AutoDisable from "./AutoDisable.ts"
import { delayMs } from "./Backoff.ts"
import { Circuit } from "./Circuit.ts"
import * as Health from "./Health.ts"
import { toldOf } from "./Notices.ts"
import * as Verdict from "./Verdict.ts"
import * as Writer from "./Writer.ts"

export class Settler extends Context.Service<
  Settler,
  {
    /** Takes a webhook's health and circuit into memory, unless memory knows a state as new. */
    readonly adopt: (webhook: Webhook) => Effect.Effect<void>
    /** Takes over the state that a person's resuming left, in place of what memory knows. */
    readonly resume: (webhook: Webhook) => Effect.Effect<void>
    /** Forgets a webhook. */
    readonly forget: (webhookId: WebhookId) => Effect.Effect<void>
    /** Reads a webhook's health: from memory, else as the webhook carries it. Synchronous. */
    readonly health: (webhook: Webhook) => WebhookHealth
    /** Decides about an attempt and writes it down. Fails when the store refuses what it holds. */
    readonly settle: (made: AttemptMade) => Effect.Effect<Verdict.Verdict, StoreError>
  }
>()("posthaste/settle/Settler") {
  static readonly layer = (
    options: SettlerOptions = {}
  ): Layer.Layer<Settler, never, Alerts | Circuit | DeliveryLog | Ids> =>
    Layer.effect(
      Settler,
      Effect.gen(function* () {
        const ids = yield* Ids
        const circuit = yield* Circuit
        const alerts = yield* Alerts
        const write = yield* Writer.make(options)
        const context = yield* Effect.context<never>()
        // Asked once: of lines that nobody reads not even the fields are put together.
        const isDebug = LogLevel.isLessThanOrEqualTo(yield* References.MinimumLogLevel, "Debug")
        const successEveryMs = options.successEveryMs ?? 1_000
        const webhooks = new Map<WebhookId, Known>()

        const take = (webhook: Webhook, version: number) => {
          webhooks.set(webhook.id, {
            health: { ...webhook.health, version },
            successWrittenAt: webhook.health.lastSuccessAt,
            stopping: false
          })
          return circuit.adopt(webhook)
        }

        /** Carries the health of a webhook forward, in memory and without waiting. */
        const carry = (made: AttemptMade, rule: Verdict.Rule, now: number): Step => {
          const { outcome, webhook } = made
          const known = webhooks.get(webhook.id)
          const before = known === undefined ? webhook.health : known.health
          const snapshot = circuit.snapshot(webhook)
          if (rule === "deliver") {
            const after = Health.afterSuccess(before, now, snapshot)
            const writtenAt = known === undefined ? before.lastSuccessAt : known.successWrittenAt
            const writes =
              Health.changedBySuccess(before, after) ||
              writtenAt === null ||
              now - writtenAt >= successEveryMs
            if (known !== undefined) {
              known.health = after
              if (writes) known.successWrittenAt = now
            }
            return { known, before, after, writes, stop: null }
          }
          const throttledUntil = Verdict.throttledUntil(outcome, now)
          const after = Health.afterFailure(before, now, snapshot, throttledUntil)
          const stop = known?.stopping === true ? null : stopOf(made, rule, after, now)
          if (known !== undefined) {
            known.health = after
            if (stop !== null) known.stopping = true
          }
          return { known, before, after, writes: true, stop }
        }

        const noticesOf = Effect.fnUntraced(function* (
          raised: ReadonlyArray<Alert>,
          { delivery }: AttemptMade,
          attempt: Attempt,
          after: WebhookHealth
        ) {
          const { tenantId } = attempt
          const createdAt = attempt.startedAt + attempt.durationMs
          const notices: Array<Notice> = []
          for (const told of toldOf(raised, attempt, delivery.message.type, after)) {
            notices.push({ ...told, id: yield* ids.next("notice"), tenantId, createdAt })
          }
          return notices
        })

        const settle = Effect.fnUntraced(function* (made: AttemptMade) {
          const { delivery, outcome, webhook } = made
          const tries = delivery.tries + 1
          const now = yield* Clock.currentTimeMillis
          const rule = Verdict.ruleOf(outcome, webhook.settings)
          const delay = Verdict.isRetryable(rule)
            ? Option.getOrNull(yield* delayMs(resolve(webhook.settings.retry), tries))
            : null
          const { expiresAt } = delivery.message
          const verdict = Verdict.decide({ outcome, now, rule, delayMs: delay, expiresAt })
          const attempt = attemptOf(made, yield* ids.next("attempt"), verdict)
          const { after, before, stop, known, writes } = carry(made, rule, now)
          const raised =
            verdict._tag !== "Delivered" || before.consecutiveFailures > 0
              ? raisedBy({
                  webhook,
                  before,
                  after,
                  stop,
                  exhausted: attempt.settled === "exhausted" ? delivery.id : null,
                  now
                })
              : noAlerts
          reach("settle.decided")
          const written = yield* write({
            attempt,
            type: delivery.message.type,
            tries,
            health: writes ? after : null,
            stop,
            notices:
              raised.length === 0 ? noNotices : yield* noticesOf(raised, made, attempt, after),
            ...orderOf(made, attempt)
          })
          reach("settle.written")
          if (Result.isFailure(written)) {
            // The next failure has to stop the webhook, as this one did not.
            if (known !== undefined && stop !== null) known.stopping = false
            return yield* Effect.fail(written.failure)
          }
          count(made, attempt, context)
          if (isDebug) yield* logAttempt(attempt, verdict)
          if (before.circuitOpenUntil !== after.circuitOpenUntil) yield* logCircuit(made, after)
          if (stop?.status === "disabled") Metrics.webhooksDisabled.updateUnsafe(1, context)
          for (const alert of raised) yield* alerts.raise(alert)
          return verdict
        })

        return Settler.of({
          adopt: (webhook) =>
            Effect.suspend(() => {
              const known = webhooks.get(webhook.id)
              return known !== undefined && known.health.version >= webhook.health.version
                ? Effect.void
                : take(webhook, webhook.health.version)
            }),
          resume: (webhook) =>
            Effect.suspend(() => {
              const version = webhooks.get(webhook.id)?.health.version ?? 0
              return take(webhook, Math.max(version, webhook.health.version))
            }),
          forget: (webhookId) =>
            Effect.suspend(() => {
              webhooks.delete(webhookId)
              return circuit.forget(webhookId)
            }),
          health: (webhook) => webhooks.get(webhook.id)?.health ?? webhook.health,
          settle
        })
      })
    )
}

const noAlerts: ReadonlyArray<Alert> = []
const noNotices: ReadonlyArray<Notice> = []

/** The bounds and times of settling. */
export interface SettlerOptions extends Writer.WriterOptions {
  /** How often a plain success writes the time of a webhook's last one. Every 1,000 ms by default. */
  readonly successEveryMs?: number
}

/** An attempt that was made and what came of it. */
export interface AttemptMade {
  readonly webhook: Webhook
  readonly delivery: DueDelivery
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly outcome: Outcome
  readonly durationMs: number
}

/** An adopted webhook. */
interface Known {
  health: WebhookHealth
  /** When a success last wrote the health, epoch milliseconds. */
  successWrittenAt: number | null
  /** Set while the webhook is being stopped, so that attempts still in flight do not repeat it. */
  stopping: boolean
}

/** What a settled delivery that stands in an order means to those behind it. */
const orderOf = ({ delivery, webhook }: AttemptMade, { settled }: Attempt) =>
  delivery.orderingKey === null || settled === null
    ? none
    : {
        order: {
          key: delivery.orderingKey,
          blocks: settled === "exhausted" && blocks(webhook.settings.ordering)
        }
      }

const none = {}

/** What an attempt changes about a webhook. */
interface Step {
  readonly known: Known | undefined
  readonly before: WebhookHealth
  readonly after: WebhookHealth
  /** Whether the health has to be written. */
  readonly writes: boolean
  readonly stop: Stop | null
}

const stopOf = (
  { outcome, webhook }: AttemptMade,
  rule: Verdict.Rule,
  after: WebhookHealth,
  now: number
): Stop | null => {
  if (webhook.status !== "enabled") return null
  const stop = Verdict.stopBy(rule, outcome)
  if (stop?.status === "disabled") return stop
  const progress = AutoDisable.progress(after, webhook.settings.disableAfter, now)
  return AutoDisable.decide(progress) ?? stop
}

const logAttempt = (attempt: Attempt, verdict: Verdict.Verdict): Effect.Effect<void> =>
  log("attempt_made", {
    webhook: attempt.webhookId,
    tenant: attempt.tenantId,
    delivery: attempt.deliveryId,
    attempt: attempt.number,
    class: attempt.class,
    status: attempt.statusCode,
    durationMs: attempt.durationMs,
    verdict: verdict._tag.toLowerCase()
  })

/** Says that a circuit opened, opened again, or closed. */
const logCircuit = ({ webhook }: AttemptMade, after: WebhookHealth): Effect.Effect<void> => {
  const about = { webhook: webhook.id, tenant: webhook.tenantId }
  const until = after.circuitOpenUntil
  return until === null
    ? log("circuit_closed", about)
    : log("circuit_opened", { ...about, until: DateTime.formatIso(DateTime.makeUnsafe(until)) })
}

/** Counts an attempt that is written down. */
const count = (made: AttemptMade, attempt: Attempt, context: Context.Context<never>): void => {
  const { durationMs, number, settled, startedAt } = attempt
  const { createdAt } = made.delivery.message
  Metrics.attempts[attempt.class].updateUnsafe(1, context)
  if (made.outcome._tag === "Refused") {
    Metrics.guardRefusals(made.outcome.rule).updateUnsafe(1, context)
  } else {
    Metrics.attemptDuration.updateUnsafe(durationMs / 1_000, context)
  }
  if (number === 1) {
    Metrics.firstAttempt.updateUnsafe(Math.max(0, startedAt - createdAt) / 1_000, context)
  }
  if (settled === null) return
  Metrics.deliveriesEnded[settled].updateUnsafe(1, context)
  if (settled === "delivered") {
    const took = Math.max(0, startedAt + durationMs - createdAt)
    Metrics.delivered.updateUnsafe(took / 1_000, context)
  }
}

/** Forms the record of an attempt and of what was decided about it. */
export const attemptOf = (made: AttemptMade, id: AttemptId, verdict: Verdict.Verdict): Attempt => {
  const { delivery, durationMs, outcome, startedAt } = made
  const response = outcome._tag === "Responded" ? outcome : null
  return {
    id,
    deliveryId: delivery.id,
    tenantId: delivery.tenantId,
    webhookId: delivery.webhookId,
    number: delivery.attempts + 1,
    startedAt,
    durationMs,
    class: classify(outcome),
    statusCode: response === null ? null : response.statusCode,
    error: describe(outcome),
    responseHeaders: response === null ? null : response.headers,
    responseBody: response === null ? null : response.body,
    responseTruncated: response !== null && response.truncated,
    nextAt: verdict._tag === "Again" ? verdict.at : null,
    settled: settledAs[verdict._tag]
  }
}

const settledAs = {
  Delivered: "delivered",
  Again: null,
  Exhausted: "exhausted"
} as const
