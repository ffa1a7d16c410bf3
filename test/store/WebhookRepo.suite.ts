/**
 * What every WebhookRepo does, wherever it keeps its webhooks: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import {
  Clock,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Option,
  Redacted,
  References,
  Result,
  Schema,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { Auth } from "../../src/domain/Auth.ts"
import { firstPage, type PageRequest } from "../../src/domain/Page.ts"
import { decodeCursor } from "../../src/domain/Page.ts"
import { active } from "../../src/domain/Secret.ts"
import { deliveryOf, type TenantId, type WebhookId } from "../../src/domain/TypeId.ts"
import {
  circuitState,
  defaultSettings,
  fieldsOf,
  healthy,
  type Webhook,
  type WebhookFields,
  WebhookSettings
} from "../../src/domain/Webhook.ts"
import { Ids } from "../../src/store/Ids.ts"
import type { WebhookUpdate } from "../../src/store/WebhookEdits.ts"
import {
  type NewWebhook,
  type WebhookChange,
  type WebhookFilter,
  WebhookRepo
} from "../../src/store/WebhookRepo.ts"
import { Ground } from "./Ground.ts"

const blank: WebhookFields = {
  ...fieldsOf("https://example.com/hook")
}

/** Every field filled, with what JSON, SQL and text could get wrong. */
const full: WebhookFields = {
  uid: "crm:orders@eu~1",
  name: `O'Neill "& Söhne" \\ 100% 🚀`,
  description: "two\nlines, and a {brace}",
  metadata: { team: "a,b", "key with 'quotes'": "", empty: "{}" },
  url: "https://example.com/a?b=c&d=%20",
  eventTypes: ["invoice.*", "order.paid"],
  resources: [{ type: "project", id: "1" }, { type: "user" }],
  channels: ["eu", `a "c", {}`],
  filter: { $or: [{ amount: { $gt: 1.5 } }, { "a.b": null }] },
  headers: { "x-a": `"b", c`, "X-B": "ü" },
  auth: { kind: "none" },
  settings: {
    ...defaultSettings,
    timeoutMs: 1_234,
    retry: { kind: "table", delaysMs: [1_000, 2_000], jitter: 0.25 },
    concurrency: 3,
    circuit: { failures: 2, openMs: 10, openMsMax: 20 },
    disableAfter: {},
    alertAt: []
  }
}

/** A webhook that can be compared: keys of secrets are opaque until they are opened. */
const open = (webhook: Webhook) => ({
  ...webhook,
  secrets: webhook.secrets.map(({ key, ...secret }) => ({
    ...secret,
    key: Buffer.from(Redacted.value(key)).toString("hex")
  }))
})

/** An auth with its credential opened, as it would be written in JSON. */
const plain = Schema.encodeSync(Auth)

const isSame = (actual: Webhook, expected: Webhook) =>
  assert.deepStrictEqual(open(actual), open(expected))

const draft = Effect.fnUntraced(function* (
  tenantId: TenantId,
  fields: Partial<WebhookFields> = {},
  idempotency: NewWebhook["idempotency"] = null
) {
  const ids = yield* Ids
  const input: NewWebhook = {
    id: yield* ids.next("webhook"),
    tenantId,
    fields: { ...blank, ...fields },
    secret: { id: yield* ids.next("secret"), key: Redacted.make(yield* ids.bytes(32)) },
    idempotency
  }
  return input
})

const create = Effect.fnUntraced(function* (...args: Parameters<typeof draft>) {
  return yield* (yield* WebhookRepo).create(yield* draft(...args))
})

const used = (key: string, request: string) => ({ key, digest: Buffer.from(request.padEnd(32)) })

const rotation = Effect.fnUntraced(function* (graceMs: number) {
  const ids = yield* Ids
  return { id: yield* ids.next("secret"), key: Redacted.make(yield* ids.bytes(32)), graceMs }
})

/** Collects what is announced while the test runs. */
const watched = Effect.gen(function* () {
  const seen: Array<WebhookChange> = []
  yield* (yield* WebhookRepo).watch((change) => Effect.sync(() => void seen.push(change)))
  return seen
})

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

const silently = Effect.provideService(References.MinimumLogLevel, "None")

