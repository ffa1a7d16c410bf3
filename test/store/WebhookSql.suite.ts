/**
 * What a WebhookRepo does because its webhooks are in a database: rows of other versions, faults,
 * commits whose answer is lost, and other processes.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Option, Queue, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { TestClock } from "effect/testing"
import type { Auth } from "../../src/domain/Auth.ts"
import { firstPage } from "../../src/domain/Page.ts"
import { type TenantId, toUuid } from "../../src/domain/TypeId.ts"
import { defaultSettings, fieldsOf, type WebhookFields } from "../../src/domain/Webhook.ts"
import type { AuditLog } from "../../src/store/AuditLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import type { KeyRing } from "../../src/store/KeyRing.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { type NewWebhook, type WebhookChange, WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { Ground } from "./Ground.ts"

const fields: WebhookFields = {
  ...fieldsOf("https://example.com/hook"),
  settings: { ...defaultSettings, timeoutMs: 1_000, concurrency: 1, alertAt: [1] }
}

const rotation = Effect.fnUntraced(function* (graceMs: number) {
  const ids = yield* Ids
  return { id: yield* ids.next("secret"), key: Redacted.make(yield* ids.bytes(32)), graceMs }
})

const draft = Effect.fnUntraced(function* (tenantId: TenantId, given: Partial<NewWebhook> = {}) {
  const input: NewWebhook = {
    id: yield* (yield* Ids).next("webhook"),
    tenantId,
    fields,
    secret: yield* rotation(0),
    idempotency: null,
    ...given
  }
  return input
})

/** The repo of another process on the same database. */
const anotherRepo = Effect.map(Layer.build(Layer.fresh(WebhookRepo.layer)), (context) =>
  Context.get(context, WebhookRepo)
)

const lost = new SqlError({
  reason: new ConnectionError({ cause: new Error("cut"), message: "cut", operation: "test" })
})

/** A connection that is lost while it commits: `keep` tells whether the server still did. */
const losing = (sql: SqlClient, keep: boolean, away: () => boolean): SqlClient =>
  Object.assign(
    (...args: [TemplateStringsArray, ...Array<unknown>]) =>
      args[0][0]?.includes("select w.id")
        ? Effect.suspend(() => (away() ? Effect.fail(lost) : sql(...args)))
        : sql(...args),
    sql,
    {
      withTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
        keep
          ? Effect.andThen(sql.withTransaction(work), Effect.fail(lost))
          : sql.withTransaction(Effect.andThen(work, Effect.fail(lost))),
      afterCommit: () => Effect.void
    }
    // The copy has the client's own members, but its call signatures are many.
  ) as unknown as SqlClient

/** A repo over such a connection, and what it announces. */
const losingRepo = Effect.fnUntraced(function* (keep: boolean, away: () => boolean = () => false) {
  const sql = losing(yield* SqlClient, keep, away)
  const repo = yield* Effect.map(
    Layer.build(Layer.fresh(WebhookRepo.layer)).pipe(Effect.provideService(SqlClient, sql)),
    (context) => Context.get(context, WebhookRepo)
  )
  const changes = yield* Queue.unbounded<WebhookChange>()
  yield* repo.watch((change) => Effect.asVoid(Queue.offer(changes, change)))
  return { repo, changes }
})

