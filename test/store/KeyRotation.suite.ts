/**
 * What a KeyRotation does to the secrets of a database.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Auth } from "../../src/domain/Auth.ts"
import { toUuid } from "../../src/domain/TypeId.ts"
import { fieldsOf, type Webhook } from "../../src/domain/Webhook.ts"
import type { AuditLog } from "../../src/store/AuditLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { KeyRing } from "../../src/store/KeyRing.ts"
import * as KeyRotation from "../../src/store/KeyRotation.ts"
import { identityOf } from "../../src/store/WebhookRow.ts"
import * as Parameters from "../../src/store/Parameters.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground, ringKeys } from "./Ground.ts"

const [first, second] = ringKeys as [(typeof ringKeys)[0], (typeof ringKeys)[0]]

/** The ring once a new key stands first. */
const turned = KeyRing.layer({ keys: [second, first] })

const register = Effect.gen(function* () {
  const ids = yield* Ids
  const repo = yield* WebhookRepo
  const key = yield* ids.bytes(32)
  const webhook = yield* repo.create({
    id: yield* ids.next("webhook"),
    tenantId: yield* (yield* Ground).tenant,
    secret: { id: yield* ids.next("secret"), key: Redacted.make(key) },
    idempotency: null,
    fields: {
      ...fieldsOf("https://example.com/hook")
    }
  })
  return { webhook, key }
})

const registered = Effect.map(register, ({ webhook }) => webhook)

/** The repo of another process on the same database. */
const freshRepo = Effect.map(Layer.build(Layer.fresh(WebhookRepo.layer)), (context) =>
  Context.get(context, WebhookRepo)
)

