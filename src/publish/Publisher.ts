/**
 * Accepts messages: once, durably, with everything they owe.
 *
 * A message that was answered with success is committed together with its deliveries. Concurrent
 * publishes share a commit; one that comes alone waits for nothing.
 *
 * Leaves to others: whom a message goes to and what is written of it (`Plan`), writing it and handing
 * its deliveries on (`Commits`).
 */
import { Clock, Context, Effect, Layer, Metric, Result } from "effect"
import type { MessageRefused } from "../domain/EventType.ts"
import {
  BodyTooLarge,
  IdempotencyConflict,
  MessageUidConflict,
  type Overloaded
} from "../domain/Message.ts"
import type { BatchOverLimit, RateLimited } from "../domain/Tenant.ts"
import type { MessageId } from "../domain/TypeId.ts"
import type { AdHocLimit, UrlNotAllowed, Webhook } from "../domain/Webhook.ts"
import { Ids } from "../store/Ids.ts"
import { MessageRepo } from "../store/MessageRepo.ts"
import { StoreError } from "../store/StoreError.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { reach } from "../telemetry/Failpoint.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { Traces } from "../telemetry/Traces.ts"
import { jsonBody } from "./Body.ts"
import { Catalogue } from "./Catalogue.ts"
import * as Commits from "./Commits.ts"
import { type Destination, Destinations } from "./Destinations.ts"
import { digestOf, type Draft, type KeyedRequest } from "./Draft.ts"
import { reader } from "./Payload.ts"
import type { Pending } from "./Plan.ts"
import * as Quota from "./Quota.ts"

export class Publisher extends Context.Service<
  Publisher,
  {
    /** Publishes one message; a repetition answers what the first one was answered. */
    readonly publish: (
      draft: Draft
    ) => Effect.Effect<Accepted, PublishRefusal | RateLimited | Overloaded | StoreError>
    /**
     * Publishes messages in one commit, each accepted or refused on its own; result i answers draft i.
     * Fails for all of them when nothing could be written, when they are more than their tenant may
     * publish now, or when the key of the request came with another one before.
     */
    readonly publishAll: (
      drafts: ReadonlyArray<Draft>,
      request?: KeyedRequest
    ) => Effect.Effect<
      ReadonlyArray<Result.Result<Accepted, PublishRefusal>>,
      IdempotencyConflict | RateLimited | BatchOverLimit | Overloaded | StoreError
    >
  }
