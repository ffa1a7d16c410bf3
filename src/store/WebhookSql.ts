/**
 * Webhooks in Postgres: one row each in `webhook` and, where there is something to say, in
 * `webhook_health`, and a row per secret in `webhook_secret`.
 *
 * A change locks first and reads then: a statement that waited for a lock sees the rows it did not
 * wait for as they were before. Health is locked before its webhook, as `DeliveryLog.settle` does.
 *
 * Secrets, auth and headers are sealed by the KeyRing; what does not open is never written over but by
 * what takes its place. A webhook whose current secret does not open has none at all: it
 * keeps its status, its deliveries are put off until the key is back or the secret is rotated, which
 * removes what does not open. Each such secret is logged once.
 */
import { Effect, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { IdempotencyConflict } from "../domain/Message.ts"
import { blocks } from "../domain/Ordering.ts"
import { toUuid } from "../domain/TypeId.ts"
import { type Webhook, WebhookUidTaken } from "../domain/Webhook.ts"
import { log } from "../telemetry/Log.ts"
import { DefaultLimits } from "./DefaultLimits.ts"
import * as IdempotencySql from "./IdempotencySql.ts"
import * as IdRange from "./IdRange.ts"
import { KeyRing } from "./KeyRing.ts"
import { judgeCount } from "./WebhookEdits.ts"
import * as WebhookParts from "./WebhookParts.ts"
import * as WebhookRow from "./WebhookRow.ts"
import type { Edited, WebhookTable } from "./WebhookTable.ts"

/** Makes the table over the tables of a migrated database. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const ring = yield* KeyRing
  const defaults = yield* DefaultLimits
  const told = new Set<string>()

  const decodeAll = WebhookRow.decodeAll({
    ring,
    unreadable: ({ webhookId, part }, error) =>
      Effect.suspend(() => {
        const key = `${webhookId} ${part}`
        if (told.has(key) || told.size >= toldMax) return Effect.void
        told.add(key)
        return log("secret_unreadable", {
          webhook: webhookId,
          secret: part,
          reason: error.message
        })
      })
  })

  const read = (condition: Fragment, tail: Fragment) =>
    Effect.flatMap(
      sql`
        select w.id, w.tenant_id, w.uid, w.name, w.description, w.metadata, w.url, w.event_types,
          w.resources, w.channels, w.filter, w.headers, w.headers_sealed, w.auth_sealed,
          w.settings, w.ad_hoc, w.ad_hoc_digest, w.status, w.disabled_reason, w.created_at,
          w.updated_at, coalesce(w.configured_at, w.updated_at) as configured_at, h.version,
          h.consecutive_failures, h.failing_since, h.last_success_at,
          h.last_failure_at, h.circuit_open_until, h.circuit_openings, h.throttled_until,
          s.secret_ids, s.secret_values, s.secret_created_at, s.secret_expires_at
        from webhook w
        left join webhook_health h on h.webhook_id = w.id
        cross join lateral (
          select array_agg(id order by current desc, id desc) as secret_ids,
            array_agg(value order by current desc, id desc) as secret_values,
            array_agg(created_at order by current desc, id desc) as secret_created_at,
            array_agg(expires_at order by current desc, id desc) as secret_expires_at
          from (select *, expires_at is null as current from webhook_secret) as secret
          where webhook_id = w.id
        ) s
        where ${condition} ${tail}`,
      decodeAll
    )
  const one = (condition: Fragment) =>
    Effect.map(read(condition, nothing), (found) => Option.fromUndefinedOr(found[0]))
  const nothing = sql.literal("")

  /** Answers false when the webhook is not there (any more). */
  const lock = Effect.fnUntraced(function* (tenantId: string, id: string) {
    yield* sql`select 1 from webhook_health where webhook_id = ${id} for update`
    const locked = yield* sql`
      select 1 from webhook where tenant_id = ${tenantId} and id = ${id} for no key update`
    return locked.length > 0
  })

  const insertSecret = Effect.fnUntraced(function* (
    tenantId: string,
    webhookId: string,
    secret: Webhook["secrets"][number]
  ) {
    const row = WebhookRow.encodeSecret(secret)
    const identity = WebhookRow.identityOf(tenantId, webhookId, row.id)
    const sealed = yield* ring.seal(identity, row.value)
    yield* sql`
      insert into webhook_secret (id, webhook_id, value, created_at, expires_at)
      values (${row.id}, ${webhookId}, ${sealed}, ${row.createdAt}, ${row.expiresAt})
      on conflict (id) do update set expires_at = excluded.expires_at`
  })

  /** Reads how many webhooks a tenant may register, and keeps others from registering meanwhile. */
  const maxOf = Effect.fnUntraced(function* (tenantId: string) {
    const [tenant] = yield* sql<{ readonly max: number | null }>`
      select webhooks_max as max from tenant where id = ${tenantId} for no key update`
    return tenant?.max ?? defaults.webhooks
  })

  /** Fails where the tenant had as many as it may before the last one. */
  const judgeLast = Effect.fnUntraced(function* (tenantId: string, max: number) {
    const [registered] = yield* sql<{ readonly count: number }>`
      select count(*)::int as count from webhook where tenant_id = ${tenantId} and not ad_hoc`
    yield* Effect.fromResult(judgeCount(registered!.count - 1, max))
  })

  const insert: WebhookTable["insert"] = Effect.fnUntraced(function* (webhook, idempotency) {
    const tenantId = toUuid(webhook.tenantId)
    const row = WebhookRow.encode(webhook)
    if (idempotency !== null) {
      const first = yield* IdempotencySql.claim(sql, {
        ...idempotency,
        tenantId,
        resourceId: row.id,
        at: row.createdAt
      })
      if (first !== undefined) {
        const found = yield* one(sql`w.tenant_id = ${tenantId} and w.id = ${first}`)
        if (Option.isNone(found)) return yield* deletedSince
        return { webhook: found.value, previous: found.value }
      }
    }
    const max = webhook.adHoc === null ? yield* maxOf(tenantId) : null
    const owner = { tenantId, webhookId: row.id }
    const headers = yield* WebhookParts.sealHeaders(ring, owner, webhook.headers)
    const auth = yield* WebhookParts.sealAuth(ring, owner, webhook.auth)
    const inserted = yield* sql`
      insert into webhook (id, tenant_id, uid, name, description, metadata, url, event_types,
        resources, channels, filter, headers_sealed, auth_sealed, settings, ad_hoc,
        ad_hoc_digest, status, disabled_reason, created_at, updated_at, configured_at)
      values (${row.id}, ${tenantId}, ${row.uid}, ${row.name}, ${row.description},
        ${row.metadata}::jsonb, ${row.url}, ${row.eventTypes}, ${row.resources}::jsonb,
        ${row.channels}, ${row.filter}::jsonb, ${headers}, ${auth}, ${row.settings}::jsonb,
        ${row.adHoc}, ${row.adHocDigest}, ${row.status}, ${row.disabledReason},
        ${row.createdAt}, ${row.updatedAt}, ${row.configuredAt})
      on conflict do nothing returning 1`
    if (inserted.length === 0) {
      const known = yield* one(
        sql`w.tenant_id = ${tenantId} and w.ad_hoc_digest = ${row.adHocDigest}`
      )
      if (Option.isNone(known)) return yield* new WebhookUidTaken({})
      return { webhook: known.value, previous: known.value }
    }
    if (max !== null) yield* judgeLast(tenantId, max)
    for (const secret of webhook.secrets) yield* insertSecret(tenantId, row.id, secret)
    return { webhook, previous: null }
  })

  const edit: WebhookTable["edit"] = (tenantId, id, change) =>
    Effect.gen(function* () {
      const tenant = toUuid(tenantId)
      const uuid = toUuid(id)
      if (!(yield* lock(tenant, uuid))) return Option.none<Edited>()
      const previous = Option.getOrThrow(yield* one(sql`w.id = ${uuid}`))
      const next = yield* Effect.fromResult(change(previous))
      const row = WebhookRow.encode(next)
      yield* sql`
        update webhook set uid = ${row.uid}, name = ${row.name}, description = ${row.description},
          metadata = ${row.metadata}::jsonb, url = ${row.url}, event_types = ${row.eventTypes},
          resources = ${row.resources}::jsonb, channels = ${row.channels},
          filter = ${row.filter}::jsonb, settings = ${row.settings}::jsonb,
          status = ${row.status}, disabled_reason = ${row.disabledReason},
          ad_hoc_digest = ${row.adHocDigest}, updated_at = ${row.updatedAt},
          configured_at = ${row.configuredAt}
        where id = ${uuid}`.pipe(
        Effect.catchReason("SqlError", "UniqueViolation", () => new WebhookUidTaken({}))
      )
      if (!blocks(next.settings.ordering)) {
        yield* sql`delete from blocked_key where webhook_id = ${uuid}`
      }
      const owner = { tenantId: tenant, webhookId: uuid }
      if (next.headers !== previous.headers) {
        const headers = yield* WebhookParts.sealHeaders(ring, owner, next.headers)
        yield* sql`
          update webhook set headers = '{}', headers_sealed = ${headers} where id = ${uuid}`
      }
      if (next.auth !== previous.auth) {
        const auth = yield* WebhookParts.sealAuth(ring, owner, next.auth)
        yield* sql`update webhook set auth_sealed = ${auth} where id = ${uuid}`
      }
      if (next.secrets !== previous.secrets) {
        const kept = next.secrets.map((secret) => toUuid(secret.id))
        yield* sql`
          delete from webhook_secret where webhook_id = ${uuid} and id <> all(${kept}::uuid[])`
        for (const secret of next.secrets) yield* insertSecret(tenant, uuid, secret)
      }
      if (next.health === previous.health) return Option.some({ webhook: next, previous })
      const health = WebhookRow.encodeHealth(next.health)
      // Where there was no row to lock, one may have come meanwhile.
      yield* sql`
        insert into webhook_health (webhook_id, version, consecutive_failures, failing_since,
          last_success_at, last_failure_at, circuit_open_until, circuit_openings, throttled_until)
        values (${uuid}, ${health.version}, ${health.consecutiveFailures}, ${health.failingSince},
          ${health.lastSuccessAt}, ${health.lastFailureAt}, ${health.circuitOpenUntil},
          ${health.circuitOpenings}, ${health.throttledUntil})
        on conflict (webhook_id) do update set
          version = greatest(webhook_health.version + 1, excluded.version),
          consecutive_failures = excluded.consecutive_failures,
          failing_since = excluded.failing_since,
          circuit_open_until = excluded.circuit_open_until,
          circuit_openings = excluded.circuit_openings,
          throttled_until = excluded.throttled_until`
      const webhook = Option.getOrThrow(yield* one(sql`w.id = ${uuid}`))
      return Option.some({ webhook, previous })
    })

  /**
   * Moves what is owed to a webhook to `cancelled`. First owed, then waiting: whoever settles
   * attempts locks them so. A backlog of a million goes in steps, none of which meets a timeout.
   */
  const cancelDeliveries = Effect.fnUntraced(function* (uuid: string, at: Date) {
    const rest = (table: string, attempts: Fragment) => sql`
      with gone as (delete from ${sql(table)} where webhook_id = ${uuid} returning *)
      insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at)
      select delivery_id, tenant_id, webhook_id, ${attempts}, ${at} from gone
      on conflict do nothing`
    yield* rest("owed", sql.literal("0"))
    let last: Step | undefined = firstStep
    while (last !== undefined) {
      const [step]: ReadonlyArray<Step> = yield* sql<Step>`
        with step as (
          select delivery_id, due_at from waiting where webhook_id = ${uuid}
            and (due_at, delivery_id) > (${last.due_at}::timestamptz, ${last.delivery_id}::uuid)
          order by due_at, delivery_id limit ${cancelRows}
        ), gone as (
          delete from waiting w using step where w.delivery_id = step.delivery_id returning w.*
        ), moved as (
          insert into cancelled (delivery_id, tenant_id, webhook_id, attempts, cancelled_at)
          select delivery_id, tenant_id, webhook_id, attempts, ${at} from gone
          on conflict do nothing
        )
        select step.due_at::text, step.delivery_id from step
        order by step.due_at desc, step.delivery_id desc limit 1`
      last = step
    }
    // What fell due again behind a step meanwhile.
    yield* rest("waiting", sql.literal("attempts"))
  })

  const remove: WebhookTable["remove"] = Effect.fnUntraced(function* (tenantId, id, now) {
    const uuid = toUuid(id)
    if (!(yield* lock(toUuid(tenantId), uuid))) return Option.none<Webhook>()
    const webhook = yield* one(sql`w.id = ${uuid}`)
    yield* cancelDeliveries(uuid, new Date(now))
    yield* sql`delete from blocked_key where webhook_id = ${uuid}`
    yield* sql`delete from webhook where id = ${uuid}`
    return webhook
  })

  const page: WebhookTable["page"] = (tenantId, request, filter) => {
    const { above, below, newer } = IdRange.ofPage("webhook", request)
    const clauses = [
      sql`w.tenant_id = ${toUuid(tenantId)}`,
      sql`w.id > ${toUuid(above)} and w.id < ${toUuid(below)}`
    ]
    if (filter.status !== null) clauses.push(sql`w.status = ${filter.status}`)
    if (typeof filter.adHoc === "boolean") clauses.push(sql`w.ad_hoc = ${filter.adHoc}`)
    else if (filter.adHoc !== null) {
      clauses.push(sql`(not w.ad_hoc or w.id = ${toUuid(filter.adHoc)})`)
    }
    if (filter.text !== null) {
      const pattern = `%${filter.text.replaceAll(/[\\%_]/g, "\\$&")}%`
      clauses.push(
        sql`(w.name ilike ${pattern} or w.uid ilike ${pattern} or w.url ilike ${pattern})`
      )
    }
    const tail = newer
      ? sql`order by w.id limit ${request.limit + 1}`
      : sql`order by w.id desc limit ${request.limit + 1}`
    return read(sql.and(clauses), tail)
  }

  const table: WebhookTable = {
    transaction: (work, committed) =>
      sql.withTransaction(Effect.tap(work, (result) => sql.afterCommit(committed(result)))),
    insert,
    edit,
    remove,
    findById: (tenantId, id) =>
      one(sql`w.tenant_id = ${toUuid(tenantId)} and w.id = ${toUuid(id)}`),
    findByUid: (tenantId, uid) => one(sql`w.tenant_id = ${toUuid(tenantId)} and w.uid = ${uid}`),
    findMany: (ids) => read(sql`w.id = any(${ids.map(toUuid)}::uuid[])`, sql`order by w.id`),
    page,
    scan: (after, limit) =>
      read(
        after === null ? sql`true` : sql`w.id > ${toUuid(after)}`,
        sql`order by w.id limit ${limit}`
      )
  }
  return table
})

/** Secrets that are logged one by one as unreadable: many of them have one reason. */
const toldMax = 1_000

/** Deliveries that are cancelled by one statement. */
const cancelRows = 10_000

/** Where a step of cancelling ended. Its time is text, because a Date has no microseconds. */
interface Step {
  readonly due_at: string
  readonly delivery_id: string
}

const firstStep: Step = {
  due_at: "-infinity",
  delivery_id: "00000000-0000-0000-0000-000000000000"
}

const deletedSince = new IdempotencyConflict({
  detail: "The webhook that this Idempotency-Key made was deleted since"
})