const noFilter = { status: null, text: null, adHoc: false }

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<WebhookRepo | Ids | Ground>) => {
  it.effect("create registers a webhook as it was given, enabled and healthy", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const input = yield* draft(tenant, full)
      const now = yield* Clock.currentTimeMillis
      const webhook = yield* repo.create(input)
      isSame(webhook, {
        ...full,
        id: input.id,
        tenantId: tenant,
        status: "enabled",
        disabledReason: null,
        health: healthy,
        adHoc: null,
        unreadable: [],
        secrets: [{ ...input.secret, createdAt: now, expiresAt: null }],
        createdAt: now,
        updatedAt: now,
        configuredAt: now
      })
      isSame(yield* repo.get(tenant, input.id), webhook)
    })
  )

  it.effect("keeps an auth of each kind as it was given, until it is changed", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const ca = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
      const auths: ReadonlyArray<Auth> = [
        { kind: "none" },
        { kind: "none", ca },
        { kind: "basic", username: 'ü "n"', password: Redacted.make("p:ß") },
        { kind: "bearer", token: Redacted.make("t".repeat(4_096)), ca },
        { kind: "header", name: "X-Key", value: Redacted.make("a b") },
        {
          kind: "oauth2",
          tokenUrl: "https://issuer.example/token",
          clientId: "id",
          clientSecret: Redacted.make(""),
          scope: "a b",
          audience: "https://api.example",
          clientAuthentication: "body"
        },
        { kind: "mtls", certificate: ca.repeat(200), key: Redacted.make("key".repeat(4_000)), ca }
      ]
      const made = yield* Effect.forEach(auths, (auth) => create(tenant, { auth }))
      for (const [i, { id }] of made.entries()) {
        const { auth, unreadable } = yield* repo.get(tenant, id)
        assert.deepStrictEqual(plain(auth), plain(auths[i]!))
        assert.deepStrictEqual(unreadable, [])
        yield* repo.update(tenant, id, { name: "renamed" })
        assert.deepStrictEqual(plain((yield* repo.get(tenant, id)).auth), plain(auths[i]!))
        yield* repo.update(tenant, id, { auth: auths[i === 2 ? 3 : 2]!, headers: { "x-a": "1" } })
        const changed = yield* repo.get(tenant, id)
        assert.deepStrictEqual(plain(changed.auth), plain(auths[i === 2 ? 3 : 2]!))
        assert.deepStrictEqual(changed.headers, { "x-a": "1" })
      }
      yield* repo.update(tenant, made[1]!.id, { auth: { kind: "none" }, headers: {} })
      const cleared = yield* repo.get(tenant, made[1]!.id)
      assert.deepStrictEqual([cleared.auth, cleared.headers], [{ kind: "none" }, {}])
    })
  )

  it.effect("create keeps nothing of an input but its fields", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const more = { status: "disabled", health: { ...healthy, version: 7 }, secret: "whsec_x" }
      const webhook = yield* create(tenant, { ...full, ...more })
      assert.strictEqual(webhook.status, "enabled")
      assert.notProperty(webhook, "secret")
      isSame(yield* repo.get(tenant, webhook.id), webhook)
    })
  )

  it.effect("create lets a tenant have as many webhooks as it may, however many come at once", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { limit, tenant } = yield* Ground
      const [one, other] = [yield* tenant, yield* tenant]
      yield* limit(one, 5)
      const results = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => Effect.result(create(one, {}, used(`limit-${n}`, "a"))),
        { concurrency: "unbounded" }
      )
      const made = results.filter(Result.isSuccess)
      assert.lengthOf(made, 5)
      for (const refused of results.filter(Result.isFailure)) {
        assert.strictEqual(refused.failure._tag, "WebhookLimit")
        assert.include(String(JSON.stringify(refused.failure)), "has 5 webhooks, and may have 5")
      }
      assert.lengthOf((yield* repo.list(one, firstPage, noFilter)).data, 5)
      // Another tenant is not touched by it.
      for (let n = 0; n < 6; n++) yield* create(other)
      // A repetition makes nothing, and a refused request used up no key.
      const first = results.findIndex(Result.isSuccess)
      isSame(yield* create(one, {}, used(`limit-${first}`, "a")), made[0]!.success)
      const last = results.findIndex(Result.isFailure)
      yield* repo.delete(one, made[0]!.success.id)
      yield* create(one, {}, used(`limit-${last}`, "b"))
      assert.strictEqual(yield* tagOf(create(one)), "WebhookLimit")
      yield* limit(one, 6)
      yield* create(one, { uid: "sixth" })
      // Who has the uid is told before: that webhook can be replaced.
      assert.strictEqual(yield* tagOf(create(one, { uid: "sixth" })), "WebhookUidTaken")
      yield* limit(one, 0)
      assert.strictEqual(yield* tagOf(create(one)), "WebhookLimit")
      yield* repo.update(one, "sixth", { name: "as before" })
    })
  )

  it.effect("create counts no ad-hoc webhook, and refuses none at the limit", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { limit, tenant } = yield* Ground
      const one = yield* tenant
      yield* limit(one, 1)
      const adHoc = Effect.map(draft(one), (input) => ({ ...input, adHocDigest: input.id }))
      yield* repo.create(yield* adHoc)
      yield* create(one)
      assert.strictEqual(yield* tagOf(create(one)), "WebhookLimit")
      yield* repo.create(yield* adHoc)
    })
  )

  it.effect("create refuses a uid that another webhook of the tenant has", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { tenant } = yield* Ground
      const [one, other] = [yield* tenant, yield* tenant]
      const first = yield* create(one, { uid: "same" })
      const refused = create(one, { uid: "same", name: "second" }, used("k", "a"))
      assert.strictEqual(yield* tagOf(refused), "WebhookUidTaken")
      isSame(yield* repo.get(one, "same"), first)
      // The refused request used up no key.
      yield* create(one, { uid: "another" }, used("k", "b"))
      yield* create(other, { uid: "same" })
      yield* create(one)
      yield* create(one)
      assert.lengthOf((yield* repo.list(one, firstPage, noFilter)).data, 4)
    })
  )

  it.effect("create answers a repeated idempotency key with the first webhook as it is now", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const first = yield* create(tenant, { uid: "a" }, used("k", "a"))
      const changed = yield* repo.update(tenant, first.id, { name: "changed" })
      isSame(yield* create(tenant, { uid: "a" }, used("k", "a")), changed)
      const page = yield* repo.list(tenant, firstPage, noFilter)
      assert.lengthOf(page.data, 1)
      isSame(page.data[0]!, changed)
    })
  )

  it.effect("create refuses an idempotency key of another request, tenant by tenant", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { tenant } = yield* Ground
      const [one, other] = [yield* tenant, yield* tenant]
      yield* create(one, {}, used("k", "a"))
      assert.strictEqual(yield* tagOf(create(one, {}, used("k", "b"))), "IdempotencyConflict")
      assert.lengthOf((yield* repo.list(one, firstPage, noFilter)).data, 1)
      const elsewhere = yield* create(other, {}, used("k", "b"))
      assert.strictEqual(elsewhere.tenantId, other)
    })
  )

  it.effect("create does not bring a deleted webhook back", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const first = yield* create(tenant, {}, used("k", "a"))
      yield* repo.delete(tenant, first.id)
      assert.strictEqual(yield* tagOf(create(tenant, {}, used("k", "a"))), "IdempotencyConflict")
      assert.lengthOf((yield* repo.list(tenant, firstPage, noFilter)).data, 0)
    })
  )

  it.effect("create makes one webhook of requests that come together", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const together = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.all(
          Array.from({ length: 10 }, () => effect),
          { concurrency: "unbounded" }
        )
      const repeated = yield* together(create(tenant, {}, used("k", "a")))
      assert.strictEqual(new Set(repeated.map(({ id }) => id)).size, 1)
      const outcomes = yield* together(
        Effect.match(create(tenant, { uid: "u" }), {
          onSuccess: () => "made",
          onFailure: (error) => error._tag
        })
      )
      assert.deepStrictEqual(outcomes.toSorted(), [
        ...Array.from({ length: 9 }, () => "WebhookUidTaken"),
        "made"
      ])
      assert.lengthOf((yield* repo.list(tenant, firstPage, noFilter)).data, 2)
    })
  )

  it.effect("update replaces the named fields and nothing else", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const before = yield* create(tenant, { ...full, uid: "updated" })
      yield* TestClock.adjust("5 seconds")
      const now = yield* Clock.currentTimeMillis
      const one = yield* repo.update(tenant, "updated", { name: null })
      isSame(one, { ...before, name: null, updatedAt: now })
      const settings = { ...defaultSettings, retry: "quick" } as const
      const rest = { ...full, uid: "renamed", url: "https://b.example", settings, headers: {} }
      const two = yield* repo.update(tenant, before.id, rest)
      isSame(two, { ...before, ...rest, updatedAt: now, configuredAt: now })
      isSame(yield* repo.get(tenant, "renamed"), two)
      assert.isTrue(Option.isNone(yield* repo.find(tenant, "updated")))
    })
  )

  it.effect("updates of different settings that come together are all kept", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const before = yield* create(tenant, { uid: "settings" })
      const settings: Partial<WebhookSettings> = {
        timeoutMs: 1_000,
        retry: "quick",
        concurrency: 2,
        disableAfter: { failures: 7 },
        alertAt: [1]
      }
      yield* Effect.forEach(
        Object.entries(settings),
        ([name, value]) => repo.update(tenant, "settings", { settings: { [name]: value } }),
        { concurrency: "unbounded" }
      )
      const after = yield* repo.get(tenant, before.id)
      assert.deepStrictEqual(after.settings, { ...before.settings, ...settings })
    })
  )

  it.effect("update decides on the webhook as those that came before left it", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant, { metadata: {} })
      const add = (key: string) =>
        repo.update(tenant, id, ({ metadata }) =>
          Result.succeed({ metadata: { ...metadata, [key]: "added" } })
        )
      yield* Effect.forEach(["a", "b", "c", "d"], add, { concurrency: "unbounded" })
      const { metadata } = yield* repo.get(tenant, id)
      assert.deepStrictEqual(Object.keys(metadata).toSorted(), ["a", "b", "c", "d"])
    })
  )

  it.effect("a decision that refuses changes and announces nothing", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const before = yield* create(tenant, { uid: "kept" })
      const seen = yield* watched
      const refuse = (webhook: Webhook) => Result.fail({ _tag: "Refused", uid: webhook.uid })
      const refused = { _tag: "Refused", uid: "kept" }
      assert.deepStrictEqual<unknown>(
        yield* Effect.flip(repo.update(tenant, "kept", refuse)),
        refused
      )
      assert.deepStrictEqual<unknown>(
        yield* Effect.flip(repo.rotateSecret(tenant, "kept", refuse)),
        refused
      )
      isSame(yield* repo.get(tenant, before.id), before)
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect(
    "update takes a new secret with what else is changed, and the former one signs on",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const tenant = yield* (yield* Ground).tenant
        const before = yield* create(tenant, { name: "old" })
        yield* TestClock.adjust("1 minute")
        const now = yield* Clock.currentTimeMillis
        const secret = yield* rotation(60_000)
        const after = yield* repo.update(tenant, before.id, { name: "new", rotation: secret })
        isSame(after, {
          ...before,
          name: "new",
          secrets: [
            { id: secret.id, key: secret.key, createdAt: now, expiresAt: null },
            { ...before.secrets[0]!, expiresAt: now + 60_000 }
          ],
          updatedAt: now,
          configuredAt: now
        })
        isSame(yield* repo.get(tenant, before.id), after)
      })
  )

  it.effect("update tells apart what changes requests, and that only where it is another", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const auth = { kind: "bearer", token: Redacted.make("t") } as const
      const before = yield* create(tenant, { ...full, uid: "told", auth })
      assert.strictEqual(before.configuredAt, before.createdAt)
      const change = Effect.fnUntraced(function* (fields: WebhookUpdate) {
        yield* TestClock.adjust("1 second")
        const { configuredAt, updatedAt } = yield* repo.update(tenant, before.id, fields)
        assert.strictEqual((yield* repo.get(tenant, before.id)).configuredAt, configuredAt)
        assert.strictEqual(updatedAt, yield* Clock.currentTimeMillis)
        return configuredAt === updatedAt
      })
      const { headers, settings, url } = before
      const same = { auth: { ...auth, token: Redacted.make("t") }, headers: { ...headers }, url }
      assert.isFalse(yield* change({ ...same, settings: { ...settings }, name: "another" }))
      assert.isTrue(yield* change({ url: "https://other.example" }))
      assert.isTrue(yield* change({ headers: { ...headers, "x-more": "1" } }))
      assert.isTrue(yield* change({ auth: { ...auth, token: Redacted.make("u") } }))
      assert.isTrue(yield* change({ settings: { signature: "svix" } }))
      yield* repo.setStatus(tenant, before.id, "paused")
      assert.isFalse(yield* change({ eventTypes: [] }))
    })
  )

  it.effect("update ignores what is no field", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const before = yield* create(tenant)
      const whole: Webhook = {
        ...before,
        name: "new",
        status: "disabled",
        createdAt: 1,
        secrets: [],
        health: { ...healthy, version: 9 }
      }
      const now = yield* Clock.currentTimeMillis
      isSame(yield* repo.update(tenant, before.id, whole), {
        ...before,
        name: "new",
        updatedAt: now
      })
      isSame(yield* repo.get(tenant, before.id), { ...before, name: "new", updatedAt: now })
    })
  )

  it.effect(
    "update refuses a uid that another webhook of the tenant has, and changes nothing",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const { tenant } = yield* Ground
        const [one, other] = [yield* tenant, yield* tenant]
        yield* create(one, { uid: "a" })
        yield* create(other, { uid: "c" })
        const b = yield* create(one, { uid: "b" })
        const refused = repo.update(one, b.id, { uid: "a", name: "new" })
        assert.strictEqual(yield* tagOf(refused), "WebhookUidTaken")
        isSame(yield* repo.get(one, "b"), b)
        yield* repo.update(one, "b", { uid: "b", name: "own uid" })
        const moved = yield* repo.update(one, "b", { uid: "c" })
        assert.strictEqual(moved.id, b.id)
      })
  )

  it.effect(
    "no method touches or shows a webhook of another tenant, or one that is not there",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const ids = yield* Ids
        const { tenant } = yield* Ground
        const [owner, stranger] = [yield* tenant, yield* tenant]
        const webhook = yield* create(owner, { uid: "private" })
        const seen = yield* watched
        const refs = [
          webhook.id,
          "private",
          yield* ids.next("webhook"),
          yield* ids.next("message"),
          "nobody",
          "",
          "%",
          "\0",
          "a/b",
          "x".repeat(10_000)
        ]
        for (const ref of refs) {
          assert.isTrue(Option.isNone(yield* repo.find(stranger, ref)), ref)
          const all = [
            repo.get(stranger, ref),
            repo.update(stranger, ref, { name: "mine" }),
            repo.setStatus(stranger, ref, "paused"),
            repo.rotateSecret(stranger, ref, yield* rotation(0)),
            repo.delete(stranger, ref)
          ]
          for (const method of all) assert.strictEqual(yield* tagOf(method), "WebhookNotFound", ref)
        }
        assert.lengthOf((yield* repo.list(stranger, firstPage, noFilter)).data, 0)
        isSame(yield* repo.get(owner, "private"), webhook)
        assert.deepStrictEqual(seen, [])
      })
  )

  it.effect("setStatus pauses and changes nothing but the status", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const { id } = yield* create(tenant, { uid: "p" })
      const now = yield* Clock.currentTimeMillis
      yield* ground.setHealth(id, {
        version: 4,
        consecutiveFailures: 2,
        failingSince: 1,
        circuitOpenUntil: now + 5_000,
        circuitOpenings: 1,
        throttledUntil: now + 1
      })
      const before = yield* repo.get(tenant, id)
      const paused = yield* repo.setStatus(tenant, "p", "paused")
      isSame(paused, { ...before, status: "paused", updatedAt: now })
      isSame(yield* repo.setStatus(tenant, "p", "paused"), paused)
      isSame(yield* repo.get(tenant, id), paused)
    })
  )

  it.effect("setStatus resumes a failing webhook with one probe first", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const { id } = yield* create(tenant)
      const now = yield* Clock.currentTimeMillis
      yield* ground.setHealth(id, {
        version: 4,
        consecutiveFailures: 7,
        failingSince: 1,
        lastSuccessAt: 2,
        lastFailureAt: 3,
        circuitOpenUntil: now + 600_000,
        circuitOpenings: 3,
        throttledUntil: now + 1
      })
      yield* repo.setStatus(tenant, id, "paused")
      const resumed = yield* repo.setStatus(tenant, id, "enabled")
      assert.strictEqual(resumed.status, "enabled")
      assert.deepStrictEqual(resumed.health, {
        version: 5,
        consecutiveFailures: 0,
        failingSince: null,
        lastSuccessAt: 2,
        lastFailureAt: 3,
        circuitOpenUntil: now,
        circuitOpenings: 0,
        throttledUntil: null
      })
      assert.strictEqual(circuitState(resumed.health, now), "half_open")
      isSame(yield* repo.get(tenant, id), resumed)
      const again = yield* repo.setStatus(tenant, id, "enabled")
      assert.deepStrictEqual(again.health, resumed.health)
    })
  )

  it.effect(
    "setStatus resumes a disabled webhook, also after a pause, and forgets the reason",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const ground = yield* Ground
        const tenant = yield* ground.tenant
        const now = yield* Clock.currentTimeMillis
        for (const between of [[], ["paused"]] as const) {
          const { id } = yield* create(tenant)
          yield* ground.disable(id)
          assert.strictEqual((yield* repo.get(tenant, id)).disabledReason, "failing")
          for (const status of between) yield* repo.setStatus(tenant, id, status)
          const resumed = yield* repo.setStatus(tenant, id, "enabled")
          assert.strictEqual(resumed.status, "enabled")
          assert.isNull(resumed.disabledReason)
          assert.deepStrictEqual(resumed.health, { ...healthy, version: 1, circuitOpenUntil: now })
          isSame(yield* repo.get(tenant, id), resumed)
        }
      })
  )

  it.effect("setStatus leaves the circuit of a webhook closed that was only paused", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const { id } = yield* create(tenant)
      yield* ground.setHealth(id, { version: 1, lastSuccessAt: 5 })
      yield* repo.setStatus(tenant, id, "paused")
      const { health } = yield* repo.setStatus(tenant, id, "enabled")
      assert.deepStrictEqual(health, { ...healthy, version: 2, lastSuccessAt: 5 })
    })
  )

  it.effect("rotateSecret puts the new secret first and lets the former one sign for graceMs", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const before = yield* create(tenant, { uid: "r" })
      yield* TestClock.adjust("1 second")
      const now = yield* Clock.currentTimeMillis
      const next = yield* rotation(60_000)
      const rotated = yield* repo.rotateSecret(tenant, "r", next)
      isSame(rotated, {
        ...before,
        secrets: [
          { id: next.id, key: next.key, createdAt: now, expiresAt: null },
          { ...before.secrets[0]!, expiresAt: now + 60_000 }
        ],
        updatedAt: now,
        configuredAt: now
      })
      isSame(yield* repo.get(tenant, "r"), rotated)
      assert.lengthOf(active(rotated.secrets, now + 59_999), 2)
      assert.lengthOf(active(rotated.secrets, now + 60_000), 1)
    })
  )

  it.effect("rotateSecret without grace ends every former secret at once", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant)
      yield* repo.rotateSecret(tenant, id, yield* rotation(60_000))
      const next = yield* rotation(0)
      const { secrets } = yield* repo.rotateSecret(tenant, id, next)
      assert.deepStrictEqual(
        secrets.map((secret) => secret.id),
        [next.id]
      )
      isSame(yield* repo.get(tenant, id), yield* repo.get(tenant, id))
      assert.lengthOf((yield* repo.get(tenant, id)).secrets, 1)
    })
  )

  it.effect("rotateSecret never lengthens the grace of a former secret", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant)
      const now = yield* Clock.currentTimeMillis
      yield* repo.rotateSecret(tenant, id, yield* rotation(10_000))
      yield* repo.rotateSecret(tenant, id, yield* rotation(50_000))
      const ends = (webhook: Webhook) => webhook.secrets.map((secret) => secret.expiresAt)
      const longer = yield* repo.get(tenant, id)
      assert.deepStrictEqual(ends(longer), [null, now + 50_000, now + 10_000])
      const shorter = yield* repo.rotateSecret(tenant, id, yield* rotation(5_000))
      assert.deepStrictEqual(ends(shorter), [null, now + 5_000, now + 5_000, now + 5_000])
    })
  )

  it.effect("rotateSecret keeps four secrets at most and none that ended", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const made = [(yield* create(tenant, { uid: "many" })).secrets[0]!.id]
      const idsOf = (webhook: Webhook) => webhook.secrets.map((secret) => secret.id)
      for (let i = 0; i < 5; i++) {
        const next = yield* rotation(60_000)
        made.unshift(next.id)
        const rotated = yield* repo.rotateSecret(tenant, "many", next)
        assert.deepStrictEqual(idsOf(rotated), made.slice(0, 4))
        isSame(yield* repo.get(tenant, "many"), rotated)
      }
      yield* TestClock.adjust("60 seconds")
      const last = yield* rotation(60_000)
      const rotated = yield* repo.rotateSecret(tenant, "many", last)
      assert.deepStrictEqual(idsOf(rotated), [last.id, made[0]!])
      isSame(yield* repo.get(tenant, "many"), rotated)
    })
  )

  it.effect("delete removes the webhook and cancels what was still owed to it", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const ids = yield* Ids
      const tenant = yield* ground.tenant
      const gone = yield* create(tenant, { uid: "gone" })
      const kept = yield* create(tenant)
      const message = yield* ids.nextMessage
      yield* ground.owe(deliveryOf(message, 1), tenant, gone.id)
      yield* ground.wait(deliveryOf(message, 2), tenant, gone.id, 3)
      yield* ground.owe(deliveryOf(message, 3), tenant, kept.id)
      yield* ground.wait(deliveryOf(message, 4), tenant, kept.id, 1)
      yield* TestClock.adjust("1 second")
      const now = yield* Clock.currentTimeMillis
      yield* repo.delete(tenant, "gone")
      assert.deepStrictEqual(yield* ground.deliveries(gone.id), {
        owed: 0,
        waiting: 0,
        cancelled: [
          { id: deliveryOf(message, 1), attempts: 0, cancelledAt: now },
          { id: deliveryOf(message, 2), attempts: 3, cancelledAt: now }
        ],
        attempts: 3
      })
      assert.deepStrictEqual(yield* ground.deliveries(kept.id), {
        owed: 1,
        waiting: 1,
        cancelled: [],
        attempts: 1
      })
      assert.isTrue(Option.isNone(yield* repo.find(tenant, gone.id)))
      assert.isTrue(Option.isNone(yield* repo.find(tenant, "gone")))
      assert.strictEqual(yield* tagOf(repo.delete(tenant, gone.id)), "WebhookNotFound")
      yield* create(tenant, { uid: "gone" })
    })
  )

  it.effect("findMany finds webhooks of all tenants and leaves out what is not there", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { tenant } = yield* Ground
      const a = yield* create(yield* tenant, full)
      const b = yield* create(yield* tenant)
      const unknown = yield* (yield* Ids).next("webhook")
      const found = yield* repo.findMany([b.id, unknown, a.id, b.id])
      assert.deepStrictEqual(found.map(open), [open(a), open(b)])
      assert.deepStrictEqual(yield* repo.findMany([]), [])
    })
  )

  it.effect("health is read with the webhook, and is good where nothing was written", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const { id, health } = yield* create(tenant)
      assert.deepStrictEqual(health, healthy)
      const written = {
        version: 2 ** 40,
        consecutiveFailures: 1,
        failingSince: 10,
        lastSuccessAt: 20,
        lastFailureAt: 30,
        circuitOpenUntil: 40,
        circuitOpenings: 5,
        throttledUntil: 60
      }
      yield* ground.setHealth(id, written)
      assert.deepStrictEqual((yield* repo.get(tenant, id)).health, written)
    })
  )

  it.effect("list walks all pages, newest first, there and back", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const made: Array<WebhookId> = []
      for (let i = 0; i < 7; i++) made.unshift((yield* create(tenant)).id)
      const page = (cursor: string | null) =>
        Effect.map(
          repo.list(
            tenant,
            {
              ...firstPage,
              limit: 3,
              cursor: cursor === null ? null : Option.getOrThrow(decodeCursor(cursor))
            },
            noFilter
          ),
          ({ data, ...cursors }) => ({ ids: data.map(({ id }) => id), ...cursors })
        )
      const one = yield* page(null)
      const two = yield* page(one.nextCursor)
      const three = yield* page(two.nextCursor)
      assert.deepStrictEqual(
        [one.ids, two.ids, three.ids],
        [made.slice(0, 3), made.slice(3, 6), made.slice(6)]
      )
      assert.isNull(one.prevCursor)
      assert.isNull(three.nextCursor)
      const back = yield* page(three.prevCursor)
      assert.deepStrictEqual(back.ids, two.ids)
      assert.isNotNull(back.prevCursor)
      const first = yield* page(back.prevCursor)
      assert.deepStrictEqual(first.ids, one.ids)
      assert.isNull(first.prevCursor)
      assert.isNotNull(first.nextCursor)
    })
  )

  it.effect("list narrows to a status, a text and a time, each within the tenant", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const { tenant } = yield* Ground
      const mine = yield* tenant
      yield* create(yield* tenant, { uid: "Needle", name: "100%_a\\b" })
      const named = yield* create(mine, { name: "100%_a\\b Needle" })
      yield* TestClock.adjust("1 minute")
      const between = yield* Clock.currentTimeMillis
      const uided = yield* create(mine, { uid: "the-needle-1" })
      yield* repo.setStatus(mine, uided.id, "paused")
      const linked = yield* create(mine, { url: "https://NEEDLE.example/?a_b=100%25" })
      const plain = yield* create(mine, { description: "needle" })
      const ids = (filter: Partial<typeof noFilter>, request: Partial<PageRequest> = {}) =>
        Effect.map(
          repo.list(mine, { ...firstPage, ...request }, { ...noFilter, ...filter }),
          ({ data }) => data.map(({ id }) => id)
        )
      const text = (text: string) => ids({ text } as object)
      assert.deepStrictEqual(yield* text("nEEdle"), [linked.id, uided.id, named.id])
      assert.deepStrictEqual(yield* text(""), [plain.id, linked.id, uided.id, named.id])
      assert.deepStrictEqual(yield* text("100%_"), [named.id])
      assert.deepStrictEqual(yield* text("a_b"), [linked.id])
      assert.deepStrictEqual(yield* text("a\\b"), [named.id])
      assert.deepStrictEqual(yield* text("%"), [linked.id, named.id])
      assert.deepStrictEqual(yield* text("x%x"), [])
      assert.deepStrictEqual(yield* text("\0"), [])
      assert.deepStrictEqual(yield* ids({ status: "paused" } as object), [uided.id])
      assert.deepStrictEqual(yield* ids({}, { after: between }), [plain.id, linked.id, uided.id])
      assert.deepStrictEqual(yield* ids({}, { before: between }), [named.id])
      assert.deepStrictEqual(yield* ids({}, { after: between, before: between }), [])
      assert.deepStrictEqual(yield* ids({}, { after: -5, before: 2 ** 60 }), [
        plain.id,
        linked.id,
        uided.id,
        named.id
      ])
    })
  )

  it.effect(
    "all streams every webhook of every tenant once, however many there are",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const { tenant } = yield* Ground
        const tenants = [yield* tenant, yield* tenant]
        const made = yield* Effect.forEach(
          Array.from({ length: 1_001 }, (_, i) => i),
          (i) => Effect.map(create(tenants[i % 2]!), ({ id }) => id),
          { concurrency: 16 }
        )
        const all = yield* Stream.runCollect(repo.all)
        const found = all.filter(({ tenantId }) => tenants.includes(tenantId)).map(({ id }) => id)
        assert.deepStrictEqual(found.toSorted(), made.toSorted())
        assert.strictEqual(new Set(all.map(({ id }) => id)).size, all.length)
      }),
    30_000
  )

  it.effect("every change is announced after its commit and before the answer", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const seen = yield* watched
      const inForce: Array<boolean> = []
      yield* repo.watch((change) =>
        Effect.gen(function* () {
          const stored = yield* repo.find(tenant, change.webhook.id)
          inForce.push(
            change._tag === "Deleted"
              ? Option.isNone(stored)
              : Option.isSome(stored) && stored.value.updatedAt === change.webhook.updatedAt
          )
        }).pipe(Effect.orDie)
      )
      const expected: Array<WebhookChange> = []
      const told = (change: WebhookChange) => {
        expected.push(change)
        const plain = (all: ReadonlyArray<WebhookChange>) =>
          all.map((change) =>
            change._tag === "Deleted"
              ? { ...change, webhook: open(change.webhook) }
              : {
                  ...change,
                  webhook: open(change.webhook),
                  previous: change.previous && open(change.previous)
                }
          )
        assert.deepStrictEqual(plain(seen), plain(expected))
      }
      const created = yield* create(tenant, full)
      told({ _tag: "Saved", webhook: created, previous: null })
      yield* TestClock.adjust("1 second")
      const updated = yield* repo.update(tenant, created.id, { name: "new" })
      told({ _tag: "Saved", webhook: updated, previous: created })
      yield* TestClock.adjust("1 second")
      const paused = yield* repo.setStatus(tenant, created.id, "paused")
      told({ _tag: "Saved", webhook: paused, previous: updated })
      yield* TestClock.adjust("1 second")
      const resumed = yield* repo.setStatus(tenant, created.id, "enabled")
      told({ _tag: "Saved", webhook: resumed, previous: paused })
      yield* TestClock.adjust("1 second")
      const rotated = yield* repo.rotateSecret(tenant, created.id, yield* rotation(1_000))
      told({ _tag: "Saved", webhook: rotated, previous: resumed })
      yield* repo.delete(tenant, created.id)
      told({ _tag: "Deleted", webhook: rotated })
      assert.deepStrictEqual(inForce, [true, true, true, true, true, true])
    })
  )

  it.effect("what is refused is not announced", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      yield* create(tenant, { uid: "a" }, used("k", "a"))
      const { id } = yield* create(tenant)
      const seen = yield* watched
      yield* Effect.flip(create(tenant, { uid: "a" }))
      yield* Effect.flip(create(tenant, {}, used("k", "b")))
      yield* Effect.flip(repo.update(tenant, id, { uid: "a" }))
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("a repeated idempotency key announces the webhook as it is, not as new fields", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant, { name: "first" }, used("k", "a"))
      yield* repo.update(tenant, id, { name: "now" })
      const seen = yield* watched
      yield* create(tenant, { name: "first" }, used("k", "a"))
      assert.deepStrictEqual(
        seen.map(({ webhook }) => [webhook.id, webhook.name]),
        [[id, "now"]]
      )
    })
  )

  it.effect("refresh announces what something else changed, and nothing that is gone", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const ground = yield* Ground
      const [one, other] = [yield* ground.tenant, yield* ground.tenant]
      const a = yield* create(one)
      const b = yield* create(other)
      yield* ground.setHealth(a.id, { version: 3, consecutiveFailures: 9 })
      yield* ground.disable(b.id)
      const seen = yield* watched
      yield* repo.refresh([a.id, yield* (yield* Ids).next("webhook"), b.id])
      assert.deepStrictEqual(
        seen.map((change) => [
          change._tag,
          change.webhook.id,
          change.webhook.status,
          change.webhook.health.consecutiveFailures,
          change._tag === "Saved" && change.previous
        ]),
        [
          ["Saved", a.id, "enabled", 9, null],
          ["Saved", b.id, "disabled", 0, null]
        ]
      )
      yield* repo.refresh([])
      assert.lengthOf(seen, 2)
    })
  )

  it.effect("watch calls listeners in turn until their scope closes; a defect stops none", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const calls: Array<string> = []
      const note = (name: string) => () =>
        Effect.gen(function* () {
          calls.push(`${name} begins`)
          yield* Effect.yieldNow
          calls.push(`${name} ends`)
        })
      const scope = yield* Scope.make()
      yield* repo.watch(note("a"))
      yield* Scope.provide(repo.watch(note("b")), scope)
      yield* repo.watch(() => Effect.die("listener"))
      yield* repo.watch(() => {
        throw new Error("listener")
      })
      yield* repo.watch(note("c"))
      const { id } = yield* silently(create(tenant))
      const inTurn = (names: string) =>
        [...names].flatMap((name) => [`${name} begins`, `${name} ends`])
      assert.deepStrictEqual(calls, inTurn("abc"))
      yield* Scope.close(scope, Exit.void)
      yield* silently(repo.update(tenant, id, { name: "x" }))
      assert.deepStrictEqual(calls, inTurn("abcac"))
    })
  )

  it.effect("listeners are told one change at a time, of whatever webhook", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      let told = 0
      let busy = false
      yield* repo.watch(() =>
        Effect.gen(function* () {
          assert.isFalse(busy)
          busy = true
          yield* turn
          busy = false
          told++
        })
      )
      yield* Effect.all(
        Array.from({ length: 10 }, () => create(tenant)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(told, 10)
    })
  )

  it.effect("changes of one webhook are announced in the order of their commits", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant, { name: "start" })
      let last = "start"
      const links: Array<boolean> = []
      yield* repo.watch((change) =>
        Effect.gen(function* () {
          links.push(change._tag === "Saved" && change.previous?.name === last)
          yield* Effect.yieldNow
          last = change.webhook.name!
        })
      )
      yield* Effect.forEach(
        Array.from({ length: 30 }, (_, i) => `name ${i}`),
        (name) => repo.update(tenant, id, { name }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        links,
        Array.from({ length: 30 }, () => true)
      )
      assert.strictEqual((yield* repo.get(tenant, id)).name, last)
    })
  )

  it.effect("an interrupted change is either made and announced, or neither", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant, { name: "start" })
      let last = "start"
      yield* repo.watch(({ webhook }) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => {
            last = webhook.name!
          })
        )
      )
      let made = 0
      // The later the interruption comes, the likelier it finds the change made.
      for (let turns = 0; made < 3; turns = Math.ceil(turns * 1.2 + 1)) {
        const name = `after ${turns} turns`
        const fiber = yield* Effect.forkChild(repo.update(tenant, id, { name }))
        for (let i = 0; i < turns; i++) yield* turn
        yield* Fiber.interrupt(fiber)
        if (last === name) made++
        assert.strictEqual((yield* repo.get(tenant, id)).name, last)
      }
    })
  )

  it.effect("an interruption while a change is announced keeps it from no listener", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const { id } = yield* create(tenant)
      const announcing = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      yield* repo.watch(() =>
        Effect.andThen(Deferred.succeed(announcing, void 0), Deferred.await(interrupted))
      )
      const seen = yield* watched
      const fiber = yield* Effect.forkChild(repo.update(tenant, id, { name: "new" }))
      yield* Deferred.await(announcing)
      fiber.interruptUnsafe()
      yield* Deferred.succeed(interrupted, void 0)
      yield* Fiber.await(fiber)
      assert.strictEqual(seen[0]?.webhook.name, "new")
      assert.strictEqual((yield* repo.get(tenant, id)).name, "new")
    })
  )

  it.effect(
    "changes are a stream that keeps the newest 1,024 for a slow reader",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const tenant = yield* (yield* Ground).tenant
        const { id } = yield* create(tenant, { name: "0" })
        const begun = yield* Deferred.make<void>()
        const released = yield* Deferred.make<void>()
        const reader = yield* repo.changes.pipe(
          Stream.tap(() =>
            Effect.andThen(Deferred.succeed(begun, void 0), Deferred.await(released))
          ),
          Stream.takeUntil((change) => change.webhook.name === "last"),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        yield* repo.update(tenant, id, { name: "first" })
        yield* Deferred.await(begun)
        for (let i = 0; i < 1_030; i++) yield* repo.refresh([id])
        yield* repo.update(tenant, id, { name: "last" })
        yield* Deferred.succeed(released, void 0)
        const read = yield* Fiber.join(reader)
        assert.lengthOf(read, 1 + 1_024)
      }),
    30_000
  )

  it.effect("an ad-hoc webhook is made once for its digest, and hidden among registered ones", () =>
    Effect.gen(function* () {
      const repo = yield* WebhookRepo
      const tenant = yield* (yield* Ground).tenant
      const registered = yield* create(tenant)
      const make = (digest: string) =>
        Effect.flatMap(draft(tenant), (input) => repo.create({ ...input, adHocDigest: digest }))
      const made = yield* Effect.forEach([1, 2, 3], () => make("one"), { concurrency: "unbounded" })
      const first = made[0]!
      assert.deepStrictEqual(first.adHoc, { digest: "one" })
      assert.strictEqual(new Set(made.map(({ id }) => id)).size, 1)
      isSame(yield* repo.get(tenant, first.id), first)
      const other = yield* (yield* Ground).tenant
      const theirs = yield* repo.create({ ...(yield* draft(other)), adHocDigest: "one" })
      assert.notStrictEqual(theirs.id, first.id)
      const second = yield* make("two")
      const listed = (adHoc: WebhookFilter["adHoc"]) =>
        Effect.map(repo.list(tenant, firstPage, { ...noFilter, adHoc }), ({ data }) =>
          data.map(({ id }) => id)
        )
      assert.deepStrictEqual(yield* listed(false), [registered.id])
      assert.deepStrictEqual(yield* listed(true), [second.id, first.id])
      assert.deepStrictEqual(yield* listed(second.id), [second.id, registered.id])
      assert.deepStrictEqual(yield* listed(null), [second.id, first.id, registered.id])
    })
  )

  it.effect(
    "an ad-hoc webhook that is retired or leads elsewhere leaves its digest to another",
    () =>
      Effect.gen(function* () {
        const repo = yield* WebhookRepo
        const tenant = yield* (yield* Ground).tenant
        const make = Effect.flatMap(draft(tenant), (input) =>
          repo.create({ ...input, adHocDigest: "one" })
        )
        const first = yield* make
        isSame(yield* repo.retire(tenant, first.id), { ...first, adHoc: { digest: null } })
        isSame(yield* repo.get(tenant, first.id), { ...first, adHoc: { digest: null } })
        const second = yield* make
        assert.notStrictEqual(second.id, first.id)
        yield* repo.update(tenant, second.id, { name: "named" })
        assert.strictEqual((yield* make).id, second.id)
        yield* repo.update(tenant, second.id, { url: "https://elsewhere.example/" })
        assert.notStrictEqual((yield* make).id, second.id)
        const nobody = yield* (yield* Ids).next("webhook")
        assert.strictEqual(yield* tagOf(repo.retire(tenant, nobody)), "WebhookNotFound")
        const registered = yield* create(tenant)
        isSame(yield* repo.retire(tenant, registered.id), registered)
      })
  )
}

/** One turn of the event loop, in which answers of a database can come in. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
