/**
 * What a WebhookRepo needs of the place where webhooks are kept; WebhookSql and WebhookMemory are
 * the two places. What a change means is decided above, so that both keep the same rules.
 */
import type { Effect, Option, Result } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { IdempotencyConflict } from "../domain/Message.ts"
import type { PageRequest } from "../domain/Page.ts"
import type { TenantId, WebhookId } from "../domain/TypeId.ts"
import type { Webhook, WebhookLimit, WebhookStatus, WebhookUidTaken } from "../domain/Webhook.ts"

/** Reads webhooks, and writes them inside of `transaction`. */
export interface WebhookTable {
  /** Runs `work` in one transaction, then `committed`, which neither fails nor is interrupted. */
  readonly transaction: <A, E>(
    work: Effect.Effect<A, E>,
    committed: (result: A) => Effect.Effect<void>
  ) => Effect.Effect<A, E | SqlError>
  /**
   * Adds a webhook with its first secret, unless the tenant has as many registered ones as it may; or
   * answers the one that the same key made before, or an ad-hoc one with the same digest.
   */
  readonly insert: (
    webhook: Webhook,
    idempotency: { readonly key: string; readonly digest: Uint8Array } | null
  ) => Effect.Effect<Edited, WebhookUidTaken | WebhookLimit | IdempotencyConflict | SqlError>
  /** Locks a tenant's webhook, changes it and saves the difference; none if there is no such one. */
  readonly edit: <E>(
    tenantId: TenantId,
    id: WebhookId,
    change: (webhook: Webhook) => Result.Result<Webhook, E>
  ) => Effect.Effect<Option.Option<Edited>, E | WebhookUidTaken | SqlError>
  /** Removes a tenant's webhook and cancels what is owed to it, at `now` (epoch milliseconds). */
  readonly remove: (
    tenantId: TenantId,
    id: WebhookId,
    now: number
  ) => Effect.Effect<Option.Option<Webhook>, SqlError>
  readonly findById: (
    tenantId: TenantId,
    id: WebhookId
  ) => Effect.Effect<Option.Option<Webhook>, SqlError>
  readonly findByUid: (
    tenantId: TenantId,
    uid: string
  ) => Effect.Effect<Option.Option<Webhook>, SqlError>
  /** Finds webhooks by id, whoever owns them, oldest first. */
  readonly findMany: (
    ids: ReadonlyArray<WebhookId>
  ) => Effect.Effect<ReadonlyArray<Webhook>, SqlError>
  /** Reads up to `limit + 1` of a tenant's webhooks in the direction of the cursor. */
  readonly page: (
    tenantId: TenantId,
    request: PageRequest,
    filter: {
      readonly status: WebhookStatus | null
      readonly text: string | null
      readonly adHoc: boolean | WebhookId | null
    }
  ) => Effect.Effect<ReadonlyArray<Webhook>, SqlError>
  /** Reads up to `limit` webhooks of all tenants that come after an id, oldest first. */
  readonly scan: (
    after: WebhookId | null,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Webhook>, SqlError>
}

/** A webhook after a change and before it; null if it is new. */
export interface Edited {
  readonly webhook: Webhook
  readonly previous: Webhook | null
}
