/**
 * Messages as they are kept: written once with all that they owe, then only read.
 *
 * `insert` is the one place where a message and its deliveries come to be, in one transaction with
 * the idempotency key and the uid. Bodies are bytes and stay the bytes that were given; in the texts
 * beside them a NUL character, which Postgres cannot keep, becomes U+FFFD.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { IdempotencyConflict, Message } from "../domain/Message.ts"
import { type Decision, decode } from "../domain/Routing.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import {
  createdAt,
  type DeliveryId,
  fromUuid,
  MessageId,
  parse,
  type TenantId,
  toUuid,
  type WebhookId
} from "../domain/TypeId.ts"
import { Uid } from "../domain/Webhook.ts"
import * as IdempotencySql from "./IdempotencySql.ts"
import * as IdRange from "./IdRange.ts"
import { MemoryTables } from "./MemoryTables.ts"
import * as MessageInsert from "./MessageInsert.ts"
import * as MessageMemory from "./MessageMemory.ts"
import * as MessageRows from "./MessageRows.ts"
import { Ownership } from "./Ownership.ts"
import { instant, storableOrNull, texts, uuid, uuids } from "./Parameters.ts"
import * as Scan from "./Scan.ts"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"

export class MessageRepo extends Context.Service<
  MessageRepo,
  {
    /**
     * Writes messages with their deliveries in one commit; result i answers message i. Fails where
     * another engine owns the deliveries.
     */
    readonly insert: (
      messages: NonEmptyReadonlyArray<NewMessage>
    ) => Effect.Effect<ReadonlyArray<InsertResult>, StoreError>
    /**
     * Claims the idempotency key of a request that publishes several messages. Passes when it was
     * claimed by an equal request before, and fails when that was another one.
     */
    readonly claim: (use: KeyUse) => Effect.Effect<void, IdempotencyConflict | StoreError>
    /** Finds a tenant's message by id or uid, body included. */
    readonly find: (
      tenantId: TenantId,
      ref: string
    ) => Effect.Effect<Option.Option<Message>, StoreError>
    /**
     * Lists a tenant's messages, newest first; bodies are empty unless asked for. A page may be short,
     * or empty, and have a next one, as in `DeliveryLog.list`.
     */
    readonly list: (
      tenantId: TenantId,
      request: PageRequest,
      filter: MessageFilter
    ) => Effect.Effect<Page<Message>, StoreError>
    /** Reads what routing decided about a message besides its deliveries. */
    readonly decisions: (
      tenantId: TenantId,
      id: MessageId
    ) => Effect.Effect<ReadonlyArray<Decision>, StoreError>
    /** Forgets idempotency keys used before an instant (epoch milliseconds); answers how many. */
    readonly expireKeys: (before: number) => Effect.Effect<number, StoreError>
  }
