/**
 * Webhooks as they are kept: what people registered, their secrets, status and health.
 *
 * Every change is announced after its commit and before the method returns: `watch` runs its
 * listeners in line, so whoever got an answer finds the change in force; `changes` is the same as a
 * stream. Health is written by `DeliveryLog.settle`; here it is only read.
 */
import {
  Clock,
  Context,
  Effect,
  Layer,
  Option,
  type Redacted,
  Result,
  Schema,
  type Scope,
  Stream
} from "effect"
import type { AuditAction } from "../domain/AuditEntry.ts"
import * as Audited from "../domain/Audited.ts"
import type { IdempotencyConflict } from "../domain/Message.ts"
import { type Page, pageOf, type PageRequest } from "../domain/Page.ts"
import { parse, type SecretId, type TenantId, WebhookId } from "../domain/TypeId.ts"
import {
  currentSecret,
  Uid,
  type Webhook,
  type WebhookFields,
  type WebhookLimit,
  WebhookNotFound,
  type WebhookStatus,
  type WebhookUidTaken
} from "../domain/Webhook.ts"
import { answered } from "./Answered.ts"
import { AuditLog } from "./AuditLog.ts"
import { StoreError } from "./StoreError.ts"
import {
  registered,
  type Rotation,
  type WebhookUpdate,
  withSecret,
  withoutDigest,
  withStatus,
  withUpdate
} from "./WebhookEdits.ts"
import * as WebhookCommits from "./WebhookCommits.ts"
import * as WebhookMemory from "./WebhookMemory.ts"
import * as WebhookSql from "./WebhookSql.ts"
import type { Edited, WebhookTable } from "./WebhookTable.ts"

