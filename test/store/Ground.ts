/**
 * The three places that stores are tested on, and hands to put rows there that no store under test
 * writes: other tenants, deliveries, health, and what another process would do.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { noLimits } from "../../src/domain/Tenant.ts"
import { healthy, type WebhookHealth } from "../../src/domain/Webhook.ts"
import type { DeliveryId, KeyId, TenantId, WebhookId } from "../../src/domain/TypeId.ts"
import { fromUuid, toUuid } from "../../src/domain/TypeId.ts"
import { AuditLog } from "../../src/store/AuditLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { KeyRing } from "../../src/store/KeyRing.ts"
import { MemoryTables } from "../../src/store/MemoryTables.ts"
import * as Migrations from "../../src/store/Migrations.ts"
import * as Pglite from "../../src/store/Pglite.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"
import { database } from "../support/TestDatabase.ts"

/** How many deliveries of a webhook are where; of the cancelled ones their attempts and time. */
export interface Deliveries {
  readonly owed: number
  readonly waiting: number
  readonly cancelled: ReadonlyArray<{
    readonly id: DeliveryId
    readonly attempts: number
    readonly cancelledAt: number
  }>
  readonly attempts: number
}

export class Ground extends Context.Service<
  Ground,
  {
    /** Makes a tenant that owns nothing yet. */
    readonly tenant: Effect.Effect<TenantId>
    readonly rename: (id: TenantId, name: string) => Effect.Effect<void>
    /** Says how many webhooks a tenant may register. */
    readonly limit: (id: TenantId, webhooks: number) => Effect.Effect<void>
    readonly owe: (id: DeliveryId, tenantId: TenantId, webhookId: WebhookId) => Effect.Effect<void>
    /** Adds a waiting delivery and its attempts. */
    readonly wait: (
      id: DeliveryId,
      tenantId: TenantId,
      webhookId: WebhookId,
      attempts: number
    ) => Effect.Effect<void>
    readonly deliveries: (webhookId: WebhookId) => Effect.Effect<Deliveries>
    readonly setHealth: (
      webhookId: WebhookId,
      health: Partial<WebhookHealth>
    ) => Effect.Effect<void>
    readonly disable: (webhookId: WebhookId) => Effect.Effect<void>
    readonly revoke: (id: KeyId) => Effect.Effect<void>
    readonly lastUsedAt: (id: KeyId) => Effect.Effect<number | null>
    /** All that is stored about keys and webhooks' secrets, as text. */
    readonly keysText: Effect.Effect<string>
  }
>()("posthaste/test/store/Ground") {}

const memoryGround = Layer.effect(
  Ground,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    const ids = yield* Ids
    const ofWebhook =
      (webhookId: WebhookId) =>
      <A extends { readonly webhookId: WebhookId }>([, row]: [DeliveryId, A]) =>
        row.webhookId === webhookId
    return Ground.of({
      tenant: Effect.map(ids.next("tenant"), (id) => {
        tables.tenants.set(id, {
          id,
          uid: id,
          name: id,
          limits: noLimits,
          createdAt: 0,
          updatedAt: 0
        })
        return id
      }),
      rename: (id, name) =>
        Effect.sync(() => tables.tenants.set(id, { ...tables.tenants.get(id)!, name })),
      limit: (id, webhooks) =>
        Effect.sync(() =>
          tables.tenants.set(id, { ...tables.tenants.get(id)!, limits: { ...noLimits, webhooks } })
        ),
      owe: (id, tenantId, webhookId) =>
        Effect.sync(() => tables.owed.set(id, { tenantId, webhookId })),
      wait: (id, tenantId, webhookId, attempts) =>
        Effect.gen(function* () {
          tables.waiting.set(id, {
            tenantId,
            webhookId,
            attempts,
            tries: attempts,
            dueAt: 0,
            orderingKey: null
          })
          const attemptId = yield* ids.next("attempt")
          tables.attempts.set(
            id,
            Array.from({ length: attempts }, (_, i) => ({
              id: attemptId,
              deliveryId: id,
              tenantId,
              webhookId,
              number: i + 1,
              startedAt: 0,
              durationMs: 1,
              class: "status_5xx",
              statusCode: 500,
              error: null,
              responseHeaders: null,
              responseBody: null,
              responseTruncated: false,
              nextAt: null,
              settled: null
            }))
          )
        }),
      deliveries: (webhookId) =>
        Effect.sync(() => ({
          owed: [...tables.owed].filter(ofWebhook(webhookId)).length,
          waiting: [...tables.waiting].filter(ofWebhook(webhookId)).length,
          cancelled: [...tables.cancelled]
            .filter(ofWebhook(webhookId))
            .map(([id, { attempts, cancelledAt }]) => ({ id, attempts, cancelledAt })),
          attempts: [...tables.attempts.values()]
            .flat()
            .filter((attempt) => attempt.webhookId === webhookId).length
        })),
      setHealth: (webhookId, health) =>
        Effect.sync(() => {
          const webhook = tables.webhooks.get(webhookId)!
          tables.webhooks.set(webhookId, { ...webhook, health: { ...healthy, ...health } })
        }),
      disable: (webhookId) =>
        Effect.sync(() => {
          const webhook = tables.webhooks.get(webhookId)!
          tables.webhooks.set(webhookId, {
            ...webhook,
            status: "disabled",
            disabledReason: "failing"
          })
        }),
      revoke: (id) =>
        Effect.sync(() => {
          for (const [hash, key] of tables.keys) if (key.id === id) tables.keys.delete(hash)
        }),
      lastUsedAt: (id) =>
        Effect.sync(
          () => [...tables.keys.values()].find((key) => key.id === id)?.lastUsedAt ?? null
        ),
      keysText: Effect.sync(() => JSON.stringify([...tables.keys]))
    })
  })
)