>()("posthaste/store/MessageRepo") {
  /** Messages in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    MessageRepo,
    Effect.suspend(() => make)
  )

  /** Messages in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    MessageRepo,
    Effect.suspend(() => makeMemory)
  )
}

/** A message to be written, with what it owes. */
export interface NewMessage {
  readonly message: Message
  /** SHA-256 of what the caller sent: tells a repetition from a conflict. */
  readonly digest: Uint8Array
  readonly idempotencyKey: string | null
  /** What routing decided that the deliveries do not say. */
  readonly decisions: ReadonlyArray<Decision>
  readonly deliveries: ReadonlyArray<NewDelivery>
}

/** A delivery to be written. */
export interface NewDelivery {
  readonly id: DeliveryId
  readonly webhookId: WebhookId
  /** Epoch milliseconds at which a lane shall read it back, or null when memory keeps it. */
  readonly dueAt: number | null
  /** The key in whose order it stands at this webhook; only one that has a due time has one. */
  readonly orderingKey?: string | null
}

/** The use of an idempotency key by a request. */
export interface KeyUse {
  readonly tenantId: TenantId
  readonly key: string
  /** SHA-256 of the request. */
  readonly digest: Uint8Array
  /** Any message's: it says when the key was used, in epoch milliseconds by `createdAt`. */
  readonly id: MessageId
}

/** What became of a message that was to be written. */
export type InsertResult =
  | { readonly _tag: "Inserted" }
  /** The same was published before; this is the first one. */
  | { readonly _tag: "Existing"; readonly message: ExistingMessage }
  | { readonly _tag: "UidConflict" }
  | { readonly _tag: "IdempotencyConflict" }

/** What the answer to a repeated publish needs. */
export interface ExistingMessage {
  readonly id: MessageId
  readonly uid: string | null
  readonly type: string
  readonly fanOut: number
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** What a list of messages is narrowed to. */
export interface MessageFilter {
  readonly type: string | null
  readonly resourceType: string | null
  readonly resourceId: string | null
  readonly includeBody: boolean
}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const { epoch } = yield* Ownership

  /** Writes what can be written in one statement, and answers what was not. */
  const write = (messages: ReadonlyArray<NewMessage>) =>
    Effect.flatMap(
      sql.unsafe<{ readonly id: string | null }>(...MessageInsert.statement(epoch, messages)),
      (rejected) => {
        if (rejected.length === 0) return Effect.succeed(none)
        if (rejected.some(({ id }) => id === null)) return fenced
        const ids = new Set(rejected.map(({ id }) => id))
        return Effect.succeed(messages.filter(({ message }) => ids.has(toUuid(message.id))))
      }
    )

  const insert = Effect.fnUntraced(
    function* (messages: NonEmptyReadonlyArray<NewMessage>) {
      let open = yield* write(messages)
      reach("publish.written")
      if (open.length === 0) return messages.map(() => inserted)
      reach("publish.rejected")
      const results = new Map<MessageId, InsertResult>()
      while (open.length > 0) {
        for (const [id, result] of yield* resolve(open)) results.set(id, result)
        // A key that expired between the two statements is free again.
        const again = open.filter(({ message }) => !results.has(message.id))
        open = again.length === 0 ? none : yield* write(again)
      }
      return messages.map(({ message }) => results.get(message.id) ?? inserted)
    },
    Effect.mapError(StoreError.from("MessageRepo.insert"))
  )

  const claim = Effect.fn("MessageRepo.claim")(
    function* ({ digest, id, key, tenantId }: KeyUse) {
      const at = new Date(createdAt(id))
      yield* IdempotencySql.claim(sql, {
        tenantId: toUuid(tenantId),
        key,
        digest,
        resourceId: toUuid(id),
        at
      })
    },
    Effect.mapError(StoreError.from("MessageRepo.claim"))
  )

  /** Tells why messages were not written; leaves out those that nothing stands against any more. */
  const resolve = (messages: ReadonlyArray<NewMessage>) =>
    Effect.map(
      sql<FirstRow>`
        select n.place::int4 as place, k.digest as key_digest, k.resource_id,
          u.digest as uid_digest, u.message_id, m.uid, m.type, m.fan_out, m.created_at
        from unnest(
          ${uuids(messages.map(({ message }) => toUuid(message.tenantId)))},
          ${texts(messages.map(({ idempotencyKey }) => storableOrNull(idempotencyKey)))},
          ${texts(messages.map(({ message }) => storableOrNull(message.uid)))}
        ) with ordinality as n (tenant_id, key, uid, place)
        left join idempotency k on k.tenant_id = n.tenant_id and k.key = n.key
        left join message_uid u on u.tenant_id = n.tenant_id and u.uid = n.uid
        left join lateral (
          select * from message where id = coalesce(u.message_id, k.resource_id) limit 1
        ) m on true
        where k.key is not null or u.uid is not null`,
      (rows) =>
        rows.map((row) => {
          const { digest, message } = messages[row.place - 1]!
          return [message.id, resultOf(row, digest, message)] as const
        })
    )

  const one = (condition: Fragment) =>
    Effect.map(
      sql<MessageRows.MessageRow>`
        select ${sql.literal(MessageRows.columns(true))} from message m where ${condition}`,
      ([row]) => Option.fromUndefinedOr(row)
    )

  const find = Effect.fn("MessageRepo.find")(
    function* (tenantId: TenantId, ref: string) {
      const tenant = uuid(toUuid(tenantId))
      const id = parse(MessageId, ref)
      if (Option.isNone(id) && !isUid(ref)) return Option.none<Message>()
      const row = yield* Option.isSome(id)
        ? one(sql`m.tenant_id = ${tenant} and m.id = ${uuid(toUuid(id.value))}`)
        : one(sql`m.id = (
            select message_id from message_uid where tenant_id = ${tenant} and uid = ${ref}
          )`)
      return Option.map(row, (found) => MessageRows.messageOf(tenantId, found))
    },
    Effect.mapError(StoreError.from("MessageRepo.find"))
  )

  const list = Effect.fn("MessageRepo.list")(
    function* (tenantId: TenantId, request: PageRequest, filter: MessageFilter) {
      const range = IdRange.ofPage("message", request)
      const limit = request.limit + 1
      const ways = MessageRows.ways(sql, { tenantId, range, filter, limit, looks: Scan.looksMax })
      const read = yield* Scan.first(ways, limit, (row) => row.id, range.newer)
      const messages = read.rows.map((row) => MessageRows.messageOf(tenantId, row))
      const end = read.end === null ? null : fromUuid("message", read.end)
      return pageOf(messages, request, ({ id }) => id, end)
    },
    Effect.mapError(StoreError.from("MessageRepo.list"))
  )

  const decisions = Effect.fn("MessageRepo.decisions")(
    function* (tenantId: TenantId, id: MessageId) {
      const [row] = yield* sql<{ readonly routing: string | null }>`
        select routing from message
        where tenant_id = ${uuid(toUuid(tenantId))} and id = ${uuid(toUuid(id))}`
      return decode(row?.routing ?? null)
    },
    Effect.mapError(StoreError.from("MessageRepo.decisions"))
  )

  const expireKeys = Effect.fn("MessageRepo.expireKeys")(
    function* (before: number) {
      const [row] = yield* sql<{ readonly expired: number }>`
        with expired as (
          delete from idempotency where created_at < ${instant(before)} returning 1
        )
        select count(*)::int4 as expired from expired`
      return row!.expired
    },
    Effect.mapError(StoreError.from("MessageRepo.expireKeys"))
  )

  return MessageRepo.of({ insert, claim, find, list, decisions, expireKeys })
})

