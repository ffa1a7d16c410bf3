import type { Decision } from "../../src/domain/Routing.ts"
/**
 * The services behind the handlers: the real stores in memory for webhooks and tenants, and scripted
 * ones for publishing, messages and deliveries. `Fakes` holds what those answer and were asked.
 */
import { Context, Effect, Layer, Option, Result, PubSub, Redacted, Stream } from "effect"
import * as Dns from "effect/net/Dns"
import { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type { Attempt } from "../../src/domain/Attempt.ts"
import {
  type Delivery,
  DeliveryNotFound,
  DeliveryStateConflict,
  isFinal
} from "../../src/domain/Delivery.ts"
import type { Message } from "../../src/domain/Message.ts"
import { pageOf, type PageRequest } from "../../src/domain/Page.ts"
import type { Scope, Tenant } from "../../src/domain/Tenant.ts"
import {
  deliveryOf,
  type DeliveryId,
  type TenantId,
  type MessageId
} from "../../src/domain/TypeId.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { Authenticator } from "../../src/send/Authenticator.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { Redeliveries } from "../../src/send/Redeliveries.ts"
import { Signer } from "../../src/send/Signer.ts"
import { Trials } from "../../src/send/Trials.ts"
import { AuditLog } from "../../src/store/AuditLog.ts"
import { Database } from "../../src/store/Database.ts"
import { Census } from "../../src/store/Census.ts"
import { type DeliveryChange, DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { Ownership } from "../../src/store/Ownership.ts"
import { Retention } from "../../src/store/Retention.ts"
import { StatsRepo } from "../../src/store/StatsRepo.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { TenantErasure } from "../../src/store/TenantErasure.ts"
import { EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { TestSender } from "../../src/testing/TestSender.ts"

type Publish = Publisher["Service"]["publish"]

/** What the scripted services answer; tests change it. */
export class Fakes extends Context.Service<
  Fakes,
  {
    /** What publishing does; by default it accepts with two deliveries. */
    publish: Publish
    readonly drafts: Array<Parameters<Publish>[0]>
    readonly messages: Array<Message>
    /** What routing decided about messages. */
    readonly decisions: Map<MessageId, ReadonlyArray<Decision>>
    readonly deliveries: Array<Delivery>
    readonly attempts: Array<Attempt>
    /** The filters that lists were asked with. */
    readonly asked: Array<{ readonly request: PageRequest; readonly filter: unknown }>
    /** While true, the scripted stores and the database fail. */
    down: boolean
    /** What `DeliveryLog.changes` and `Lanes.changes` tell. */
    readonly settled: PubSub.PubSub<DeliveryChange>
    readonly moved: PubSub.PubSub<Delivery>
    /** While true, the engine does not own the database. */
    unowned: boolean
    /** While true, a migration is pending. */
    unmigrated: boolean
    /** While true, all sending is held. */
    held: boolean
  }
>()("test/http/Fakes") {
  static readonly layer = Layer.effect(
    Fakes,
    Effect.gen(function* () {
      const ids = yield* Ids
      return Fakes.of({
        publish: (draft) =>
          Effect.map(ids.nextMessage, (id) => ({
            id,
            uid: draft.uid,
            type: draft.type,
            createdAt: 1_000,
            deliveries: 2
          })),
        drafts: [],
        messages: [],
        decisions: new Map(),
        deliveries: [],
        attempts: [],
        asked: [],
        down: false,
        settled: yield* PubSub.sliding<DeliveryChange>(4_096),
        moved: yield* PubSub.sliding<Delivery>(1_024),
        unmigrated: false,
        unowned: false,
        held: false
      })
    })
  )
}

/** A fault of the store, as a broken connection is reported. */
export const brokenStore = (operation: string): StoreError =>
  new StoreError({
    operation,
    cause: new SqlError({ reason: new ConnectionError({ cause: new Error("gone") }) })
  })

const up = <A, E, R>(fakes: Fakes["Service"], effect: Effect.Effect<A, E, R>) =>
  Effect.suspend((): Effect.Effect<A, E | StoreError, R> =>
    fakes.down ? Effect.fail(brokenStore("Fakes")) : effect
  )

const page = <A extends { readonly id: string }>(rows: ReadonlyArray<A>, request: PageRequest) => {
  const at = request.cursor
  const newestFirst = rows.toSorted((a, b) => (a.id < b.id ? 1 : -1))
  const following =
    at === null
      ? newestFirst
      : at.direction === "older"
        ? newestFirst.filter((row) => row.id < at.id)
        : newestFirst.filter((row) => row.id > at.id).reverse()
  return pageOf(following.slice(0, request.limit + 1), request, (row) => row.id)
}

/** What only the path itself asks of lanes. */
const notOfHttp = {
  reserve: () => false,
  release: () => undefined,
  doubt: () => undefined,
  hand: () => undefined,
  expect: () => undefined,
  remind: () => undefined
}

const scripted = Layer.unwrap(
  Effect.map(Fakes, (fakes) => {
    const later = <A>(evaluate: () => A) => up(fakes, Effect.sync(evaluate))
    const find = (tenantId: TenantId, id: DeliveryId) =>
      fakes.deliveries.find((one) => one.tenantId === tenantId && one.id === id)
    const move = (
      tenantId: TenantId,
      id: DeliveryId,
      allowed: (delivery: Delivery) => boolean,
      status: Delivery["status"]
    ) =>
      up(
        fakes,
        Effect.gen(function* () {
          const delivery = find(tenantId, id)
          if (delivery === undefined) return yield* new DeliveryNotFound()
          if (!allowed(delivery)) {
            return yield* new DeliveryStateConflict({ deliveryStatus: delivery.status })
          }
          return { ...delivery, status }
        })
      )
    return Layer.mergeAll(
      Layer.mock(Publisher, {
        publishAll: (drafts) =>
          up(
            fakes,
            Effect.forEach(drafts, (draft) => {
              fakes.drafts.push(draft)
              return Effect.map(Effect.orDie(fakes.publish(draft)), Result.succeed)
            })
          ),
        publish: (draft) => {
          fakes.drafts.push(draft)
          return up(fakes, fakes.publish(draft))
        }
      }),
      Layer.mock(MessageRepo, {
        decisions: (_, id) => later(() => fakes.decisions.get(id) ?? []),
        find: (tenantId, ref) =>
          later(() =>
            Option.fromUndefinedOr(
              fakes.messages.find(
                (one) => one.tenantId === tenantId && (one.id === ref || one.uid === ref)
              )
            )
          ),
        list: (tenantId, request, filter) =>
          later(() => {
            fakes.asked.push({ request, filter })
            return page(
              fakes.messages.filter((one) => one.tenantId === tenantId),
              request
            )
          })
      }),
      Layer.mock(DeliveryLog, {
        find: (tenantId, id) => later(() => Option.fromUndefinedOr(find(tenantId, id))),
        list: (tenantId, request, filter) =>
          later(() => {
            fakes.asked.push({ request, filter })
            return page(
              fakes.deliveries.filter(
                (one) =>
                  one.tenantId === tenantId &&
                  (filter.messageId === null || one.messageId === filter.messageId) &&
                  (filter.webhookId === null || one.webhookId === filter.webhookId)
              ),
              request
            )
          }),
        changes: Stream.fromPubSub(fakes.settled),
        attempts: (tenantId, id) =>
          later(() =>
            fakes.attempts.filter((one) => one.tenantId === tenantId && one.deliveryId === id)
          )
      }),
      Layer.mock(Lanes, {
        isHeld: Effect.sync(() => fakes.held),
        ...notOfHttp,
        cancel: (tenantId, id) => move(tenantId, id, (one) => !isFinal(one.status), "cancelled"),
        redeliver: (tenantId, id) => move(tenantId, id, (one) => isFinal(one.status), "pending"),
        changes: Stream.fromPubSub(fakes.moved),
        stats: Effect.succeed({ lanes: 0, held: 0, heldBytes: 0, inFlight: 0 })
      }),
      Layer.succeed(Ownership, {
        epoch: 1,
        isHeld: Effect.sync(() => !fakes.unowned),
        fenced: Effect.never
      }),
      Layer.mock(Census, { refresh: Effect.void }),
      Layer.mock(Database, {
        kind: "pglite",
        durability: "process",
        check: up(fakes, Effect.void)
      }),
      Layer.succeed(
        SqlClient,
        // Only the template of Migrations.status is called: it asks whether its table exists, and
        // then for its rows.
        ((strings: TemplateStringsArray) =>
          Effect.sync(() =>
            strings[0]!.includes("to_regclass")
              ? [{ exists: true }]
              : fakes.unmigrated
                ? []
                : Array.from({ length: 99 }, (_, id) => ({ id, appliedAt: new Date(0) }))
          )) as never
      )
    )
  })
)

/** A tenant with a key for each scope, and another tenant with a key for everything of its own. */
export class Tenants extends Context.Service<
  Tenants,
  {
    readonly own: Tenant
    readonly other: Tenant
    readonly keys: Readonly<Record<Scope | "other" | "all", string>>
  }
>()("test/http/Tenants") {
  static readonly layer = Layer.effect(
    Tenants,
    Effect.gen(function* () {
      const tenants = yield* TenantRepo
      const own = yield* tenants.ensureDefault
      const other = yield* tenants.create({ uid: "other", name: null, idempotency: null })
      const key = (tenantId: TenantId | null, ...scopes: ReadonlyArray<Scope>) =>
        Effect.map(
          tenants.createKey({ tenantId, name: "test", scopes, expiresAt: null }),
          ({ key }) => Redacted.value(Option.getOrThrow(key))
        )
      return Tenants.of({
        own,
        other,
        keys: {
          admin: yield* key(null, "admin"),
          publish: yield* key(own.id, "publish"),
          read: yield* key(own.id, "read"),
          manage: yield* key(own.id, "manage"),
          all: yield* key(own.id, "publish", "read", "manage"),
          other: yield* key(other.id, "publish", "read", "manage")
        }
      })
    })
  )
}

/** A message of the own tenant with one delivery for each of the given states. */
export const makeMessage = Effect.fnUntraced(function* (
  fields: Partial<Message>,
  ...states: ReadonlyArray<Partial<Delivery>>
) {
  const { own } = yield* Tenants
  const fakes = yield* Fakes
  const ids = yield* Ids
  const message: Message = {
    id: yield* ids.nextMessage,
    tenantId: own.id,
    uid: null,
    type: "invoice.paid",
    resource: null,
    orderingKey: null,
    channels: [],
    deliverAt: null,
    expiresAt: null,
    contentType: "application/json",
    body: new TextEncoder().encode(`{"data":1}`),
    fanOut: states.length,
    createdAt: 1_000,
    ...fields
  }
  fakes.messages.push(message)
  const deliveries: Array<Delivery> = []
  for (const [index, state] of states.entries()) {
    deliveries.push({
      id: deliveryOf(message.id, index + 1),
      tenantId: message.tenantId,
      messageId: message.id,
      webhookId: yield* ids.next("webhook"),
      type: message.type,
      status: "pending",
      attempts: 0,
      nextAttemptAt: null,
      lastStatusCode: null,
      lastClass: null,
      createdAt: message.createdAt,
      settledAt: null,
      ...state
    })
  }
  fakes.deliveries.push(...deliveries)
  return { message, deliveries }
})

/** Everything that the handlers need. The tenants' own store fails with the others. */
export const layer = Layer.mergeAll(
  Signer.layer,
  Redeliveries.layer().pipe(Layer.provideMerge(scripted)),
  Trials.layer.pipe(Layer.provide(Layer.merge(Authenticator.layer, Signer.layer)))
).pipe(
  Layer.provideMerge(TestSender.layer),
  Layer.provideMerge(
    AddressGuard.layer({ allowHttp: true, allowNetworks: ["127.0.0.0/8"] }).pipe(
      Layer.provide(Dns.layerStatic({ hosts: {} }).pipe(Layer.orDie))
    )
  ),
  Layer.provideMerge(Tenants.layer),
  Layer.provideMerge(Layer.merge(TenantErasure.layer, StatsRepo.layerMemory)),
  Layer.provideMerge(Retention.layerMemory()),
  Layer.provideMerge(
    Layer.mergeAll(
      WebhookRepo.layerMemory,
      EventTypeRepo.layerMemory,
      TenantRepo.layerMemory,
      RedeliveryRepo.layerMemory,
      HoldRepo.layerMemory
    )
  ),
  Layer.provideMerge(Layer.merge(Ownership.layerMemory, AuditLog.layerMemory)),
  Layer.provideMerge(MemoryTables.layer),
  Layer.provideMerge(Fakes.layer),
  Layer.provideMerge(Ids.layer)
)