>()("posthaste/publish/Publisher") {
  static readonly layer = (options: PublisherOptions = {}) =>
    Layer.effect(
      Publisher,
      Effect.gen(function* () {
        const bodyBytesMax = options.bodyBytesMax ?? 262_144
        const commit = yield* Commits.make(options)
        const catalogue = yield* Catalogue
        const destinations = yield* Destinations
        const ids = yield* Ids
        const messages = yield* MessageRepo
        const quota = Quota.make((yield* TenantRepo).messagesPerSecond)
        const clock = yield* Clock.Clock
        const tracing = yield* Traces
        const context = yield* Effect.context<never>()

        const measure = (counter: Metric.Counter<number>, begunAt: bigint) => {
          counter.updateUnsafe(1, context)
          const took = clock.currentTimeNanosUnsafe() - begunAt
          Metrics.messagePublish.updateUnsafe(Number(took) / 1e9, context)
        }

        /** Finds the one webhook that a message names, once nothing else is wrong with its data. */
        const destinationOf = (
          { data, tenantId, type }: Draft,
          destination: Destination
        ): Effect.Effect<Webhook, MessageRefused | UrlNotAllowed | AdHocLimit | StoreError> => {
          const refusal = catalogue.judge(tenantId, type, reader(data))
          return refusal === null
            ? destinations.webhook(tenantId, destination)
            : Effect.fail(refusal)
        }

        /** Judges a message and makes its body: what is left is to write it. */
        const prepare = (
          draft: Draft,
          id: MessageId,
          now: number,
          destination?: Webhook
        ): Result.Result<Pending, MessageRefused | BodyTooLarge> => {
          const data = reader(draft.data)
          const refusal = catalogue.judge(draft.tenantId, draft.type, data)
          if (refusal !== null) return Result.fail(refusal)
          const body =
            typeof draft.data === "string"
              ? jsonBody({
                  id,
                  type: draft.type,
                  createdAt: now,
                  data: draft.data,
                  resource: draft.resource
                })
              : draft.data.bytes
          if (body.length > bodyBytesMax) {
            return Result.fail(
              new BodyTooLarge({
                detail: `The message has ${body.length} bytes; at most ${bodyBytesMax} are taken.`
              })
            )
          }
          const digest =
            draft.uid === null && draft.idempotencyKey === null ? noDigest : digestOf(draft)
          return Result.succeed({ draft, destination, id, body, data, digest, createdAt: now })
        }

        /** Finds the webhook that a message of a batch names; a store that is away fails for all. */
        const toDestination = (draft: Draft) =>
          draft.destination === undefined
            ? Effect.succeed(nowhere)
            : destinationOf(draft, draft.destination).pipe(
                Effect.map((webhook): Found => Result.succeed(webhook)),
                Effect.catchTags({
                  MessageRefused: (refusal) => Effect.succeed<Found>(Result.fail(refusal)),
                  UrlNotAllowed: (refusal) => Effect.succeed<Found>(Result.fail(refusal)),
                  AdHocLimit: (refusal) => Effect.succeed<Found>(Result.fail(refusal))
                })
              )

        /** Tells what became of a message that was to be written. */
        const settle = (
          { createdAt, draft, id }: Pending,
          { fanOut, result }: Commits.Committed,
          begunAt: bigint
        ): Result.Result<Accepted, MessageUidConflict | IdempotencyConflict> => {
          switch (result._tag) {
            case "Inserted":
              measure(Metrics.messagesAccepted, begunAt)
              return Result.succeed({
                id,
                uid: draft.uid,
                type: draft.type,
                createdAt,
                deliveries: fanOut
              })
            case "Existing":
              reach("publish.repeated")
              measure(Metrics.messagesRepeated, begunAt)
              return Result.succeed({
                id: result.message.id,
                uid: result.message.uid,
                type: result.message.type,
                createdAt: result.message.createdAt,
                deliveries: result.message.fanOut
              })
            case "UidConflict":
              return Result.fail(
                new MessageUidConflict({
                  detail: `A message with the uid ${draft.uid} and other content exists.`
                })
              )
            case "IdempotencyConflict":
              return Result.fail(
                new IdempotencyConflict({
                  detail: "The Idempotency-Key came with another request."
                })
              )
          }
        }

        const accept = Effect.fnUntraced(function* (draft: Draft) {
          const begunAt = clock.currentTimeNanosUnsafe()
          const overRate = quota.one(draft, clock.currentTimeMillisUnsafe())
          if (overRate !== null) return yield* Effect.fail(overRate)
          const destination =
            draft.destination === undefined
              ? undefined
              : yield* destinationOf(draft, draft.destination)
          const id = yield* ids.nextMessage
          const pending = prepare(draft, id, clock.currentTimeMillisUnsafe(), destination)
          if (Result.isFailure(pending)) return yield* Effect.fail(pending.failure)
          reach("publish.judged")
          const [committed] = yield* commit([pending.success])
          const settled = settle(pending.success, committed!, begunAt)
          if (Result.isFailure(settled)) return yield* Effect.fail(settled.failure)
          if (tracing !== undefined && settled.success.id === id) yield* tracing.published(id)
          return settled.success
        })

        const countRefusal = (error: Parameters<typeof codeOf>[0], messages = 1) =>
          Metric.update(Metrics.messagesRefused(codeOf(error)), messages)

        const publishAll = Effect.fnUntraced(function* (
          drafts: ReadonlyArray<Draft>,
          request?: KeyedRequest
        ) {
          const begunAt = clock.currentTimeNanosUnsafe()
          const overRate = quota.all(drafts, clock.currentTimeMillisUnsafe())
          if (overRate !== null) {
            yield* countRefusal(overRate, drafts.length)
            return yield* Effect.fail(overRate)
          }
          if (request !== undefined) {
            const id = yield* ids.nextMessage
            yield* Effect.tapError(messages.claim({ ...request, id }), countRefusal)
          }
          const found = drafts.some(({ destination }) => destination !== undefined)
            ? yield* Effect.forEach(drafts, toDestination, { concurrency: 16 })
            : none
          const now = clock.currentTimeMillisUnsafe()
          const prepared = yield* Effect.forEach(drafts, (draft, i) =>
            Effect.map(ids.nextMessage, (id): Result.Result<Pending, PublishRefusal> =>
              Result.flatMap(found[i] ?? nowhere, (destination) =>
                prepare(draft, id, now, destination)
              )
            )
          )
          const group = prepared.flatMap((one) => (Result.isSuccess(one) ? [one.success] : []))
          const committed =
            group.length === 0 ? [] : yield* Effect.tapError(commit(group), countRefusal)
          reach("publish.batch_committed")
          let next = 0
          const results = prepared.map((one): Result.Result<Accepted, PublishRefusal> =>
            Result.isFailure(one)
              ? Result.fail(one.failure)
              : settle(one.success, committed[next++]!, begunAt)
          )
          for (const result of results) {
            if (Result.isFailure(result)) yield* countRefusal(result.failure)
          }
          for (const [i, { id }] of group.entries()) {
            if (tracing === undefined) break
            if (committed[i]?.result._tag === "Inserted") yield* tracing.published(id)
          }
          return results
        })

        return Publisher.of({
          publish: (draft) => Effect.tapError(accept(draft), countRefusal),
          publishAll
        })
      })
    )
}

/** The code that HTTP answers the refusal with. */
const codeOf = (
  error: Effect.Error<ReturnType<Publisher["Service"]["publishAll"]>> | PublishRefusal
): string => (error instanceof StoreError ? "store_unavailable" : error.code)

/** Why a message may not be published. */
export type PublishRefusal =
  | MessageRefused
  | BodyTooLarge
  | MessageUidConflict
  | IdempotencyConflict
  | UrlNotAllowed
  | AdHocLimit

/** The bounds of a publisher. */
export interface PublisherOptions extends Commits.CommitOptions {
  /** The largest body of a message, in bytes. 262,144 by default. */
  readonly bodyBytesMax?: number
}

/** What an accepted message is answered with. */
export interface Accepted {
  readonly id: MessageId
  readonly uid: string | null
  readonly type: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** The number of webhooks that the message is owed to. */
  readonly deliveries: number
}

/** The webhook that a message names, undefined where it names none; or why it may not. */
type Found = Result.Result<Webhook | undefined, MessageRefused | UrlNotAllowed | AdHocLimit>

const nowhere: Found = Result.succeed(undefined)
const none: ReadonlyArray<Found> = []

// Never compared: without a uid and a key there is nothing that could be a repetition.
const noDigest = new Uint8Array(32)