const makeMemory = Effect.gen(function* () {
  const messages = yield* MessageMemory.make
  const { engine } = yield* MemoryTables
  const { epoch } = yield* Ownership
  return MessageRepo.of({
    ...messages,
    insert: (rows) =>
      Effect.suspend(() => (engine.epoch === epoch ? messages.insert(rows) : fenced)).pipe(
        Effect.mapError(StoreError.from("MessageRepo.insert"))
      )
  })
})

/** Another engine took over: whoever publishes is to try again, there. */
const fenced = Effect.fail(
  new SqlError({
    reason: new ConnectionError({ cause: new Error("another engine owns the deliveries") })
  })
)

const inserted: InsertResult = { _tag: "Inserted" }
const none: ReadonlyArray<NewMessage> = []
const isUid = Schema.is(Uid)

interface FirstRow {
  readonly place: number
  readonly key_digest: Uint8Array | null
  readonly resource_id: string | null
  readonly uid_digest: Uint8Array | null
  readonly message_id: string | null
  /** Null like the rest when the message itself is kept no longer. */
  readonly uid: string | null
  readonly type: string | null
  readonly fan_out: number | null
  readonly created_at: Date | null
}

/** Judges a message by the first ones that took its key and its uid. */
const resultOf = (row: FirstRow, digest: Uint8Array, message: Message): InsertResult => {
  if (row.key_digest !== null && Buffer.compare(row.key_digest, digest) !== 0) {
    return { _tag: "IdempotencyConflict" }
  }
  if (row.uid_digest !== null && Buffer.compare(row.uid_digest, digest) !== 0) {
    return { _tag: "UidConflict" }
  }
  // The query leaves out messages that have neither.
  const id = fromUuid("message", (row.message_id ?? row.resource_id)!)
  return {
    _tag: "Existing",
    message: {
      id,
      uid: row.type === null ? message.uid : row.uid,
      type: row.type ?? message.type,
      fanOut: row.fan_out ?? 0,
      createdAt: row.created_at?.getTime() ?? createdAt(id)
    }
  }
}
