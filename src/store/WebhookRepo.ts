/**
 * Webhooks as they are kept: what people registered, their secrets, status and health.
 *
 * Every change is announced after its commit and before the method returns: `watch` runs its
 * listeners in line, so whoever got an answer finds the change in force; `changes` is the same as a
 * stream. Health is written by `DeliveryLog.settle`; here it is only read.
 */
import { Context, type Effect, type Option, type Redacted, type Scope, type Stream } from "effect"
import type { IdempotencyConflict } from "../domain/Message.ts"
import type { Page, PageRequest } from "../domain/Page.ts"
import type { SecretId, TenantId, WebhookId } from "../domain/TypeId.ts"
import type {
  Webhook,
  WebhookFields,
  WebhookNotFound,
  WebhookStatus,
  WebhookUidTaken
} from "../domain/Webhook.ts"
import type { StoreError } from "./StoreError.ts"

export class WebhookRepo extends Context.Service<WebhookRepo, {
  /** Registers a webhook. A repeated idempotency key answers the webhook of the first request. */
  readonly create: (
    input: NewWebhook
  ) => Effect.Effect<Webhook, WebhookUidTaken | IdempotencyConflict | StoreError>
  /** Replaces the named fields. */
  readonly update: (
    tenantId: TenantId,
    ref: string,
    fields: Partial<WebhookFields>
  ) => Effect.Effect<Webhook, WebhookNotFound | WebhookUidTaken | StoreError>
  /** Sets the status: a person pauses or resumes. Resuming closes the circuit to one probe. */
  readonly setStatus: (
    tenantId: TenantId,
    ref: string,
    status: WebhookStatus
  ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
  /** Makes a new current secret; the former ones sign on for `graceMs` at most. */
  readonly rotateSecret: (
    tenantId: TenantId,
    ref: string,
    rotation: {
      readonly id: SecretId
      readonly key: Redacted.Redacted<Uint8Array>
      readonly graceMs: number
    }
  ) => Effect.Effect<Webhook, WebhookNotFound | StoreError>
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
  /** Calls the listener with every change, in line, until the scope closes. */
  readonly watch: (
    listener: (change: WebhookChange) => Effect.Effect<void>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Every change from now on. A slow reader misses the oldest of more than 1,024. */
  readonly changes: Stream.Stream<WebhookChange>
}>()("posthaste/store/WebhookRepo") {}

/** A webhook to be registered. */
export interface NewWebhook {
  readonly id: WebhookId
  readonly tenantId: TenantId
  readonly fields: WebhookFields
  readonly secret: { readonly id: SecretId; readonly key: Redacted.Redacted<Uint8Array> }
  readonly idempotency: Idempotency | null
}

/** The caller's key for a request that creates, and the SHA-256 of that request. */
export interface Idempotency {
  readonly key: string
  readonly digest: Uint8Array
}

/** What a list of webhooks is narrowed to; `text` is looked for in name, uid and URL. */
export interface WebhookFilter {
  readonly status: WebhookStatus | null
  readonly text: string | null
}

/** A webhook was saved, with what it was before if it was, or deleted. */
export type WebhookChange =
  | { readonly _tag: "Saved"; readonly webhook: Webhook; readonly previous: Webhook | null }
  | { readonly _tag: "Deleted"; readonly webhook: Webhook }
