/**
 * Streams of what just happened, as Server-Sent Events.
 *
 * Promises: nobody waits for a reader. Each stream keeps the newest events for its own reader, and
 * says how many it had to drop. Streams are bounded in number and in age, and end with the service.
 * Comments keep idle connections open.
 */
import { Context, Duration, Effect, Layer, Queue, Schema, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import {
  type StreamEvent,
  StreamEvent as StreamEventSchema,
  StreamsBusy
} from "../api/DeliveryEvents.ts"
import type { DeliveryStatus } from "../domain/Delivery.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import { Lanes } from "../send/Lanes.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { type WebhookChange, WebhookRepo } from "../store/WebhookRepo.ts"
import { Draining } from "./Draining.ts"
import { attemptView, deliveryView } from "./Views.ts"

export class DeliveryStream extends Context.Service<
  DeliveryStream,
  {
    /** Opens a stream of what happens to a tenant from now on. */
    readonly open: (
      tenantId: TenantId,
      filter: StreamFilter
    ) => Effect.Effect<HttpServerResponse.HttpServerResponse, StreamsBusy>
  }
>()("posthaste/http/DeliveryStream") {
  static readonly layer = (options: DeliveryStreamOptions = {}) =>
    Layer.effect(
      DeliveryStream,
      Effect.gen(function* () {
        const log = yield* DeliveryLog
        const lanes = yield* Lanes
        const webhooks = yield* WebhookRepo
        const draining = yield* Draining
        const { bufferMax, lifetime, heartbeat, streamsMax, tenantStreamsMax } = {
          ...defaults,
          ...options
        }
        const counts = new Map<TenantId, number>()
        let all = 0
        const count = (tenantId: TenantId, by: 1 | -1) => {
          all += by
          const open = (counts.get(tenantId) ?? 0) + by
          if (open === 0) counts.delete(tenantId)
          else counts.set(tenantId, open)
        }

        const events = (tenantId: TenantId, filter: StreamFilter) =>
          Effect.gen(function* () {
            yield* Effect.acquireRelease(
              Effect.sync(() => count(tenantId, 1)),
              () => Effect.sync(() => count(tenantId, -1))
            )
            const queue = yield* Queue.sliding<Numbered>(bufferMax)
            let number = 0
            const offer = (event: StreamEvent | undefined) => {
              if (event !== undefined) Queue.offerUnsafe(queue, { number: ++number, event })
            }
            const pump = <A>(
              source: Stream.Stream<A>,
              eventOf: (change: A) => StreamEvent | undefined
            ) =>
              source.pipe(
                Stream.runForEach((change) => Effect.sync(() => offer(eventOf(change)))),
                // Begun before the reader is told that it is connected.
                Effect.forkScoped({ startImmediately: true })
              )
            yield* pump(log.changes, ({ attempt, status, type }) =>
              attempt.tenantId === tenantId && passes(filter, attempt.webhookId, type, status)
                ? { kind: "attempt", type, status, attempt: attemptView(attempt, false) }
                : undefined
            )
            yield* pump(lanes.changes, (delivery) =>
              delivery.tenantId === tenantId &&
              passes(filter, delivery.webhookId, delivery.type, delivery.status)
                ? { kind: "delivery", delivery: deliveryView(delivery) }
                : undefined
            )
            if (filter.type === null && filter.status === null) {
              yield* pump(webhooks.changes, (change) =>
                change.webhook.tenantId === tenantId &&
                (filter.webhookId ?? change.webhook.id) === change.webhook.id
                  ? webhookEvent(change)
                  : undefined
              )
            }
            return Stream.mapEffect(withMissed(Stream.fromQueue(queue)), print).pipe(
              Stream.prepend([connected])
            )
          }).pipe(Stream.unwrap)

        return DeliveryStream.of({
          open: Effect.fn("DeliveryStream.open")(function* (tenantId, filter) {
            if (all >= streamsMax || (counts.get(tenantId) ?? 0) >= tenantStreamsMax) {
              return yield* new StreamsBusy({ retryAfterSeconds: 5 })
            }
            const beats = Stream.tick(heartbeat).pipe(
              Stream.drop(1),
              Stream.map(() => ": still here\n\n")
            )
            const body = events(tenantId, filter).pipe(
              Stream.merge(beats, { haltStrategy: "left" }),
              Stream.interruptWhen(draining.awaited),
              Stream.interruptWhen(Effect.sleep(lifetime)),
              Stream.encodeText
            )
            return HttpServerResponse.stream(body, {
              contentType: "text/event-stream",
              // Proxies are asked to pass on what comes as it comes. The connection ends with the
              // stream: one that is kept would hold up the end of the service.
              headers: { "x-accel-buffering": "no", connection: "close" }
            })
          })
        })
      })
    )
}

/** The bounds of streams. */
export interface DeliveryStreamOptions {
  /** Streams that may be open, in all. 128 by default. */
  readonly streamsMax?: number
  /** Streams that may be open, of each tenant. 32 by default. */
  readonly tenantStreamsMax?: number
  /** Events that are kept for a reader. 1,024 by default. */
  readonly bufferMax?: number
  /** How often a comment is sent. Every 15 seconds by default. */
  readonly heartbeat?: Duration.Input
  /** When a stream ends, so that its key is looked at again. After an hour by default. */
  readonly lifetime?: Duration.Input
}

const defaults: Required<DeliveryStreamOptions> = {
  streamsMax: 128,
  tenantStreamsMax: 32,
  bufferMax: 1_024,
  heartbeat: "15 seconds",
  lifetime: "1 hour"
}

/** What a stream is narrowed to. */
export interface StreamFilter {
  readonly webhookId: WebhookId | null
  readonly type: string | null
  readonly status: DeliveryStatus | null
}

/** Says at once that the stream is open. */
const connected = ": connected\n\n"

/** An event with its place among all of its stream, from 1. */
interface Numbered {
  readonly number: number
  readonly event: StreamEvent
}

const passes = (
  filter: StreamFilter,
  webhookId: WebhookId,
  type: string,
  status: DeliveryStatus
): boolean =>
  (filter.webhookId ?? webhookId) === webhookId &&
  (filter.type ?? type) === type &&
  (filter.status ?? status) === status

/** Tells of a webhook whose state changed; other changes are no news here. */
const webhookEvent = (change: WebhookChange): StreamEvent | undefined => {
  const { webhook } = change
  const event = {
    kind: "webhook",
    webhookId: webhook.id,
    disabledReason: webhook.disabledReason,
    at: webhook.updatedAt
  } as const
  if (change._tag === "Deleted") return { ...event, status: "deleted" }
  return change.previous?.status === webhook.status
    ? undefined
    : { ...event, status: webhook.status }
}

/** Says between two events how many were dropped there. */
const withMissed = (events: Stream.Stream<Numbered>): Stream.Stream<StreamEvent> =>
  Stream.mapAccum(
    events,
    () => 0,
    (last, { event, number }): readonly [number, ReadonlyArray<StreamEvent>] => {
      const missed = number - last - 1
      return [number, missed === 0 ? [event] : [{ kind: "missed", missed }, event]]
    }
  )

const encode = Schema.encodeEffect(Schema.fromJsonString(StreamEventSchema))

/** Prints an event. JSON has no line breaks of its own, so one line of data is enough. */
const print = (event: StreamEvent): Effect.Effect<string> =>
  Effect.map(Effect.orDie(encode(event)), (json) => `event: ${event.kind}\ndata: ${json}\n\n`)