/** Adds the tests, on so many webhooks. */
export const suite = (
  it: Vitest.MethodsNonLive<WebhookRepo | AuditLog | Ids | Ground | SqlClient | KeyRing>,
  webhooks: number
) => {
  const clear = Effect.flatMap(SqlClient, (sql) => Effect.orDie(sql`delete from webhook`))

  it.effect("a rotation ends with every secret sealed by the first key, and read as before", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* clear
      const { key, webhook } = yield* register
      const plain = yield* register
      // A plain key may begin as if it were sealed.
      plain.key.set((yield* Effect.provide(KeyRing, turned)).head!)
      const lost = yield* register
      yield* sql`
        update webhook_secret set value = ${plain.key}
        where webhook_id = ${toUuid(plain.webhook.id)}`
      const foreign = yield* Effect.flatMap(KeyRing, (ring) =>
        ring.seal("elsewhere", lost.key)
      ).pipe(Effect.provide(KeyRing.layer({ keys: [{ ...first, id: "third" }] })))
      yield* sql`
        update webhook_secret set value = ${foreign}
        where webhook_id = ${toUuid(lost.webhook.id)}`
      assert.deepStrictEqual(yield* KeyRotation.count, [
        { keyId: "first", secrets: 1 },
        { keyId: "third", secrets: 1 },
        { keyId: null, secrets: 1 }
      ])
      const run = Effect.provide(
        KeyRotation.run(() => Effect.void),
        turned
      )
      assert.deepStrictEqual(yield* run, { sealed: 2, unreadable: 1 })
      assert.deepStrictEqual(yield* run, { sealed: 0, unreadable: 1 })
      assert.deepStrictEqual(yield* KeyRotation.count, [
        { keyId: "second", secrets: 2 },
        { keyId: "third", secrets: 1 }
      ])
      const repo = yield* WebhookRepo
      for (const made of [{ key, webhook }, plain]) {
        const read = yield* repo.get(made.webhook.tenantId, made.webhook.id)
        assert.deepStrictEqual(Redacted.value(read.secrets[0]!.key), made.key)
      }
    })
  )

  it.effect("auth and headers are sealed again with the secrets, and headers that never were", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const repo = yield* WebhookRepo
      yield* clear
      const [whole, old, lost, bare] = yield* Effect.all([
        registered,
        registered,
        registered,
        registered
      ])
      const auth: Auth = { kind: "bearer", token: Redacted.make("token") }
      for (const { id, tenantId } of [whole, lost]) {
        yield* repo.update(tenantId, id, { auth, headers: { "x-a": "1" } })
      }
      yield* sql`update webhook set headers = '{"x-old": "1"}' where id = ${toUuid(old.id)}`
      yield* sql`
        update webhook w set auth_sealed = o.headers_sealed from webhook o
        where o.id = w.id and w.id = ${toUuid(lost.id)}`
      assert.deepStrictEqual(yield* KeyRotation.count, [
        { keyId: "first", secrets: 8 },
        { keyId: null, secrets: 1 }
      ])
      const run = Effect.provide(
        KeyRotation.run(() => Effect.void),
        turned
      )
      assert.deepStrictEqual(yield* run, { sealed: 8, unreadable: 1 })
      assert.deepStrictEqual(yield* run, { sealed: 0, unreadable: 1 })
      assert.deepStrictEqual(yield* KeyRotation.count, [
        { keyId: "first", secrets: 1 },
        { keyId: "second", secrets: 8 }
      ])
      const read = (webhook: Webhook) => repo.get(webhook.tenantId, webhook.id)
      const reading = yield* Effect.provide(freshRepo, turned)
      const { auth: sealed, headers } = yield* reading.get(whole.tenantId, whole.id)
      assert.strictEqual(sealed.kind === "bearer" && Redacted.value(sealed.token), "token")
      assert.deepStrictEqual(headers, { "x-a": "1" })
      assert.deepStrictEqual((yield* reading.get(old.tenantId, old.id)).headers, { "x-old": "1" })
      assert.deepStrictEqual((yield* read(lost)).unreadable, ["auth"])
      assert.deepStrictEqual((yield* read(bare)).unreadable, [])
      yield* clear
    })
  )

  it.effect("engines read every secret while it goes on, and a run that was cut goes on", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const ring = yield* KeyRing
      const repo = yield* WebhookRepo
      yield* clear
      const { webhook } = yield* register
      const { tenantId } = webhook
      const like = toUuid(webhook.id)
      yield* sql`
        insert into webhook (id, tenant_id, metadata, url, event_types, resources, headers,
          settings, status, created_at, updated_at)
        select gen_random_uuid(), tenant_id, metadata, url, event_types, resources, headers,
          settings, status, created_at, updated_at
        from webhook, generate_series(2, ${webhooks}::int4) where id = ${like}`
      const rows = yield* sql<{ readonly id: string }>`select id from webhook where id <> ${like}`
      const ids = rows.map(({ id }) => id)
      const random = yield* (yield* Ids).bytes(32)
      const sealed = yield* Effect.forEach(ids, (id) =>
        ring.seal(identityOf(toUuid(tenantId), id, id), random)
      )
      yield* sql`
        insert into webhook_secret (id, webhook_id, value, created_at)
        select id, id, value, to_timestamp(0)
        from unnest(${Parameters.uuids(ids)}, ${Parameters.bytes(sealed)}) as t (id, value)`

      const cut = yield* Deferred.make<void>()
      const firstRun = yield* KeyRotation.run(() =>
        Effect.andThen(Deferred.succeed(cut, undefined), Effect.never)
      ).pipe(Effect.provide(turned), Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(cut)
      yield* Fiber.interrupt(firstRun)

      let reads = 0
      const readAll = (repo: WebhookRepo["Service"]) =>
        Stream.runForEach(repo.all, ({ secrets }) =>
          Effect.sync(() => {
            reads++
            assert.lengthOf(secrets, 1)
          })
        )
      const later = yield* Effect.provide(freshRepo, turned)
      const rotation = yield* KeyRotation.run(() => Effect.yieldNow).pipe(
        Effect.provide(turned),
        Effect.forkChild({ startImmediately: true })
      )
      while (rotation.pollUnsafe() === undefined) yield* readAll(repo)
      yield* readAll(later)
      const done = yield* Fiber.join(rotation)
      assert.deepStrictEqual(done, { sealed: webhooks - 500, unreadable: 0 })
      assert.deepStrictEqual(yield* KeyRotation.count, [{ keyId: "second", secrets: webhooks }])
      assert.isAtLeast(reads, webhooks * 2)
      yield* clear
    })
  )
}
