/**
 * The deliveries that the suites of MessageRepo, DeliveryQueue and DeliveryLog are tried on: a tenant
 * with webhooks of its own for each test, messages published to them, attempts to be settled; and
 * hands for what no store under test does.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Attempt } from "../../src/domain/Attempt.ts"
import type { Message } from "../../src/domain/Message.ts"
import {
  createdAt,
  type DeliveryId,
  deliveryOf,
  type MessageId,
  type TenantId,
  toUuid,
  type WebhookId
} from "../../src/domain/TypeId.ts"
import {
  defaultSettings,
  fieldsOf,
  healthy,
  type WebhookHealth,
  WebhookSettings
} from "../../src/domain/Webhook.ts"
import type { AuditLog } from "../../src/store/AuditLog.ts"
import { DeliveryLog, type Settlement } from "../../src/store/DeliveryLog.ts"
import { DeliveryQueue } from "../../src/store/DeliveryQueue.ts"
import { Ids } from "../../src/store/Ids.ts"
import type { KeyRing } from "../../src/store/KeyRing.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import { MessageRepo, type NewMessage } from "../../src/store/MessageRepo.ts"
import { Ownership } from "../../src/store/Ownership.ts"
import { NoticeQueue } from "../../src/store/NoticeQueue.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import { type NewWebhook, WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground, memory as memoryGround, pglite as pgliteGround } from "./Ground.ts"

/** Does what retention does: nobody but a test asks a store for it. */
export class Retention extends Context.Service<
  Retention,
  {
    /** Removes a message and leaves all that names it. */
    readonly forget: (id: MessageId) => Effect.Effect<void>
  }
>()("posthaste/test/store/Retention") {}

const retentionInMemory = Layer.effect(
  Retention,
  Effect.map(MemoryTables, ({ messages }) =>
    Retention.of({ forget: (id) => Effect.sync(() => messages.delete(id)) })
  )
)

const retentionInSql = Layer.effect(
  Retention,
  Effect.map(SqlClient, (sql) =>
    Retention.of({
      forget: (id) => Effect.orDie(sql`delete from message where id = ${toUuid(id)}`)
    })
  )
)

const ownership = Layer.effect(
  Ownership,
  Effect.gen(function* () {
    const sql = yield* SqlClient
    const [row] = yield* sql<{ readonly epoch: bigint }>`
      update engine set epoch = epoch + 1 returning epoch`
    return Ownership.of({
      epoch: Number(row!.epoch),
      isHeld: Effect.succeed(true),
      fenced: Effect.never
    })
  })
)

/** What the suites need. */
export type Stage =
  | MessageRepo
  | DeliveryQueue
  | DeliveryLog
  | WebhookRepo
  | Ids
  | Ground
  | Retention
  | RedeliveryRepo
  | NoticeQueue

/** The stores in Maps. */
export const memory = DeliveryLog.layerMemory.pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      MessageRepo.layerMemory,
      DeliveryQueue.layerMemory,
      NoticeQueue.layerMemory,
      RedeliveryRepo.layerMemory,
      WebhookRepo.layerMemory
    )
  ),
  Layer.provideMerge(retentionInMemory),
  Layer.provideMerge(Ownership.layerMemory),
  Layer.provideMerge(memoryGround)
)

/** The stores over a database. */
export const over = <A extends AuditLog | SqlClient | Ids | Ground | KeyRing, E, R>(
  ground: Layer.Layer<A, E, R>
) =>
  Layer.mergeAll(DeliveryLog.layer, NoticeQueue.layer, RedeliveryRepo.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(MessageRepo.layer, DeliveryQueue.layer, WebhookRepo.layer)),
    Layer.provideMerge(Layer.merge(ownership, retentionInSql)),
    Layer.provideMerge(ground)
  )

/** The stores over a fresh embedded database. */
export const pglite = over(pgliteGround)

/** Makes a webhook of a tenant, to be registered. */
export const newWebhook = Effect.fnUntraced(function* (
  tenantId: TenantId,
  adHocDigest?: string,
  some: Partial<WebhookSettings> = {}
) {
  const ids = yield* Ids
  const made: NewWebhook = {
    id: yield* ids.next("webhook"),
    tenantId,
    secret: { id: yield* ids.next("secret"), key: Redacted.make(yield* ids.bytes(32)) },
    idempotency: null,
    ...(adHocDigest === undefined ? {} : { adHocDigest }),
    fields: {
      ...fieldsOf("https://example.com/hook"),
      settings: { ...defaultSettings, ...some }
    }
  }
  return made
})

