/**
 * Every metric: name, unit, meaning. What moves on the way of a message is bound here once, so that
 * an update is a look-up and an addition.
 *
 * Names are `posthaste_<noun>_<what>_<unit>`, in seconds and bytes; a counter ends in `_total`. Labels
 * are closed lists: no webhook, tenant or URL is one, so the number of series does not grow with use.
 */
import { Clock, type Context, Effect } from "effect"
import { AttemptClass } from "../domain/Attempt.ts"
import {
  counter,
  counters,
  countersAsNeeded,
  gauge,
  gauges,
  histogram,
  histograms,
  histogramsAsNeeded
} from "./Instruments.ts"

/** From a millisecond, which a receiver next door takes, to the longest attempt. */
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** On to the end of the `standard` policy. */
const secondsToDays = [...seconds, 60, 300, 1_800, 7_200, 43_200, 172_800]
const rows = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

export const messagesAccepted = counter(
  "posthaste_message_accepted_total",
  "Messages that were committed"
)
export const messagesRepeated = counter(
  "posthaste_message_repeated_total",
  "Messages that had been accepted before, under the same key or uid"
)
export const messagesRefused = countersAsNeeded(
  "posthaste_message_refused_total",
  "Messages that were refused, by the code of the problem",
  "code"
)
export const messagePublish = histogram(
  "posthaste_message_publish_seconds",
  "From the arrival of a message at the engine to its commit",
  seconds
)
export const commitRows = histograms(
  "posthaste_commit_batch_rows",
  "Messages or settlements that one commit wrote",
  ["of", ["publishing", "settlements"]],
  rows
)
export const commitDuration = histograms(
  "posthaste_commit_duration_seconds",
  "How long such a commit took, with the wait for a store that was away",
  ["of", ["publishing", "settlements"]],
  seconds
)
export const attempts = counters(
  "posthaste_attempt_made_total",
  "Attempts that were written down, by what they came to",
  ["class", AttemptClass.literals]
)
export const attemptDuration = histogram(
  "posthaste_attempt_duration_seconds",
  "From the resolution of the name to the last byte of the answer",
  seconds
)
export const firstAttempt = histogram(
  "posthaste_delivery_first_attempt_seconds",
  "From the acceptance of a message to the start of a first attempt",
  secondsToDays
)
export const delivered = histogram(
  "posthaste_delivery_delivered_seconds",
  "From the acceptance of a message to the end of the attempt that delivered it",
  secondsToDays
)
export const deliveriesEnded = counters(
  "posthaste_delivery_ended_total",
  "Deliveries that became final, by an attempt or by being cancelled one by one",
  ["state", ["delivered", "exhausted", "cancelled"]]
)
export const guardRefusals = countersAsNeeded(
  "posthaste_guard_refused_total",
  "Attempts that were not made because a rule forbids the address, the URL or the request",
  "rule"
)
export const circuitsOpened = counter(
  "posthaste_circuit_opened_total",
  "Times that the circuit of a webhook opened"
)
export const webhooksDisabled = counter(
  "posthaste_webhook_disabled_total",
  "Webhooks that the engine disabled"
)
export const httpDuration = histogramsAsNeeded(
  "posthaste_http_request_duration_seconds",
  "Requests to this service, from their headers to the answer's",
  "method, route, status",
  [0.005, 0.025, 0.1, 0.5, 2.5, 10]
)
export const httpRefused = counter(
  "posthaste_http_request_refused_total",
  "Requests that were answered 503 unread, as too many were in progress"
)

export const webhooks = gauges("posthaste_webhook_registered", "Webhooks, by status", [
  "status",
  ["enabled", "paused", "disabled"]
])
export const circuits = gauges(
  "posthaste_circuit_standing",
  "Webhooks whose circuit is not closed",
  ["state", ["open", "half_open"]]
)
export const deliveriesOpen = gauges(
  "posthaste_delivery_open",
  "Deliveries that are not final, by state; estimated beyond 100,000",
  ["state", ["pending", "waiting", "held"]]
)
export const backlogDue = gauge(
  "posthaste_backlog_due",
  "Deliveries in the store that could go out now; estimated beyond 100,000"
)
export const backlogOldest = gauge(
  "posthaste_backlog_oldest_seconds",
  "How long the oldest of them has been due; 0 without a backlog"
)
export const lanes = gauge("posthaste_lane_alive", "Lanes: webhooks with work in memory")
export const inFlight = gauge(
  "posthaste_attempt_inflight",
  "Attempts that are under way or not yet written down"
)
export const held = gauge("posthaste_delivery_memory", "Deliveries that are held in memory")
export const heldBytes = gauge("posthaste_delivery_memory_bytes", "Bytes of their bodies")

export const storeUp = gauge(
  "posthaste_store_up",
  "1 while the store answers; what is read from it stays as it was while it does not"
)
export const connections = gauges(
  "posthaste_pool_connections",
  "Connections of Posthaste to Postgres, by state; none with the embedded database",
  ["state", ["active", "idle"]]
)
export const loopDelay = gauges(
  "posthaste_process_loop_delay_seconds",
  "How late the event loop was since the last reading",
  ["quantile", ["0.5", "0.99", "1"]]
)
export const heapBytes = gauge("posthaste_process_heap_bytes", "Heap of JavaScript in use")
export const residentBytes = gauge("posthaste_process_resident_bytes", "Resident memory")
export const cpuSeconds = counter(
  "posthaste_process_cpu_seconds_total",
  "CPU time that the process spent"
)

/** Measures one commit of so many rows. */
export const commit = <A, E, R>(
  of: keyof typeof commitRows,
  size: number,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.contextWith((context: Context.Context<R>) =>
    Effect.flatMap(Clock.currentTimeNanos, (begunAt) =>
      Effect.onExit(effect, () =>
        Effect.map(Clock.currentTimeNanos, (endedAt) => {
          commitRows[of].updateUnsafe(size, context)
          commitDuration[of].updateUnsafe(Number(endedAt - begunAt) / 1e9, context)
        })
      )
    )
  )
