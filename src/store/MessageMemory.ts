/**
 * Messages in the Maps of MemoryTables. A step of it runs without a pause, so it needs no locks.
 */
import { Effect, Option } from "effect"
import { IdempotencyConflict, type Message } from "../domain/Message.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import { createdAt, MessageId, parse, type TenantId } from "../domain/TypeId.ts"
import * as IdRange from "./IdRange.ts"
import { type KeyRow, MemoryTables, pairKey } from "./MemoryTables.ts"
import type { Insertion } from "./MessageInsert.ts"
import { storable, storableOrNull } from "./Parameters.ts"

/** Makes the methods of a MessageRepo over the Maps. */
export const make = Effect.gen(function* () {
  const { decisions, idempotency, messages, owed, uids, waiting } = yield* MemoryTables

  const insertOne = (insertion: Insertion) => {
    const { deliveries, digest, idempotencyKey } = insertion
    const message = stored(insertion.message)
    const key = idempotencyKey === null ? null : pairKey(message.tenantId, idempotencyKey)
    const uid = message.uid === null ? null : pairKey(message.tenantId, message.uid)
    const keyRow = key === null ? undefined : idempotency.get(key)
    if (keyRow !== undefined && !isSame(keyRow, digest)) {
      return { _tag: "IdempotencyConflict" } as const
    }
    const row: KeyRow = { digest, resourceId: message.id, createdAt: message.createdAt }
    // Without its key a message leaves its uid to others.
    const uidRow = uid === null ? undefined : uids.get(uid)
    if (key !== null && keyRow === undefined) idempotency.set(key, row)
    if (uidRow !== undefined && !isSame(uidRow, digest)) return { _tag: "UidConflict" } as const
    const first = uidRow ?? keyRow
    if (first !== undefined) {
      // A key of a request that publishes leads to no webhook: its digest would be another one.
      const id = first.resourceId as MessageId
      const { createdAt: at, fanOut, type, uid } = messages.get(id) ?? gone(message, id)
      return {
        _tag: "Existing",
        message: { id, uid, type, fanOut, createdAt: at }
      } as const
    }
    if (uid !== null) uids.set(uid, row)
    messages.set(message.id, message)
    if (insertion.decisions.length > 0) decisions.set(message.id, insertion.decisions)
    for (const { dueAt, id, orderingKey = null, webhookId } of deliveries) {
      const { tenantId } = message
      if (dueAt === null) owed.set(id, { tenantId, webhookId })
      else
        waiting.set(id, {
          tenantId,
          webhookId,
          attempts: 0,
          tries: 0,
          dueAt,
          orderingKey: storableOrNull(orderingKey)
        })
    }
    return { _tag: "Inserted" } as const
  }

  const idOf = (tenantId: TenantId, ref: string) =>
    Option.getOrElse(
      parse(MessageId, ref),
      () => uids.get(pairKey(tenantId, ref))?.resourceId as MessageId | undefined
    )

  return {
    insert: (batch: ReadonlyArray<Insertion>) => Effect.sync(() => batch.map(insertOne)),

    claim: (use: {
      readonly tenantId: TenantId
      readonly key: string
      readonly digest: Uint8Array
      readonly id: MessageId
    }) =>
      Effect.suspend(() => {
        const key = pairKey(use.tenantId, use.key)
        const row = idempotency.get(key)
        if (row !== undefined) {
          return isSame(row, use.digest) ? Effect.void : Effect.fail(new IdempotencyConflict({}))
        }
        const { digest, id: resourceId } = use
        idempotency.set(key, { digest, resourceId, createdAt: createdAt(resourceId) })
        return Effect.void
      }),

    find: (tenantId: TenantId, ref: string) =>
      Effect.sync(() => {
        const id = idOf(tenantId, ref)
        const message = id === undefined ? undefined : messages.get(id)
        return message?.tenantId === tenantId ? Option.some(message) : Option.none<Message>()
      }),

    list: (
      tenantId: TenantId,
      request: PageRequest,
      filter: {
        readonly type: string | null
        readonly resourceType: string | null
        readonly resourceId: string | null
        readonly includeBody: boolean
      }
    ) =>
      Effect.sync((): Page<Message> => {
        const range = IdRange.ofPage("message", request)
        const { includeBody, resourceId, resourceType, type } = filter
        const found = [...messages.values()]
          .filter(
            (message) =>
              message.tenantId === tenantId &&
              IdRange.contains(range, message.id) &&
              (type === null || message.type === type) &&
              (resourceType === null || message.resource?.type === resourceType) &&
              (resourceId === null || message.resource?.id === resourceId)
          )
          .sort((a, b) => (a.id < b.id === range.newer ? -1 : 1))
          .slice(0, request.limit + 1)
          .map((message) => (includeBody ? message : { ...message, body: new Uint8Array() }))
        return pageOf(found, request, ({ id }) => id)
      }),

    decisions: (tenantId: TenantId, id: MessageId) =>
      Effect.sync(() => (messages.get(id)?.tenantId === tenantId ? (decisions.get(id) ?? []) : [])),

    expireKeys: (before: number) =>
      Effect.sync(() => {
        let expired = 0
        for (const [key, row] of idempotency) {
          if (row.createdAt < before && idempotency.delete(key)) expired++
        }
        return expired
      })
  }
})

const isSame = (row: KeyRow, digest: Uint8Array): boolean =>
  Buffer.compare(row.digest, digest) === 0

/** Keeps of a message what SQL would keep. */
const stored = (message: Message): Message => ({
  ...message,
  resource:
    message.resource === null
      ? null
      : { type: storable(message.resource.type), id: storable(message.resource.id) },
  orderingKey: storableOrNull(message.orderingKey),
  channels: message.channels.map(storable)
})

/** What is known of a first message that is kept no longer. */
const gone = (repeated: Message, id: MessageId): Message => ({
  ...repeated,
  fanOut: 0,
  createdAt: createdAt(id)
})