/** Registers a webhook of a tenant. */
export const webhookOf = Effect.fnUntraced(function* (...args: Parameters<typeof newWebhook>) {
  const webhook = yield* (yield* WebhookRepo).create(yield* newWebhook(...args))
  return webhook.id
})

/** Makes a tenant with webhooks. */
export const tenantWith = Effect.fnUntraced(function* (
  webhooks: number,
  some: Partial<WebhookSettings> = {}
) {
  const tenant = yield* (yield* Ground).tenant
  const made = yield* Effect.all(
    Array.from({ length: webhooks }, () => webhookOf(tenant, undefined, some))
  )
  return { tenant, webhooks: made, webhook: made[0]! }
})

/** What a test says of a message; the rest is made up. */
export interface Draft extends Partial<Omit<Message, "tenantId" | "createdAt">> {
  readonly idempotencyKey?: string
  /** Whether its deliveries stand in the order of its key. */
  readonly inOrder?: boolean
  /** What the caller sent, for the digest. */
  readonly content?: string
}

/** Makes a message for webhooks: one delivery each, owed or waiting until `dueAt`. */
export const draft = Effect.fnUntraced(function* (
  tenantId: TenantId,
  webhooks: ReadonlyArray<WebhookId>,
  { content, idempotencyKey, inOrder = false, ...fields }: Draft = {},
  dueAt: number | null = null
) {
  const id = fields.id ?? (yield* (yield* Ids).nextMessage)
  const message: NewMessage = {
    message: {
      uid: null,
      type: "invoice.paid",
      resource: null,
      orderingKey: null,
      channels: [],
      deliverAt: null,
      expiresAt: null,
      contentType: "application/json",
      body: new TextEncoder().encode(`{"id":"${id}"}`),
      fanOut: webhooks.length,
      ...fields,
      id,
      tenantId,
      createdAt: createdAt(id)
    },
    digest: Buffer.from((content ?? "content").padEnd(32)),
    idempotencyKey: idempotencyKey ?? null,
    decisions: [],
    deliveries: webhooks.map((webhookId, i) => ({
      id: deliveryOf(id, i + 1),
      webhookId,
      dueAt,
      orderingKey: inOrder ? (fields.orderingKey ?? null) : null
    }))
  }
  return message
})

/** Publishes one message and answers it with the id of its first delivery. */
export const publish = Effect.fnUntraced(function* (...args: Parameters<typeof draft>) {
  const made = yield* draft(...args)
  yield* (yield* MessageRepo).insert([made])
  return { ...made.message, delivery: deliveryOf(made.message.id, 1) }
})

/** Makes an attempt of a delivery and what was decided: delivered, unless the test says otherwise. */
export const settlement = Effect.fnUntraced(function* (
  delivery: { readonly id: DeliveryId; readonly tenantId: TenantId; readonly webhookId: WebhookId },
  attempt: Partial<Attempt> = {},
  rest: Partial<Omit<Settlement, "attempt">> = {}
) {
  const number = attempt.number ?? 1
  const settled: Settlement = {
    attempt: {
      id: yield* (yield* Ids).next("attempt"),
      deliveryId: delivery.id,
      tenantId: delivery.tenantId,
      webhookId: delivery.webhookId,
      number,
      startedAt: 1_000 * number,
      durationMs: 25,
      class: "status_2xx",
      statusCode: 204,
      error: null,
      responseHeaders: null,
      responseBody: null,
      responseTruncated: false,
      nextAt: null,
      settled: "delivered",
      ...attempt
    },
    type: "invoice.paid",
    tries: number,
    health: null,
    stop: null,
    notices: [],
    ...rest
  }
  return settled
})

/** What an attempt says that failed and is to be followed by another one at `nextAt`. */
export const failed = (nextAt: number): Partial<Attempt> => ({
  class: "status_5xx",
  statusCode: 503,
  nextAt,
  settled: null
})

/** What an attempt says that failed and is the last one. */
export const exhausted: Partial<Attempt> = {
  class: "status_4xx",
  statusCode: 410,
  settled: "exhausted"
}

/** Health of a version, with some failures. */
export const health = (version: number, more: Partial<WebhookHealth> = {}): WebhookHealth => ({
  ...healthy,
  version,
  consecutiveFailures: version,
  ...more
})

/** Answers the tag of the error that an effect fails with. */
export const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)
