/**
 * Says of a delivery and its attempts, in a sentence for people, how they stand and what comes next.
 */
import type { Attempt } from "./Attempt.ts"
import type { Delivery } from "./Delivery.ts"
import { attemptsMax, resolve } from "./RetryPolicy.ts"
import { circuitState, type Webhook } from "./Webhook.ts"

/** Explains a delivery at an instant (epoch milliseconds); `webhook` is missing when it was deleted. */
export const explainDelivery = (input: {
  readonly delivery: Delivery
  /** All of its attempts, first one first. */
  readonly attempts: ReadonlyArray<Attempt>
  readonly webhook: Webhook | undefined
  readonly now: number
}): string => {
  const { attempts, delivery, now, webhook } = input
  const last = attempts.at(-1)
  switch (delivery.status) {
    case "delivered":
      return `delivered by attempt ${delivery.attempts}${since(attempts, delivery.settledAt)}`
    case "exhausted":
      return last === undefined
        ? "given up"
        : `given up after ${counted(delivery.attempts, "attempt")}` +
            `${since(attempts, delivery.settledAt)}: ${whatCame(last)}`
    case "cancelled":
      if (delivery.reason === "expired") return "cancelled, because its message has expired"
      return last === undefined
        ? "cancelled before its first attempt"
        : `cancelled after ${counted(delivery.attempts, "attempt")}, of which the last one ended so: ${whatCame(last)}`
    case "held":
      return `held: ${whyHeld(webhook, now)}` + (last === undefined ? "" : `; ${failure(input)}`)
    case "pending":
    case "waiting": {
      const next = delivery.nextAttemptAt === null ? "now" : whenDue(delivery.nextAttemptAt, now)
      return last === undefined
        ? `the first attempt is due ${next}`
        : `${failure(input)}; the next one is due ${next}`
    }
  }
}

/** Explains an attempt. */
export const explainAttempt = (attempt: Attempt): string => {
  if (attempt.settled === "delivered") return `delivered: ${whatCame(attempt)}`
  if (attempt.settled === "exhausted") return `failed: ${whatCame(attempt)}; no other one followed`
  const { nextAt } = attempt
  if (nextAt === null) return `ended: ${whatCame(attempt)}`
  const ms = Math.max(0, nextAt - attempt.startedAt - attempt.durationMs)
  return `failed: ${whatCame(attempt)}; the next one was planned for ${inWords(ms)} later`
}

/** Says which attempt of its round failed, and how. A redelivery begins a new round. */
const failure = ({ attempts, webhook }: Parameters<typeof explainDelivery>[0]): string => {
  const last = attempts.at(-1)
  if (last === undefined) return ""
  if (last.nextAt === null) return `redelivered after ${counted(attempts.length, "attempt")}`
  const begin = attempts.findLastIndex(({ nextAt }) => nextAt === null) + 1
  const max = webhook === undefined ? "" : ` of ${attemptsMax(resolve(webhook.settings.retry))}`
  return `attempt ${attempts.length - begin}${max} failed: ${whatCame(last)}`
}

const whatCame = ({ class: of, error, statusCode }: Attempt): string => {
  if (statusCode === null) return error ?? of
  return `the receiver answered ${statusCode}${error === null ? "" : ` (${error})`}`
}

const whyHeld = (webhook: Webhook | undefined, now: number): string => {
  if (webhook === undefined) return "the webhook was deleted"
  if (webhook.status === "paused") return "the webhook is paused"
  if (webhook.disabledReason === "on_failure")
    return "the webhook is stopped, as its onFailure says"
  if (webhook.status === "disabled") {
    return webhook.disabledReason === "gone"
      ? "the webhook is disabled, because its receiver answered 410 Gone"
      : "the webhook is disabled, because it kept failing"
  }
  const { circuitOpenUntil } = webhook.health
  if (circuitOpenUntil === null) {
    return "all sending is, or an exhausted one before it under its ordering key keeps it back"
  }
  return circuitState(webhook.health, now) === "open"
    ? `the webhook failed too often, one probe goes ${whenDue(circuitOpenUntil, now)}`
    : "the webhook failed too often, one probe decides"
}

const whenDue = (at: number, now: number): string => (at <= now ? "now" : `in ${inWords(at - now)}`)

const since = (attempts: ReadonlyArray<Attempt>, end: number | null): string => {
  const first = attempts[0]
  if (first === undefined || end === null) return ""
  return ` in ${inWords(Math.max(0, end - first.startedAt))}`
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const units = [
  { noun: "day", ms: 86_400_000, from: 4 * 86_400_000 },
  { noun: "hour", ms: 3_600_000, from: 90 * 60_000 },
  { noun: "minute", ms: 60_000, from: 90_000 },
  { noun: "second", ms: 1_000, from: 1_000 }
] as const

/** Prints a length in the unit that people would choose. */
const inWords = (ms: number): string => {
  const unit = units.find(({ from }) => ms >= from)
  return unit === undefined ? "less than a second" : counted(Math.round(ms / unit.ms), unit.noun)
}
