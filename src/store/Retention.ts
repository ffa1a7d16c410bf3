/**
 * Keeps settled messages for a while and removes them then, with their deliveries and attempts.
 *
 * Promises: a message goes as a whole, once all of its deliveries have been settled or cancelled for
 * the time; what is still open is never removed, however old, nor
 * what blocks an ordering key. It runs at the start and then every
 * hour, in steps of less than a second; finished jobs of redelivery go with the rest; a store that is
 * away is waited for. What a caller named by a `uid` stays known for ever.
 *
 * An ad-hoc webhook goes when it is old and nothing refers to it any more: first messages find it no
 * longer, and an hour later, when none that found it can still be on its way, it is deleted.
 *
 * Leaves to others: idempotency keys (Upkeep).
 */
import { Clock, Context, Effect, Layer, Schedule, Schema } from "effect"
import * as RetryPolicy from "../domain/RetryPolicy.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import { log } from "../telemetry/Log.ts"
import { Ownership } from "./Ownership.ts"
import * as RetentionMemory from "./RetentionMemory.ts"
import * as RetentionSql from "./RetentionSql.ts"
import type { StoreError } from "./StoreError.ts"
import { WebhookRepo } from "./WebhookRepo.ts"

export class Retention extends Context.Service<
  Retention,
  {
    /** How long a message is kept after its last delivery was settled, in milliseconds. */
    readonly keptMs: number
    /** Removes what has been kept for its time by now; answers what that was. */
    readonly sweep: Effect.Effect<Swept, StoreError>
  }
>()("posthaste/store/Retention") {
  /** Removes from Postgres or PGlite. Fails when a webhook there tries for longer than messages live. */
  static readonly layer = (options: RetentionOptions = {}) =>
    Layer.effect(
      Retention,
      Effect.gen(function* () {
        // Only the engine that owns the deliveries removes any.
        yield* Ownership
        return yield* make(yield* RetentionSql.make, options)
      })
    )

  /** Removes from the memory of this process. */
  static readonly layerMemory = (options: RetentionOptions = {}) =>
    Layer.effect(
      Retention,
      Effect.flatMap(RetentionMemory.make, (store) => make(store, options))
    )
}

/** How long messages are kept. */
export interface RetentionOptions {
  /** Days after the last delivery of a message was settled. 30 by default. */
  readonly days?: number
}

/** What was removed. */
export interface Swept {
  /** Days that were removed as a whole, and messages that were removed one by one. */
  readonly days: number
  readonly messages: number
}

/** What keeps the messages. */
export interface RetentionStore {
  /** Removes messages whose deliveries were all settled by an instant (epoch milliseconds). */
  readonly removeSettled: (before: number) => Effect.Effect<Swept, StoreError>
  /** Ad-hoc webhooks made before an instant (epoch milliseconds) that nothing is owed or was sent to. */
  readonly unused: (before: number) => Effect.Effect<ReadonlyArray<WebhookId>, StoreError>
  /** The different ways to retry that webhooks have; undefined is the default. */
  readonly retries: Effect.Effect<ReadonlyArray<unknown>, StoreError>
}

/** Reports that a webhook retries for longer than messages are kept. */
export class RetentionTooShort extends Schema.TaggedError<RetentionTooShort>()(
  "RetentionTooShort",
  { days: Schema.Finite, windowMs: Schema.Finite }
) {
  /** Names the setting and what it must reach. */
  override get message(): string {
    const least = Math.ceil(this.windowMs / dayMs)
    return (
      `POSTHASTE_RETENTION_DAYS: ${this.days} days are shorter than the longest retry window of a ` +
      `webhook; expected ${least} or more`
    )
  }
}

const dayMs = 86_400_000

/** How long an ad-hoc webhook stays that messages do not find any more. */
const retiredMs = 3_600_000

const make = Effect.fnUntraced(function* (store: RetentionStore, options: RetentionOptions) {
  const webhooks = yield* WebhookRepo
  const days = options.days ?? 30
  const keptMs = days * dayMs
  const retries = yield* store.retries
  const windowMs = Math.max(...retries.map(windowOf), windowOf(undefined))
  if (windowMs > keptMs) return yield* new RetentionTooShort({ days, windowMs })

  const removeUnused = Effect.fnUntraced(
    function* ({ adHoc, id, tenantId, updatedAt }: Webhook, now: number) {
      if (adHoc === null) return
      if (adHoc.digest !== null) yield* webhooks.retire(tenantId, id)
      else if (updatedAt <= now - retiredMs) yield* webhooks.delete(tenantId, id)
    },
    Effect.catchTag("WebhookNotFound", () => Effect.void)
  )

  const sweep = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const before = Math.max(0, now - keptMs)
    const swept = yield* store.removeSettled(before)
    const unused = yield* store.unused(before)
    if (unused.length > 0) {
      for (const webhook of yield* webhooks.findMany(unused)) yield* removeUnused(webhook, now)
    }
    if (swept.days > 0 || swept.messages > 0) {
      yield* log("messages_removed", { count: swept.messages, days: swept.days })
    }
    return swept
  })
  yield* sweep.pipe(
    Effect.catch((error) => log("retention_waiting", { reason: error.message })),
    Effect.repeat(Schedule.spaced("1 hour")),
    Effect.forkScoped
  )
  return Retention.of({ keptMs, sweep })
})

const isRetry = Schema.is(RetryPolicy.Retry)

/** A policy that this version does not know bounds nothing. */
const windowOf = (retry: unknown): number =>
  retry === undefined || retry === null
    ? RetryPolicy.windowMs(RetryPolicy.presets.standard)
    : isRetry(retry)
      ? RetryPolicy.windowMs(RetryPolicy.resolve(retry))
      : 0
