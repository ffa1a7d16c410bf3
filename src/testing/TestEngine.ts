/**
 * The whole engine in memory, under a fake clock: for users' tests and for ours.
 *
 * The real path, real lanes, real schedules; only the network is scripted (`TestSender`) and the
 * stores are Maps. Seventy-five hours of retries pass in the milliseconds it takes to adjust the
 * `TestClock`.
 *
 * **Example**
 *
 * ```ts
 * it.effect("retries until the receiver recovers", () =>
 *   Effect.gen(function*() {
 *     const engine = yield* TestEngine
 *     const network = yield* TestSender
 *     yield* network.answer("https://a.example/hook", { status: 503 }, { status: 200 })
 *     yield* engine.webhook("https://a.example/hook")
 *     const message = yield* engine.publish("invoice.paid", { amount: 100 })
 *     yield* TestClock.adjust("1 minute")
 *     const [delivery] = yield* engine.deliveries(message.id)
 *     assert.strictEqual(delivery?.status, "delivered")
 *   }).pipe(Effect.provide(TestEngine.layer())))
 * ```
 */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { Dns } from "effect/net"
import type { Attempt } from "../domain/Attempt.ts"
import type { Delivery } from "../domain/Delivery.ts"
import type { IdempotencyConflict, Overloaded } from "../domain/Message.ts"
import { firstPage } from "../domain/Page.ts"
import type { RateLimited } from "../domain/Tenant.ts"
import type { DeliveryId, MessageId, TenantId } from "../domain/TypeId.ts"
import {
  fieldsOf,
  type Webhook,
  type WebhookFields,
  type WebhookLimit,
  WebhookSettings,
  type WebhookUidTaken
} from "../domain/Webhook.ts"
import * as Engine from "../Engine.ts"
import type { Draft } from "../publish/Draft.ts"
import { type Accepted, Publisher, type PublishRefusal } from "../publish/Publisher.ts"
import { AddressGuard } from "../send/AddressGuard.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { Ids } from "../store/Ids.ts"
import type { StoreError } from "../store/StoreError.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { TestSender } from "./TestSender.ts"

export class TestEngine extends Context.Service<
  TestEngine,
  {
    /** The tenant that everything below belongs to. */
    readonly tenantId: TenantId
    /** Registers a webhook; settings not named have their defaults. */
    readonly webhook: (
      url: string,
      fields?: Partial<Omit<WebhookFields, "settings">> & {
        readonly settings?: Partial<typeof WebhookSettings.Encoded>
      }
    ) => Effect.Effect<Webhook, WebhookUidTaken | WebhookLimit | IdempotencyConflict | StoreError>
    /** Publishes a message with any JSON data. */
    readonly publish: (
      type: string,
      data: unknown,
      options?: Partial<Omit<Draft, "tenantId" | "type" | "data">>
    ) => Effect.Effect<Accepted, PublishRefusal | RateLimited | Overloaded | StoreError>
    /** The deliveries of a message, in the order of their ids. */
    readonly deliveries: (
      messageId: MessageId
    ) => Effect.Effect<ReadonlyArray<Delivery>, StoreError>
    /** The attempts of a delivery, first one first. */
    readonly attempts: (id: DeliveryId) => Effect.Effect<ReadonlyArray<Attempt>, StoreError>
  }
>()("posthaste/testing/TestEngine") {
  /** The engine, its stores in memory, the scripted network, and this. */
  static readonly layer = (options: Engine.EngineOptions = {}) =>
    TestEngine.layerOver(Engine.layerStoresMemory(), unhurried(options))

  /** The same over other stores: on a database, or with faults planted in some of them. */
  static readonly layerOver = <A extends Stores, E, R>(
    stores: Layer.Layer<A, E, R>,
    options: Engine.EngineOptions = {}
  ) =>
    Layer.effect(TestEngine, make).pipe(
      // A fake clock stands still when a test ends: nobody would end the wait for what is in flight.
      Layer.provideMerge(Engine.layerPath({ ...options, lanes: { drainMs: 0, ...options.lanes } })),
      Layer.provideMerge(TestSender.layer),
      Layer.provideMerge(AddressGuard.layer(options.addresses)),
      Layer.provide(Dns.layerStatic({ hosts: {} })),
      Layer.provideMerge(stores),
      Layer.provideMerge(Ids.layerSeeded)
    )
}

/** In Maps nothing gets lost, and what is looked for often makes days under a fake clock long. */
const unhurried = (options: Engine.EngineOptions): Engine.EngineOptions => ({
  ...options,
  lanes: { sweepMs: 3_600_000, ...options.lanes },
  operations: { lookMs: 3_600_000, ...options.operations }
})

/** What the engine keeps its records in. */
export type Stores = Layer.Success<ReturnType<typeof Engine.layerStoresMemory>>

const make = Effect.gen(function* () {
  const ids = yield* Ids
  const log = yield* DeliveryLog
  const publisher = yield* Publisher
  const webhooks = yield* WebhookRepo
  const tenant = yield* (yield* TenantRepo).ensureDefault

  return TestEngine.of({
    tenantId: tenant.id,
    webhook: Effect.fnUntraced(function* (url, { settings, ...fields } = {}) {
      return yield* webhooks.create({
        id: yield* ids.next("webhook"),
        tenantId: tenant.id,
        secret: {
          id: yield* ids.next("secret"),
          key: Redacted.make(yield* ids.bytes(32))
        },
        idempotency: null,
        fields: {
          ...fieldsOf(url),
          ...fields,
          settings: yield* Effect.orDie(Schema.decodeUnknownEffect(WebhookSettings)(settings ?? {}))
        }
      })
    }),
    publish: (type, data, options = {}) =>
      publisher.publish({
        uid: null,
        resource: null,
        idempotencyKey: null,
        ...options,
        tenantId: tenant.id,
        type,
        data: JSON.stringify(data)
      }),
    deliveries: (messageId) =>
      Effect.map(
        log.list(tenant.id, firstPage, {
          webhookId: null,
          messageId,
          type: null,
          status: null,
          statusCodeClass: null
        }),
        (page) => page.data.toReversed()
      ),
    attempts: (id) => log.attempts(tenant.id, id)
  })
})