export class WebhookRepo extends Context.Service<
  WebhookRepo,
  {
    /**
     * Registers a webhook, within the tenant's limit; ad-hoc ones do not count. A repeated idempotency key answers the webhook of the first request, and a
     * repeated digest of an ad-hoc one that ad-hoc webhook.
     */
    readonly create: (
      input: NewWebhook
    ) => Effect.Effect<Webhook, WebhookUidTaken | WebhookLimit | IdempotencyConflict | StoreError>
    /** Replaces the named fields and settings. What is not named stays as others left it. */
    readonly update: <E = never>(
      tenantId: TenantId,
      ref: string,
      update: Decided<WebhookUpdate, E>
    ) => Effect.Effect<Webhook, E | WebhookNotFound | WebhookUidTaken | StoreError>
    /** Sets the status: a person pauses or resumes. Resuming closes the circuit to one probe. */
    readonly setStatus: (
      tenantId: TenantId,
      ref: string,
      status: WebhookStatus
    ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
    /** Takes from an ad-hoc webhook what messages name it by: the next one makes another. */
    readonly retire: (
      tenantId: TenantId,
      id: WebhookId
    ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
    /** Makes a new current secret; the former ones sign on for `graceMs` at most. */
    readonly rotateSecret: <E = never>(
      tenantId: TenantId,
      ref: string,
      rotation: Decided<Rotation, E>
    ) => Effect.Effect<Webhook, E | WebhookNotFound | StoreError>
    /** Removes a webhook; what was still owed to it becomes `cancelled`. */
    readonly delete: (
      tenantId: TenantId,
      ref: string
    ) => Effect.Effect<void, WebhookNotFound | StoreError>
    /** Finds a tenant's webhook by id or uid. */
    readonly find: (
      tenantId: TenantId,
      ref: string
    ) => Effect.Effect<Option.Option<Webhook>, StoreError>
    /** Gets a tenant's webhook by id or uid. */
    readonly get: (
      tenantId: TenantId,
      ref: string
    ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
    /** Gets a webhook whose secret is to be shown, and writes down that it is, if it can be. */
    readonly reveal: (
      tenantId: TenantId,
      ref: string
    ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
    /** Finds webhooks by id, whoever owns them. */
    readonly findMany: (
      ids: ReadonlyArray<WebhookId>
    ) => Effect.Effect<ReadonlyArray<Webhook>, StoreError>
    /** Lists a tenant's webhooks, newest first. */
    readonly list: (
      tenantId: TenantId,
      request: PageRequest,
      filter: WebhookFilter
    ) => Effect.Effect<Page<Webhook>, StoreError>
    /** Streams every webhook of every tenant, as at a start. */
    readonly all: Stream.Stream<Webhook, StoreError>
    /** Reads webhooks again that something else changed, and announces them. */
    readonly refresh: (ids: ReadonlyArray<WebhookId>) => Effect.Effect<void, StoreError>
    /**
     * Calls the listener with every change, one at a time and in line, until the scope closes. It
     * must change no webhook itself: that change would wait for its end. Its defects are logged.
     */
    readonly watch: (
      listener: (change: WebhookChange) => Effect.Effect<void>
    ) => Effect.Effect<void, never, Scope.Scope>
    /** Every change from now on. A slow reader misses the oldest of more than 1,024. */
    readonly changes: Stream.Stream<WebhookChange>
  }
>()("posthaste/store/WebhookRepo") {
  /** Webhooks in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    WebhookRepo,
    Effect.suspend(() => Effect.flatMap(WebhookSql.make, make))
  )

  /** Webhooks in the memory of this process. */
  static readonly layerMemory = Layer.effect(
    WebhookRepo,
    Effect.suspend(() => Effect.flatMap(WebhookMemory.make, make))
  )
}

/** A webhook to be registered. */
export interface NewWebhook {
  readonly id: WebhookId
  readonly tenantId: TenantId
  readonly fields: WebhookFields
  readonly secret: { readonly id: SecretId; readonly key: Redacted.Redacted<Uint8Array> }
  readonly idempotency: Idempotency | null
  /** Given for one that came with a message: what it is named by. */
  readonly adHocDigest?: string
}

/**
 * A change that is known beforehand, or one that is decided on the webhook as it is under its lock.
 *
 * **Gotchas**
 *
 * Such a decision may be asked for more than once, so it only computes.
 */
export type Decided<A, E> = A | ((webhook: Webhook) => Result.Result<A, E>)

/** The caller's key for a request that creates, and the SHA-256 of that request. */
export interface Idempotency {
  readonly key: string
  readonly digest: Uint8Array
}

/**
 * What a list of webhooks is narrowed to; `text` is looked for in name, uid and URL. `adHoc` is false
 * for registered ones, true for ad-hoc ones, an id for registered ones and that one, null for all.
 */
export interface WebhookFilter {
  readonly status: WebhookStatus | null
  readonly text: string | null
  readonly adHoc: boolean | WebhookId | null
}

/** A webhook was saved, with what it was before if it was, or deleted. */
export type WebhookChange =
  | { readonly _tag: "Saved"; readonly webhook: Webhook; readonly previous: Webhook | null }
  | { readonly _tag: "Deleted"; readonly webhook: Webhook }

/** Webhooks that `all` reads at once. */
const scanRows = 500

const make = Effect.fnUntraced(function* (table: WebhookTable) {
  const { commit, reread, watch, changes } = yield* WebhookCommits.make(table)
  const audit = yield* AuditLog

  const find = (tenantId: TenantId, ref: string) => {
    const id = parse(WebhookId, ref)
    if (Option.isSome(id)) return table.findById(tenantId, id.value)
    return isUid(ref) ? table.findByUid(tenantId, ref) : Effect.succeedNone
  }

  const get = (tenantId: TenantId, ref: string) => Effect.flatMap(find(tenantId, ref), orNotFound)

  /** Names the webhook to be changed. What it is, is read again under its lock. */
  const idOf = (tenantId: TenantId, ref: string) => {
    const id = parse(WebhookId, ref)
    return Option.isSome(id)
      ? Effect.succeed(id.value)
      : Effect.map(get(tenantId, ref), (found) => found.id)
  }

  const edit = <A, E>(
    tenantId: TenantId,
    ref: string,
    decided: Decided<A, E>,
    change: (webhook: Webhook, by: A, now: number) => Webhook,
    action: AuditAction
  ) =>
    Effect.gen(function* () {
      const id = yield* idOf(tenantId, ref)
      const edited = Effect.flatMap(Clock.currentTimeMillis, (now) =>
        table.edit(tenantId, id, (webhook) =>
          Result.map(decide(decided, webhook), (by) => change(webhook, by, now))
        )
      )
      const told = audit.changing(Effect.flatMap(edited, orNotFound), ({ previous, webhook }) =>
        Audited.webhook(action, previous, webhook)
      )
      const { webhook } = yield* commit(id, told, saved)
      return webhook
    })

  return WebhookRepo.of({
    create: Effect.fn("WebhookRepo.create")(
      function* (input) {
        const inserted = audit.changing(
          table.insert(registered(input), input.idempotency),
          ({ webhook }) =>
            webhook.id === input.id
              ? Audited.webhook("webhook.created", null, webhook)
              : // Whoever repeats a request is answered with the secret, as it is by now.
                input.idempotency && revealed(webhook)
        )
        const { webhook } = yield* commit(input.id, inserted, (edited) =>
          edited.webhook.id === input.id ? saved(edited) : undefined
        )
        // A repetition changes nothing, but the first request may have died before it announced.
        return webhook.id === input.id ? webhook : ((yield* reread(webhook.id))?.webhook ?? webhook)
      },
      Effect.mapError(StoreError.from("WebhookRepo.create"))
    ),

    update: (tenantId, ref, update) =>
      edit(tenantId, ref, update, withUpdate, "webhook.updated").pipe(
        Effect.mapError(StoreError.from("WebhookRepo.update")),
        Effect.withSpan("WebhookRepo.update")
      ),

    setStatus: Effect.fn("WebhookRepo.setStatus")(
      (tenantId, ref, status) =>
        edit<WebhookStatus, never>(
          tenantId,
          ref,
          status,
          withStatus,
          status === "enabled" ? "webhook.resumed" : "webhook.paused"
        ),
      Effect.catchTag("WebhookUidTaken", Effect.die),
      Effect.mapError(StoreError.from("WebhookRepo.setStatus"))
    ),

    retire: Effect.fn("WebhookRepo.retire")(
      (tenantId, id) => edit<null, never>(tenantId, id, null, withoutDigest, "webhook.updated"),
      Effect.catchTag("WebhookUidTaken", Effect.die),
      Effect.mapError(StoreError.from("WebhookRepo.retire"))
    ),

    rotateSecret: (tenantId, ref, rotation) =>
      edit(tenantId, ref, rotation, withSecret, "webhook.secret_rotated").pipe(
        Effect.catchTag("WebhookUidTaken", Effect.die),
        Effect.mapError(StoreError.from("WebhookRepo.rotateSecret")),
        Effect.withSpan("WebhookRepo.rotateSecret")
      ),

    delete: Effect.fn("WebhookRepo.delete")(
      function* (tenantId, ref) {
        const id = yield* idOf(tenantId, ref)
        const removed = Effect.flatMap(Clock.currentTimeMillis, (now) =>
          table.remove(tenantId, id, now)
        )
        const told = audit.changing(Effect.flatMap(removed, orNotFound), (webhook) =>
          Audited.webhook("webhook.deleted", webhook, null)
        )
        yield* commit(id, told, (webhook) => ({ _tag: "Deleted", webhook }))
      },
      Effect.mapError(StoreError.from("WebhookRepo.delete"))
    ),

    find: Effect.fn("WebhookRepo.find")(find, Effect.mapError(StoreError.from("WebhookRepo.find"))),

    get: Effect.fn("WebhookRepo.get")(get, Effect.mapError(StoreError.from("WebhookRepo.get"))),

    reveal: Effect.fn("WebhookRepo.reveal")(
      (tenantId, ref) => audit.changing(get(tenantId, ref), revealed),
      Effect.mapError(StoreError.from("WebhookRepo.reveal"))
    ),

    findMany: Effect.fn("WebhookRepo.findMany")(
      (ids) => (ids.length === 0 ? Effect.succeed([]) : table.findMany(ids)),
      Effect.mapError(StoreError.from("WebhookRepo.findMany")),
      answered("WebhookRepo.findMany")
    ),

    list: Effect.fn("WebhookRepo.list")(
      function* (tenantId, request, filter) {
        // Postgres takes no NUL in a text, and no webhook has one.
        const rows = filter.text?.includes("\0") ? [] : yield* table.page(tenantId, request, filter)
        return pageOf(rows, request, ({ id }) => id)
      },
      Effect.mapError(StoreError.from("WebhookRepo.list"))
    ),

    all: Stream.paginate<WebhookId | null, Webhook, StoreError>(null, (after) =>
      table.scan(after, scanRows).pipe(
        Effect.map(
          (rows) =>
            [rows, rows.length < scanRows ? Option.none() : Option.some(rows.at(-1)!.id)] as const
        ),
        Effect.mapError(StoreError.from("WebhookRepo.all"))
      )
    ),

    refresh: Effect.fn("WebhookRepo.refresh")(
      (ids) => Effect.forEach(ids, (id) => reread(id), { discard: true }),
      Effect.mapError(StoreError.from("WebhookRepo.refresh")),
      answered("WebhookRepo.refresh")
    ),

    watch,
    changes
  })
})

const saved = ({ webhook, previous }: Edited): WebhookChange => ({
  _tag: "Saved",
  webhook,
  previous
})

/** Tells that a secret was shown, where the service can read it. */
const revealed = (webhook: Webhook) =>
  Option.isSome(currentSecret(webhook)) ? Audited.secretViewed(webhook) : null

const decide = <A, E>(decided: Decided<A, E>, webhook: Webhook): Result.Result<A, E> =>
  decided instanceof Function ? decided(webhook) : Result.succeed(decided)

const isUid = Schema.is(Uid)

const orNotFound = <A>(found: Option.Option<A>): Effect.Effect<A, WebhookNotFound> =>
  Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(new WebhookNotFound({}))