const sqlGround = Layer.effect(
  Ground,
  Effect.gen(function* () {
    const sql = yield* SqlClient
    const ids = yield* Ids
    const date = (ms: number | null | undefined) => (typeof ms === "number" ? new Date(ms) : null)
    return Ground.of({
      tenant: Effect.gen(function* () {
        const id = yield* ids.next("tenant")
        yield* sql`
          insert into tenant (id, uid, name, created_at, updated_at)
          values (${toUuid(id)}, ${id}, ${id}, ${date(0)}, ${date(0)})`
        return id
      }).pipe(Effect.orDie),
      rename: (id, name) =>
        Effect.orDie(sql`update tenant set name = ${name} where id = ${toUuid(id)}`),
      limit: (id, webhooks) =>
        Effect.orDie(sql`update tenant set webhooks_max = ${webhooks} where id = ${toUuid(id)}`),
      owe: (id, tenantId, webhookId) =>
        Effect.orDie(sql`
          insert into owed (delivery_id, tenant_id, webhook_id)
          values (${toUuid(id)}, ${toUuid(tenantId)}, ${toUuid(webhookId)})`),
      wait: (id, tenantId, webhookId, attempts) =>
        Effect.gen(function* () {
          yield* sql`
            insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at)
            values (${toUuid(id)}, ${toUuid(tenantId)}, ${toUuid(webhookId)}, ${attempts},
              ${attempts}, ${date(0)})`
          yield* sql`
            insert into attempt (delivery_id, number, id, tenant_id, webhook_id, started_at,
              duration_ms, class)
            select ${toUuid(id)}, number, gen_random_uuid(), ${toUuid(tenantId)},
              ${toUuid(webhookId)}, ${date(0)}, 1, 'status_5xx'
            from generate_series(1, ${attempts}) as number`
        }).pipe(Effect.orDie),
      deliveries: (webhookId) =>
        Effect.gen(function* () {
          const id = toUuid(webhookId)
          const count = (table: string) =>
            Effect.map(
              sql<{ readonly count: number }>`
                select count(*)::int as count from ${sql(table)} where webhook_id = ${id}`,
              ([row]) => row!.count
            )
          const cancelled = yield* sql<{
            readonly delivery_id: string
            readonly attempts: number
            readonly cancelled_at: Date
          }>`select * from cancelled where webhook_id = ${id} order by delivery_id`
          return {
            owed: yield* count("owed"),
            waiting: yield* count("waiting"),
            cancelled: cancelled.map((row) => ({
              id: fromUuid("delivery", row.delivery_id),
              attempts: row.attempts,
              cancelledAt: row.cancelled_at.getTime()
            })),
            attempts: yield* count("attempt")
          }
        }).pipe(Effect.orDie),
      setHealth: (webhookId, health) => {
        const row = { ...healthy, ...health }
        return Effect.orDie(sql`
          insert into webhook_health (webhook_id, version, consecutive_failures, failing_since,
            last_success_at, last_failure_at, circuit_open_until, circuit_openings, throttled_until)
          values (${toUuid(webhookId)}, ${row.version}, ${row.consecutiveFailures},
            ${date(row.failingSince)}, ${date(row.lastSuccessAt)}, ${date(row.lastFailureAt)},
            ${date(row.circuitOpenUntil)}, ${row.circuitOpenings}, ${date(row.throttledUntil)})
          on conflict (webhook_id) do update set
            (version, consecutive_failures, failing_since, last_success_at, last_failure_at,
              circuit_open_until, circuit_openings, throttled_until) =
            (excluded.version, excluded.consecutive_failures, excluded.failing_since,
              excluded.last_success_at, excluded.last_failure_at, excluded.circuit_open_until,
              excluded.circuit_openings, excluded.throttled_until)`)
      },
      disable: (webhookId) =>
        Effect.orDie(sql`
          update webhook set status = 'disabled', disabled_reason = 'failing'
          where id = ${toUuid(webhookId)}`),
      revoke: (id) => Effect.orDie(sql`delete from api_key where id = ${toUuid(id)}`),
      lastUsedAt: (id) =>
        Effect.map(
          Effect.orDie(
            sql<{ readonly last_used_at: Date | null }>`
              select last_used_at from api_key where id = ${toUuid(id)}`
          ),
          ([row]) => row?.last_used_at?.getTime() ?? null
        ),
      keysText: Effect.map(
        Effect.orDie(
          sql<{ readonly text: string }>`
            select concat(to_jsonb(k)::text, encode(hash, 'escape')) as text from api_key k`
        ),
        (rows) => rows.map(({ text }) => text).join("\n")
      )
    })
  })
)

/** Maps in this process. */
export const memory = Layer.merge(memoryGround, AuditLog.layerMemory).pipe(
  Layer.provideMerge(Layer.mergeAll(MemoryTables.layer, Ids.layer))
)

/** The ring of all databases here. */
export const ringKeys = ["first", "second"].map((id, i) => ({
  id,
  key: Redacted.make(new Uint8Array(32).fill(i + 1))
}))

const migrated = <E>(client: Layer.Layer<PgClient.PgClient | SqlClient, E>) =>
  Layer.merge(sqlGround, AuditLog.layer).pipe(
    Layer.provideMerge(Migrations.layer),
    Layer.provideMerge(Layer.mergeAll(client, Ids.layer, KeyRing.layer({ keys: ringKeys })))
  )

/** A fresh embedded database. */
export const pglite = migrated(
  Layer.unwrap(Effect.map(EmptyPglite.directory, (directory) => Pglite.layer({ directory })))
)

/** A fresh database of the run's Postgres server. */
export const postgres = migrated(
  Layer.unwrap(
    Effect.map(database, (url) => PgClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
  )
)
