/**
 * Accepts messages: once, durably, with everything they owe.
 *
 * A message that was answered with success is committed together with its deliveries. Concurrent
 * publishes share a commit; one that comes alone waits for nothing. A delivery whose lane has room is
 * handed to it in memory after the commit; any other one waits in the store, and its lane is told.
 */
import { Clock, Context, DateTime, Effect, Layer, Metric, Result, Semaphore } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { createHash } from "node:crypto"
import type { EventTypeName, MessageRefused } from "../domain/EventType.ts"
import {
  BodyTooLarge,
  IdempotencyConflict,
  MessageUidConflict,
  Overloaded,
  type Resource
} from "../domain/Message.ts"
import { deliveryOf, type MessageId, type TenantId } from "../domain/TypeId.ts"
import type { AdHocLimit, UrlNotAllowed, Webhook } from "../domain/Webhook.ts"
import { Router, type Routing } from "../route/Router.ts"
import { Lanes } from "../send/Lanes.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import * as GroupCommit from "../store/GroupCommit.ts"
import { Ids } from "../store/Ids.ts"
import { type InsertResult, MessageRepo, type NewMessage } from "../store/MessageRepo.ts"
import { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { Traces } from "../telemetry/Traces.ts"
import { jsonBody } from "./Body.ts"
import { Catalogue } from "./Catalogue.ts"
import { type Destination, Destinations, digestOf as destinationDigest } from "./Destinations.ts"
import { type RawBody, reader } from "./Payload.ts"

export class Publisher extends Context.Service<
  Publisher,
  {
    /** Publishes one message; a repetition answers what the first one was answered. */
    readonly publish: (
      draft: Draft
    ) => Effect.Effect<Accepted, PublishRefusal | Overloaded | StoreError>
    /**
     * Publishes messages in one commit, each accepted or refused on its own; result i answers draft i.
     * Fails for all of them when nothing could be written, or when the key of the request came with
     * another one before.
     */
    readonly publishAll: (
      drafts: ReadonlyArray<Draft>,
      request?: KeyedRequest
    ) => Effect.Effect<
      ReadonlyArray<Result.Result<Accepted, PublishRefusal>>,
      IdempotencyConflict | Overloaded | StoreError
    >
  }
>()("posthaste/publish/Publisher") {
  static readonly layer = (options: PublisherOptions = {}) =>
    Layer.effect(
      Publisher,
      Effect.gen(function* () {
        const bodyBytesMax = options.bodyBytesMax ?? 262_144
        const catalogue = yield* Catalogue
        const destinations = yield* Destinations
        const ids = yield* Ids
        const lanes = yield* Lanes
        const messages = yield* MessageRepo
        const router = yield* Router
        const clock = yield* Clock.Clock
        const tracing = yield* Traces
        const context = yield* Effect.context<never>()

        const measure = (counter: Metric.Counter<number>, begunAt: bigint) => {
          counter.updateUnsafe(1, context)
          const took = clock.currentTimeNanosUnsafe() - begunAt
          Metrics.messagePublish.updateUnsafe(Number(took) / 1e9, context)
        }

        // Of two commits under way the later could be read first, and overtake.
        const inTurn = yield* Semaphore.make(1)
        const flush = Effect.fnUntraced(function* (batch: NonEmptyReadonlyArray<Group>) {
          const plans: Array<Plan> = []
          for (const group of batch) {
            for (const pending of group) plans.push(plan(pending, router, lanes))
          }
          const [firstPlan, ...restPlans] = plans
          if (firstPlan === undefined) return []
          reach("publish.reserved")
          const insert = messages.insert([firstPlan.row, ...restPlans.map((one) => one.row)])
          const results = yield* (plans.some(isOrdered) ? inTurn.withPermit(insert) : insert).pipe(
            Effect.onError(() => Effect.sync(() => plans.forEach((one) => lanes.doubt(one.held))))
          )
          reach("publish.committed")
          for (let i = 0; i < plans.length; i++) {
            const one = plans[i]!
            if (results[i]!._tag !== "Inserted") {
              lanes.release(one.held)
              continue
            }
            lanes.hand(one.held)
            for (const delivery of one.row.deliveries) {
              if (delivery.dueAt !== null) lanes.expect(delivery.webhookId, delivery.dueAt)
            }
          }
          reach("publish.handed")
          let next = 0
          return batch.map((group) =>
            group.map(() => {
              const i = next++
              return { result: results[i]!, fanOut: plans[i]!.row.deliveries.length }
            })
          )
        })

        const commit = yield* GroupCommit.make<Group, ReadonlyArray<Committed>, StoreError>({
          name: "publishing",
          flush: (batch) => Metrics.commit("publishing", batch.length, flush(batch)),
          sizeOf: (group) => group.reduce((bytes, { body }) => bytes + body.length + 256, 0),
          pendingMax: options.pendingMax ?? 10_000,
          pendingBytesMax: options.pendingBytesMax ?? 64 * 1_048_576,
          bound: {
            after: options.answerMs ?? 10_000,
            unanswered: () => StoreError.unanswered("MessageRepo.insert")
          }
        })

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
                  timestamp: DateTime.formatIso(DateTime.makeUnsafe(now)),
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

        const submit = (group: Group) =>
          Effect.catchTag(commit.submit(group), "Overloaded", () => Effect.fail(overloaded))

        /** Tells what became of a message that was to be written. */
        const settle = (
          { createdAt, draft, id }: Pending,
          { fanOut, result }: Committed,
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
          const destination =
            draft.destination === undefined
              ? undefined
              : yield* destinationOf(draft, draft.destination)
          const id = yield* ids.nextMessage
          const pending = prepare(draft, id, clock.currentTimeMillisUnsafe(), destination)
          if (Result.isFailure(pending)) return yield* Effect.fail(pending.failure)
          reach("publish.judged")
          const [committed] = yield* submit([pending.success])
          const settled = settle(pending.success, committed!, begunAt)
          if (Result.isFailure(settled)) return yield* Effect.fail(settled.failure)
          if (tracing !== undefined && settled.success.id === id) yield* tracing.published(id)
          return settled.success
        })

        const countRefusal = (error: PublishRefusal | Overloaded | StoreError) =>
          Metric.update(Metrics.messagesRefused(codeOf(error)), 1)

        const publishAll = Effect.fnUntraced(function* (
          drafts: ReadonlyArray<Draft>,
          request?: KeyedRequest
        ) {
          const begunAt = clock.currentTimeNanosUnsafe()
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
            group.length === 0 ? [] : yield* Effect.tapError(submit(group), countRefusal)
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
const codeOf = (error: Effect.Error<ReturnType<Publisher["Service"]["publish"]>>): string =>
  error instanceof StoreError ? "store_unavailable" : error.code

/** Why a message may not be published. */
export type PublishRefusal =
  | MessageRefused
  | BodyTooLarge
  | MessageUidConflict
  | IdempotencyConflict
  | UrlNotAllowed
  | AdHocLimit

/** The bounds of a publisher. */
export interface PublisherOptions {
  /** The largest body of a message, in bytes. 262,144 by default. */
  readonly bodyBytesMax?: number
  /** Messages that may wait for a commit; beyond it publishing is refused. 10,000 by default. */
  readonly pendingMax?: number
  /** Bytes of them. 64 MiB by default. */
  readonly pendingBytesMax?: number
  /**
   * How long a commit may take, in milliseconds, until its publishers are told to try again: it may have
   * happened all the same. 10,000 by default.
   */
  readonly answerMs?: number
}

/** A message as a caller gives it, checked for shape but not yet accepted. */
export interface Draft {
  readonly tenantId: TenantId
  readonly type: EventTypeName
  readonly uid: string | null
  readonly resource: Resource | null
  /** The JSON text of `data`, exactly as the caller wrote it; or a whole body, sent as it is. */
  readonly data: string | RawBody
  readonly idempotencyKey: string | null
  /** The only one to get it; absent for those that want it. */
  readonly destination?: Destination
  /** At most 256 characters; see `Message`. */
  readonly orderingKey?: string | null
  /** At most 16; see `Message`. */
  readonly channels?: ReadonlyArray<string>
  /** Epoch milliseconds; see `Message`. */
  readonly deliverAt?: number | null
  /** Epoch milliseconds; see `Message`. */
  readonly expiresAt?: number | null
}

/** The idempotency key of a request for several messages, and the SHA-256 of that request. */
export interface KeyedRequest {
  readonly tenantId: TenantId
  readonly key: string
  readonly digest: Uint8Array
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

/** A message on its way into a commit. */
interface Pending {
  readonly draft: Draft
  readonly destination: Webhook | undefined
  readonly id: MessageId
  readonly body: Uint8Array
  readonly data: () => unknown
  readonly digest: Uint8Array
  readonly createdAt: number
}

/** The webhook that a message names, undefined where it names none; or why it may not. */
type Found = Result.Result<Webhook | undefined, MessageRefused | UrlNotAllowed | AdHocLimit>

/** What one message writes, and those of its deliveries that memory has room for. */
interface Plan {
  readonly row: NewMessage
  readonly held: ReadonlyArray<DueDelivery>
}

/** Messages that stand in one commit. */
type Group = ReadonlyArray<Pending>

interface Committed {
  readonly result: InsertResult
  readonly fanOut: number
}

const plan = (
  { body, createdAt, data, destination, digest, draft, id }: Pending,
  router: Router["Service"],
  lanes: Lanes["Service"]
): Plan => {
  const { channels = noChannels, deliverAt = null, expiresAt = null, orderingKey = null } = draft
  const { resource, type } = draft
  const { decisions, wanted } =
    destination === undefined
      ? router.route(draft.tenantId, { type, resource, channels, data })
      : only(destination)
  const message = {
    id,
    type,
    contentType: typeof draft.data === "string" ? "application/json" : draft.data.contentType,
    body,
    orderingKey,
    expiresAt,
    createdAt
  }
  const laterAt = deliverAt !== null && deliverAt > createdAt ? deliverAt : null
  const held: Array<DueDelivery> = []
  const deliveries = wanted.map((webhook: Webhook, i) => {
    const delivery: DueDelivery = {
      id: deliveryOf(id, i + 1),
      tenantId: draft.tenantId,
      webhookId: webhook.id,
      attempts: 0,
      tries: 0,
      orderingKey: webhook.settings.ordering === "none" ? null : orderingKey,
      message
    }
    const reserved = laterAt === null && lanes.reserve(webhook, delivery)
    if (reserved) held.push(delivery)
    return {
      id: delivery.id,
      webhookId: webhook.id,
      dueAt: reserved ? null : (laterAt ?? createdAt),
      orderingKey: delivery.orderingKey
    }
  })
  return {
    held,
    row: {
      message: {
        ...message,
        tenantId: draft.tenantId,
        uid: draft.uid,
        resource,
        channels,
        deliverAt,
        fanOut: wanted.length
      },
      digest,
      idempotencyKey: draft.idempotencyKey,
      decisions,
      deliveries
    }
  }
}

/** Routes to the one webhook that the message names. */
const only = (webhook: Webhook): Routing => ({
  wanted: [webhook],
  decisions: [{ webhookId: webhook.id, reason: "adHoc", clause: null }]
})

/** Tells whether a message has deliveries that stand in the order of its key. */
const isOrdered = ({ row }: Plan): boolean =>
  row.message.orderingKey !== null && row.deliveries.some((one) => one.orderingKey !== null)

/** Tells a repetition from a conflict: SHA-256 of all that the caller gave. */
const digestOf = (draft: Draft): Uint8Array => {
  const { channels = noChannels, data, deliverAt, expiresAt, orderingKey, ...rest } = draft
  const to = rest.destination === undefined ? null : destinationDigest(rest.destination)
  const given = [rest.type, rest.uid, rest.resource]
  const special = [orderingKey ?? null, channels, deliverAt ?? null, expiresAt ?? null]
  const isPlain = special.every((one) => one === null || one === channels) && channels.length === 0
  const said = isPlain ? given : [...given, ...special]
  // What is plain keeps the digest that uids of earlier versions are known by: those are for ever.
  const hash = createHash("sha256").update(JSON.stringify(to === null ? said : [to, ...said]))
  return typeof data === "string"
    ? hash.update(data).digest()
    : hash.update(`\n${data.contentType}\n`).update(data.bytes).digest()
}

const nowhere: Found = Result.succeed(undefined)
const none: ReadonlyArray<Found> = []
const noChannels: ReadonlyArray<string> = []

// Never compared: without a uid and a key there is nothing that could be a repetition.
const noDigest = new Uint8Array(32)

// One instance: under overload a stack trace for each refusal would cost the most.
const overloaded = new Overloaded({ retryAfterSeconds: 1 })