/** Adds the tests. */
export const suite = (
  it: Vitest.MethodsNonLive<WebhookRepo | AuditLog | Ids | Ground | SqlClient | KeyRing>
) => {
  it.effect("a row of an older version has the defaults of what it does not know", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* repo.create(yield* draft(tenant))
      const settings = `{"timeoutMs": 5000, "circuit": {"failures": 2}, "gone": 1}`
      yield* sql`update webhook set settings = ${settings}::jsonb where id = ${toUuid(id)}`
      assert.deepStrictEqual((yield* repo.get(tenant, id)).settings, {
        ...defaultSettings,
        timeoutMs: 5_000,
        circuit: { ...defaultSettings.circuit, failures: 2 }
      })
      yield* sql`update webhook set settings = '{}' where id = ${toUuid(id)}`
      assert.deepStrictEqual((yield* repo.get(tenant, id)).settings, defaultSettings)
    })
  )

  it.effect("a row of an earlier version was configured when it was updated", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const repo = yield* WebhookRepo
      const { tenant } = yield* Ground
      const { id, tenantId } = yield* repo.create(yield* draft(yield* tenant))
      yield* sql`
        update webhook set configured_at = null, updated_at = to_timestamp(7) where id = ${toUuid(id)}`
      const { configuredAt, updatedAt } = yield* repo.get(tenantId, id)
      assert.deepStrictEqual([configuredAt, updatedAt], [7_000, 7_000])
    })
  )

  it.effect("a row that is no webhook is a defect, not a fault of the store", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* repo.create(yield* draft(tenant))
      yield* sql`update webhook set settings = '{"timeoutMs": "x"}' where id = ${toUuid(id)}`
      const exit = yield* Effect.exit(repo.get(tenant, id))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* sql`delete from webhook where id = ${toUuid(id)}`
    })
  )

  it.effect("a secret is nowhere in the database as it is, nor in the place of another one", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const one = yield* repo.create(yield* draft(tenant))
      const other = yield* repo.create(yield* draft(tenant))
      yield* repo.rotateSecret(tenant, one.id, yield* rotation(1_000))
      const read = yield* repo.get(tenant, one.id)
      assert.lengthOf(read.secrets, 2)
      const stored = yield* sql<{ readonly value: Uint8Array }>`select value from webhook_secret`
      const all = Buffer.concat(stored.map(({ value }) => value))
      for (const { key } of [...read.secrets, ...other.secrets]) {
        assert.strictEqual(all.indexOf(Redacted.value(key)), -1)
      }
      const [a, b] = [one, other].map(({ secrets }) => toUuid(secrets[0]!.id))
      yield* sql`
        update webhook_secret s set value = o.value from webhook_secret o
        where s.id in (${a}, ${b}) and o.id in (${a}, ${b}) and o.id <> s.id`
      assert.deepStrictEqual((yield* repo.get(tenant, other.id)).secrets, [])
      assert.deepStrictEqual(
        (yield* repo.get(tenant, one.id)).secrets.map(({ id }) => id),
        [read.secrets[0]!.id]
      )
    })
  )

  it.effect(
    "auth and headers are nowhere in the database as they are, nor in another's place",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const sql = yield* SqlClient
        const tenant = yield* (yield* Ground).tenant
        const auth: Auth = { kind: "bearer", token: Redacted.make("canary-of-auth") }
        const headers = { "X-Custom": "canary-of-header" }
        const one = yield* repo.create(
          yield* draft(tenant, { fields: { ...fields, auth, headers } })
        )
        const other = yield* repo.create(yield* draft(tenant, { fields: { ...fields, auth } }))
        yield* repo.update(tenant, other.id, { headers })
        const [all] = yield* sql<{ readonly text: string }>`
        select string_agg(w::text || encode(coalesce(auth_sealed, ''), 'escape') ||
          encode(coalesce(headers_sealed, ''), 'escape'), '') as text from webhook w`
        assert.include(all!.text, "example.com")
        assert.notInclude(all!.text, "canary")
        assert.notInclude(all!.text, Buffer.from("canary").toString("hex"))
        for (const { id } of [one, other]) {
          assert.deepStrictEqual((yield* repo.get(tenant, id)).headers, headers)
        }
        yield* sql`
        update webhook w set headers_sealed = o.headers_sealed, auth_sealed = o.headers_sealed
        from webhook o where w.id = ${toUuid(one.id)} and o.id = ${toUuid(other.id)}`
        const moved = yield* repo.get(tenant, one.id)
        assert.deepStrictEqual([moved.auth.kind, moved.headers], ["none", {}])
        assert.deepStrictEqual(moved.unreadable, ["auth", "headers"])
      })
  )

  it.effect("what does not open stays as it is, until something takes its place", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const auth: Auth = { kind: "bearer", token: Redacted.make("token") }
      const headers = { "x-a": "1" }
      const { id } = yield* repo.create(
        yield* draft(tenant, { fields: { ...fields, auth, headers } })
      )
      const flip = sql`
        update webhook set auth_sealed = set_byte(auth_sealed, 40, get_byte(auth_sealed, 40) # 1),
          headers_sealed = set_byte(headers_sealed, 40, get_byte(headers_sealed, 40) # 1)
        where id = ${toUuid(id)}`
      yield* flip
      const renamed = yield* repo.update(tenant, id, { name: "new" })
      assert.deepStrictEqual(renamed.unreadable, ["auth", "headers"])
      yield* flip
      assert.deepStrictEqual((yield* repo.get(tenant, id)).headers, headers)
      yield* flip
      assert.deepStrictEqual((yield* repo.update(tenant, id, { auth })).unreadable, ["headers"])
      assert.deepStrictEqual((yield* repo.get(tenant, id)).unreadable, ["headers"])
      yield* repo.update(tenant, id, { headers })
      const whole = yield* repo.get(tenant, id)
      assert.deepStrictEqual([whole.headers, whole.unreadable], [headers, []])
    })
  )

  it.effect(
    "headers that were written before they were sealed are read, and sealed when changed",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const sql = yield* SqlClient
        const tenant = yield* (yield* Ground).tenant
        const { id } = yield* repo.create(yield* draft(tenant))
        yield* sql`update webhook set headers = '{"x-old": "1"}' where id = ${toUuid(id)}`
        assert.deepStrictEqual((yield* repo.get(tenant, id)).headers, { "x-old": "1" })
        yield* repo.update(tenant, id, { name: "new" })
        assert.deepStrictEqual((yield* repo.get(tenant, id)).headers, { "x-old": "1" })
        yield* repo.update(tenant, id, { headers: { "x-new": "2" } })
        assert.deepStrictEqual((yield* repo.get(tenant, id)).headers, { "x-new": "2" })
        const [row] = yield* sql`
        select headers::text, headers_sealed is not null as sealed from webhook
        where id = ${toUuid(id)}`
        assert.deepStrictEqual({ ...row }, { headers: "{}", sealed: true })
      })
  )

  it.effect("a webhook whose current secret does not open has none, until it is rotated", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* repo.create(yield* draft(tenant))
      yield* repo.rotateSecret(tenant, id, yield* rotation(1_000))
      yield* sql`
        update webhook_secret set value = set_byte(value, 40, get_byte(value, 40) # 1)
        where webhook_id = ${toUuid(id)} and expires_at is null`
      const unreadable = yield* repo.get(tenant, id)
      assert.deepStrictEqual([unreadable.status, unreadable.secrets], ["enabled", []])
      const renamed = yield* repo.update(tenant, id, { name: "new" })
      assert.deepStrictEqual([renamed.name, renamed.secrets], ["new", []])
      const { secrets } = yield* repo.rotateSecret(tenant, id, yield* rotation(1_000))
      assert.deepStrictEqual((yield* repo.get(tenant, id)).secrets, secrets)
      assert.lengthOf(secrets, 1)
    })
  )

  it.effect("a secret that was written before there were key rings is read as it is", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const { id, secrets } = yield* repo.create(yield* draft(tenant))
      yield* sql`
        update webhook_secret set value = ${Redacted.value(secrets[0]!.key)}
        where webhook_id = ${toUuid(id)}`
      assert.deepStrictEqual((yield* repo.get(tenant, id)).secrets, secrets)
    })
  )

  it.effect("a fault of the store names the method and leaves nothing behind", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const sql = yield* SqlClient
      const tenant = yield* (yield* Ground).tenant
      const first = yield* repo.create(yield* draft(tenant))
      const idempotency = { key: "k", digest: new Uint8Array(32) }
      const second = yield* draft(tenant, { idempotency, secret: yield* rotation(0) })
      yield* sql`alter table webhook_secret rename to away`
      const faults = [
        ["create", repo.create(second)],
        ["get", repo.get(tenant, first.id)],
        ["find", repo.find(tenant, first.id)],
        ["findMany", repo.findMany([first.id])],
        ["list", repo.list(tenant, firstPage, { status: null, text: null, adHoc: false })],
        ["all", Stream.runDrain(repo.all)],
        ["update", repo.update(tenant, first.id, { name: "x" })],
        ["setStatus", repo.setStatus(tenant, first.id, "paused")],
        ["rotateSecret", repo.rotateSecret(tenant, first.id, yield* rotation(0))],
        ["delete", repo.delete(tenant, first.id)],
        ["refresh", repo.refresh([first.id])]
      ] as const
      for (const [name, method] of faults) {
        const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(method)
        assert.isTrue(error instanceof StoreError && error.operation === `WebhookRepo.${name}`)
      }
      yield* sql`alter table away rename to webhook_secret`
      assert.deepStrictEqual((yield* repo.get(tenant, first.id)).updatedAt, first.updatedAt)
      assert.strictEqual((yield* repo.create(second)).id, second.id)
    })
  )

  it.effect(
    "a change whose commit was not answered is announced when it turns out to be made",
    () =>
      Effect.gen(function* () {
        const { repo, changes } = yield* losingRepo(true)
        const tenant = yield* (yield* Ground).tenant
        const { id, ...input } = yield* draft(tenant)
        assert.instanceOf(yield* Effect.flip(repo.create({ id, ...input })), StoreError)
        assert.strictEqual((yield* Queue.take(changes)).webhook.id, id)
        yield* Effect.flip(repo.update(tenant, id, { name: "new" }))
        assert.strictEqual((yield* Queue.take(changes)).webhook.name, "new")
        yield* Effect.flip(repo.setStatus(tenant, id, "paused"))
        assert.strictEqual((yield* Queue.take(changes)).webhook.status, "paused")
        yield* Effect.flip(repo.delete(tenant, id))
        const last = yield* Queue.take(changes)
        assert.deepStrictEqual([last._tag, last.webhook.id], ["Deleted", id])
      })
  )

  it.effect(
    "a change whose commit failed is announced as what the webhook still is, if it is",
    () =>
      Effect.gen(function* () {
        const { repo, changes } = yield* losingRepo(false)
        const tenant = yield* (yield* Ground).tenant
        const { id } = yield* (yield* WebhookRepo).create(yield* draft(tenant))
        yield* Effect.flip(repo.create(yield* draft(tenant)))
        yield* Effect.flip(repo.update(tenant, id, { name: "new" }))
        const kept = yield* Queue.take(changes)
        assert.deepStrictEqual([kept._tag, kept.webhook.id, kept.webhook.name], ["Saved", id, null])
        yield* Effect.flip(repo.delete(tenant, id))
        const stays = yield* Queue.take(changes)
        assert.deepStrictEqual([stays._tag, stays.webhook.id], ["Saved", id])
      })
  )

  it.effect("a commit that was not answered is looked for until the store is back", () =>
    Effect.gen(function* () {
      let away = false
      const { repo, changes } = yield* losingRepo(true, () => away)
      const tenant = yield* (yield* Ground).tenant
      const input = yield* draft(tenant)
      // Nothing is read to create, so the store can be away from the commit on.
      away = true
      yield* Effect.flip(repo.create(input))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Option.isNone(yield* Queue.poll(changes)))
      away = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Queue.take(changes)).webhook.id, input.id)
    })
  )

  it.effect(
    "delete cancels a backlog of many steps",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const ground = yield* Ground
        const sql = yield* SqlClient
        const tenant = yield* ground.tenant
        const { id } = yield* repo.create(yield* draft(tenant))
        // Due times that are shared, in one microsecond, and all that a column can hold.
        yield* sql`
          insert into waiting (delivery_id, tenant_id, webhook_id, attempts, tries, due_at)
          select gen_random_uuid(), ${toUuid(tenant)}, ${toUuid(id)}, i % 5, 0,
            case i % 3 when 0 then 'infinity' when 1 then timestamptz '-infinity'
              else to_timestamp(i / 7) + i % 2 * interval '1 microsecond' end
          from generate_series(1, 31000) as i`
        yield* repo.delete(tenant, id)
        const { owed, waiting, cancelled } = yield* ground.deliveries(id)
        assert.deepStrictEqual([owed, waiting, cancelled.length], [0, 0, 31_000])
        assert.strictEqual(
          cancelled.reduce((sum, { attempts }) => sum + attempts, 0),
          62_000
        )
      }),
    30_000
  )

  it.effect(
    "a change that meets a deadlock is made all the same, and one that always does fails",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const sql = yield* SqlClient
        const tenant = yield* (yield* Ground).tenant
        const { id } = yield* repo.create(yield* draft(tenant))
        yield* sql`create sequence deadlocks`
        yield* sql`
        create function meet_deadlock() returns trigger language plpgsql as $$ begin
          if nextval('deadlocks') <= 3 then
            raise exception 'deadlock detected' using errcode = '40P01';
          end if;
          return new;
        end $$`
        yield* sql`
        create trigger meet_deadlock before update on webhook
        for each row execute function meet_deadlock()`
        assert.strictEqual((yield* repo.update(tenant, id, { name: "new" })).name, "new")
        yield* sql`alter sequence deadlocks minvalue -1 restart with -1`
        const error = yield* Effect.flip(repo.update(tenant, id, { name: "newer" }))
        assert.isTrue(error instanceof StoreError && error.isRetryable)
        yield* sql`drop trigger meet_deadlock on webhook`
        assert.strictEqual((yield* repo.get(tenant, id)).name, "new")
      })
  )

  it.effect("processes that create at once make one webhook of a key, and of a uid", () =>
    Effect.gen(function* () {
      const repos = [yield* WebhookRepo, yield* anotherRepo]
      const tenant = yield* (yield* Ground).tenant
      const create = (i: number, given: Partial<NewWebhook>) =>
        Effect.flatMap(draft(tenant, given), (input) => repos[i % 2]!.create(input))
      const idempotency = { key: "k", digest: new Uint8Array(32) }
      const repeated = yield* Effect.forEach([0, 1, 2, 3], (i) => create(i, { idempotency }), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(repeated.map(({ id }) => id)).size, 1)
      const named = { fields: { ...fields, uid: "u" } }
      const outcomes = yield* Effect.forEach(
        [0, 1, 2, 3],
        (i) =>
          Effect.match(create(i, named), {
            onSuccess: () => "made",
            onFailure: (error) => error._tag
          }),
        { concurrency: "unbounded" }
      )
      const refused = "WebhookUidTaken"
      assert.deepStrictEqual(outcomes.toSorted(), [refused, refused, refused, "made"])
    })
  )

  it.effect("processes that change one webhook at once lose no change", () =>
    Effect.gen(function* () {
      const repos = [yield* WebhookRepo, yield* anotherRepo]
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* repos[0]!.create(yield* draft(tenant))
      const rotations = yield* Effect.forEach([0, 1, 2], () => rotation(60_000))
      yield* Effect.all(
        [
          ...rotations.map((next, i) => repos[i % 2]!.rotateSecret(tenant, id, next)),
          repos[0]!.update(tenant, id, { name: "name" }),
          repos[1]!.update(tenant, id, { description: "description" }),
          repos[0]!.setStatus(tenant, id, "paused")
        ],
        { concurrency: "unbounded" }
      )
      const webhook = yield* repos[0]!.get(tenant, id)
      assert.deepStrictEqual(
        [webhook.name, webhook.description, webhook.status],
        ["name", "description", "paused"]
      )
      assert.lengthOf(webhook.secrets, 4)
      assert.deepStrictEqual(
        webhook.secrets.map(({ expiresAt }) => expiresAt === null),
        [true, false, false, false]
      )
    })
  )
}
