/**
 * Every operation of the OpenAPI document that changes something writes one entry of the audit trail,
 * and so does showing a secret. An operation that is neither on the list of those nor excepted with a
 * reason fails this test, so none can be forgotten.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { OpenApi } from "effect/http-api"
import { SqlClient } from "effect/sql/SqlClient"
import { Api } from "../../src/api/Api.ts"
import type { AuditAction } from "../../src/domain/AuditEntry.ts"
import { mask } from "../../src/domain/Mask.ts"
import { givenUpOn } from "../../src/domain/Redelivery.ts"
import { Ids } from "../../src/store/Ids.ts"
import { RedeliveryRepo } from "../../src/store/RedeliveryRepo.ts"
import type { StoreError } from "../../src/store/StoreError.ts"
import { Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import * as Real from "./Real.ts"

const document: {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
} = JSON.parse(JSON.stringify(OpenApi.fromApi(Api)))

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
)

const publishing = "Publishing is no change of configuration: messages are their own record."
const trying = "Nothing is changed: what is sent to try a webhook out is written nowhere."

/** Operations that write no entry although they are no GET, and why. */
const exempt: Readonly<Record<string, string>> = {
  "POST /v1/messages": publishing,
  "POST /v1/messages/raw": publishing,
  "POST /v1/messages/batch": publishing,
  "POST /v1/webhooks/{id}/test": trying,
  "POST /v1/webhooks/{id}/check": trying
}

/** Texts that nobody may find in the trail. */
const canary = {
  secret: `whsec_${Buffer.from("canary-secret-of-32-bytes-length").toString("base64")}`,
  rotated: `whsec_${Buffer.from("canary-second-of-32-bytes-length").toString("base64")}`,
  token: "canary-token",
  password: "canary-password",
  header: "canary-header",
  parameter: "canary-parameter"
}

const withCanaries = {
  url: `http://127.0.0.1:9/a?token=${canary.parameter}`,
  secret: canary.secret,
  headers: { "x-api-key": canary.header },
  auth: { kind: "bearer", token: canary.token }
}

const otherCanaries = {
  url: `http://127.0.0.1:9/b?token=${canary.parameter}`,
  headers: { "x-api-key": `${canary.header}-2` },
  auth: { kind: "basic", username: "user", password: canary.password }
}

let made = 0

/** Makes a tenant that owns one of everything, with a key of its own and one of the operator's. */
const makeOwner = Effect.gen(function* () {
  const { call } = yield* Calls
  const { keys } = yield* Tenants
  const n = ++made
  const uid = `audit-${n}`
  const post = Effect.fnUntraced(function* (path: string, json?: unknown, tenant = uid) {
    const answer = yield* call("POST", path, {
      key: keys.admin,
      headers: { "posthaste-tenant": tenant },
      json
    })
    assert.isBelow(answer.status, 300, answer.text)
    return answer.json
  })
  const tenant = yield* post("/v1/tenants", { uid }, "default")
  const scopes = ["publish", "read", "manage", "admin"]
  const own = yield* post(`/v1/tenants/${uid}/keys`, { name: `own ${n}`, scopes })
  const spare = yield* post(`/v1/tenants/${uid}/keys`, { name: "spare", scopes: ["read"] })
  const operator = yield* post("/v1/admin-keys", { name: `operator ${n}` })
  const spareAdmin = yield* post("/v1/admin-keys", { name: "spare" })
  const webhook = yield* post("/v1/webhooks", { ...withCanaries, uid: `hook-${n}` })
  yield* post("/v1/event-types", { name: "a.b" })
  const paused = yield* post("/v1/webhooks", { url: "http://127.0.0.1:9/p" })
  yield* post(`/v1/webhooks/${paused.id}/pause`)
  const { id: messageId } = yield* post("/v1/messages", { type: "a.b", data: n })
  const { data } = (yield* call("GET", `/v1/deliveries?message=${messageId}`, { key: own.key }))
    .json
  const deliveryOf = (id: string): string =>
    data.find((one: { readonly webhookId: string }) => one.webhookId === id).id
  return {
    tenant,
    own,
    spare,
    operator,
    spareAdmin,
    webhook,
    paused,
    delivery: deliveryOf(paused.id),
    post
  }
})

type Owner = Effect.Success<typeof makeOwner>

interface Asked {
  readonly action: AuditAction
  readonly json?: object
  /** The id that the entry names; the `id` of the answer when absent. */
  readonly target?: string
  /** The holes of the path. */
  readonly at?: ReadonlyArray<string>
  /** Null for what concerns the whole installation. */
  readonly tenantId?: null
}

/** How each operation is asked so that it changes something, and what is written then. */
const audited: Readonly<
  Record<string, (owner: Owner) => Asked | Effect.Effect<Asked, StoreError, RedeliveryRepo | Ids>>
> = {
  "POST /v1/webhooks": () => ({ action: "webhook.created", json: withCanaries }),
  "PUT /v1/webhooks/{id}": ({ webhook }) => ({
    action: "webhook.updated",
    at: [webhook.id],
    json: { ...otherCanaries, secret: canary.rotated }
  }),
  "PATCH /v1/webhooks/{id}": ({ webhook }) => ({
    action: "webhook.updated",
    at: [webhook.uid],
    json: otherCanaries
  }),
  "DELETE /v1/webhooks/{id}": ({ webhook }) => ({
    action: "webhook.deleted",
    at: [webhook.uid],
    target: webhook.id
  }),
  "GET /v1/webhooks/{id}/secret": ({ webhook }) => ({
    action: "webhook.secret_viewed",
    at: [webhook.uid],
    target: webhook.id
  }),
  "POST /v1/webhooks/{id}/rotate-secret": ({ webhook }) => ({
    action: "webhook.secret_rotated",
    at: [webhook.id],
    target: webhook.id,
    json: { secret: canary.rotated }
  }),
  "POST /v1/webhooks/{id}/pause": ({ webhook }) => ({ action: "webhook.paused", at: [webhook.id] }),
  "POST /v1/webhooks/{id}/resume": ({ paused }) => ({ action: "webhook.resumed", at: [paused.id] }),
  "POST /v1/event-types": () => ({
    action: "event_type.created",
    json: { name: "c.d", example: { text: "\u0000" } },
    target: "c.d"
  }),
  "PUT /v1/event-types/{name}": () => ({
    action: "event_type.updated",
    at: ["a.b"],
    json: { description: "changed" },
    target: "a.b"
  }),
  "PATCH /v1/event-types/{name}": () => ({
    action: "event_type.updated",
    at: ["a.b"],
    json: { archived: true },
    target: "a.b"
  }),
  "DELETE /v1/event-types/{name}": () => ({
    action: "event_type.deleted",
    at: ["a.b"],
    target: "a.b"
  }),
  "PUT /v1/event-type-policy": ({ tenant }) => ({
    action: "event_type_policy.updated",
    json: { unknown: "refuse" },
    target: tenant.id
  }),
  "POST /v1/deliveries/{id}/cancel": ({ delivery }) => ({
    action: "delivery.cancelled",
    at: [delivery]
  }),
  "POST /v1/deliveries/{id}/redeliver": ({ delivery, post }) =>
    Effect.as(post(`/v1/deliveries/${delivery}/cancel`), {
      action: "delivery.redelivered",
      at: [delivery]
    }),
  "POST /v1/redeliveries": () => ({ action: "redelivery.started", json: { dryRun: true } }),
  "POST /v1/redeliveries/{id}/cancel": ({ tenant }) =>
    Effect.gen(function* () {
      // Nobody was told of this job, so it is not taken forward meanwhile.
      const job = yield* (yield* RedeliveryRepo)
        .create({
          id: yield* (yield* Ids).next("redelivery"),
          tenantId: tenant.id,
          filter: givenUpOn,
          idempotency: null
        })
        .pipe(Effect.catchTags({ IdempotencyConflict: Effect.die, RedeliveriesBusy: Effect.die }))
      return { action: "redelivery.cancelled", at: [job.id] }
    }),
  "POST /v1/tenants": () => ({ action: "tenant.created", json: { name: "another" } }),
  "PATCH /v1/tenants/{id}": ({ tenant }) => ({
    action: "tenant.updated",
    at: [tenant.uid],
    json: { name: "changed" }
  }),
  "DELETE /v1/tenants/{id}": ({ tenant }) => ({
    action: "tenant.deleted",
    at: [tenant.id],
    target: tenant.id
  }),
  "POST /v1/tenants/{id}/keys": ({ tenant }) => ({
    action: "key.created",
    at: [tenant.id],
    json: { name: "another", scopes: ["read"] }
  }),
  "PATCH /v1/tenants/{id}/keys/{keyId}": ({ spare, tenant }) => ({
    action: "key.updated",
    at: [tenant.id, spare.id],
    json: { expiresAt: "2999-01-01T00:00:00Z" }
  }),
  "DELETE /v1/tenants/{id}/keys/{keyId}": ({ spare, tenant }) => ({
    action: "key.revoked",
    at: [tenant.id, spare.id],
    target: spare.id
  }),
  "POST /v1/admin-keys": () => ({
    action: "key.created",
    json: { name: "another" },
    tenantId: null
  }),
  "PATCH /v1/admin-keys/{keyId}": ({ spareAdmin }) => ({
    action: "key.updated",
    at: [spareAdmin.id],
    json: { name: "changed" },
    tenantId: null
  }),
  "DELETE /v1/admin-keys/{keyId}": ({ spareAdmin }) => ({
    action: "key.revoked",
    at: [spareAdmin.id],
    target: spareAdmin.id,
    tenantId: null
  }),
  "POST /v1/hold": ({ post }) =>
    Effect.as(post("/v1/release"), {
      action: "hold.started",
      json: { reason: "flood" },
      target: "hold",
      tenantId: null
    }),
  "POST /v1/release": ({ post }) =>
    Effect.as(post("/v1/hold"), {
      action: "hold.released",
      target: "hold",
      tenantId: null
    })
}

/** Operations that are for keys of no tenant alone. */
const forOperators = /admin-keys|hold|release|^(POST|PATCH|DELETE) \/v1\/tenants(\/\{id\})?$/

/** Fills the holes of a path. */
const pathOf = (name: string, at: ReadonlyArray<string> = []): string => {
  const left = [...at]
  return name.slice(name.indexOf(" ") + 1).replaceAll(/\{\w+\}/g, () => left.shift()!)
}

const methodOf = (name: string): string => name.slice(0, name.indexOf(" "))

/** Entries that were written since, as a database at rest has them. */
const entriesAfter = Effect.fnUntraced(function* (id: string | null) {
  const sql = yield* SqlClient
  return yield* sql<{ readonly id: string; readonly request_id: string; readonly text: string }>`
    select id, request_id, to_json(e)::text as text from audit_entry e
    where ${id === null ? sql`true` : sql`id > ${id}`} order by id desc`
})

const lastEntry = Effect.map(entriesAfter(null), ([entry]) => entry?.id ?? null)

describe("The audit trail", () => {
  it("knows every operation that changes something", () => {
    const known = [...Object.keys(audited), ...Object.keys(exempt)]
    const changing = operations.filter(
      (name) => !name.startsWith("GET ") || name.endsWith("/secret")
    )
    assert.sameMembers(
      known,
      changing,
      "list a new operation as audited, or exempt with its reason"
    )
  })

  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    for (const [name, ask] of Object.entries(audited)) {
      it.effect(`${name} writes one entry, and none where it is refused`, () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const { keys } = yield* Tenants
          const owner = yield* makeOwner
          const asked = yield* Effect.suspend(() => {
            const made = ask(owner)
            return Effect.isEffect(made) ? made : Effect.succeed(made)
          })
          const by = forOperators.test(name) ? owner.operator : owner.own
          const { action, at, json, tenantId } = asked
          const path = pathOf(name, at)
          const before = yield* lastEntry
          // Whoever makes a thing, or names one as others may too, is not refused.
          const strangers = /\{(?:id|keyId)\}/.test(name) ? [keys.other] : []
          for (const key of [keys.read, keys.publish, null, ...strangers]) {
            const refused = yield* call(methodOf(name), path, { key, json })
            assert.isAtLeast(refused.status, 400, `${key}: ${refused.text}`)
          }
          if (json !== undefined) {
            const misspelt = { ...json, nonsense: 1 }
            const refused = yield* call(methodOf(name), path, { key: by.key, json: misspelt })
            assert.strictEqual(refused.status, 422, refused.text)
          }
          assert.deepStrictEqual(yield* entriesAfter(before), [])

          const answer = yield* call(methodOf(name), path, {
            key: by.key,
            json,
            headers: { "x-request-id": `request-${owner.tenant.uid}` }
          })
          assert.isBelow(answer.status, 300, answer.text)
          const written = yield* entriesAfter(before)
          assert.lengthOf(written, 1, JSON.stringify(written))
          const list = yield* call("GET", "/v1/audit?limit=1", { key: keys.admin })
          const [entry] = list.json.data
          assert.strictEqual(entry.action, action)
          assert.strictEqual(entry.target, asked.target ?? answer.json.id)
          assert.deepStrictEqual(entry.actor, { keyId: by.id, name: by.name })
          assert.strictEqual(entry.requestId, answer.headers.get("x-request-id"))
          assert.strictEqual(entry.requestId, `request-${owner.tenant.uid}`)
          assert.strictEqual(entry.ip, "127.0.0.1")
          assert.strictEqual(
            entry.tenantId,
            tenantId === null
              ? null
              : action === "tenant.created"
                ? answer.json.id
                : owner.tenant.id
          )
          for (const text of [written[0]!.text, list.text]) {
            for (const hidden of [...Object.values(canary), answer.json?.key ?? by.key]) {
              assert.notInclude(text, hidden)
            }
          }
        })
      )
    }

    it.effect("a request that is repeated, or changes nothing, writes what is true", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { own, paused, tenant, webhook } = yield* makeOwner
        const ask = (method: string, path: string, json?: object, key?: string) =>
          call(method, path, {
            key: own.key,
            json,
            ...(key === undefined ? {} : { headers: { "idempotency-key": key } })
          })
        const since = (id: string | null) =>
          Effect.map(entriesAfter(id), (entries) =>
            entries.map(({ text }): string => JSON.parse(text).action).toReversed()
          )
        for (const [path, json, repeated] of [
          ["/v1/event-types", { name: "c.d" }, []],
          [`/v1/tenants/${tenant.id}/keys`, { name: "key", scopes: ["read"] }, []],
          ["/v1/redeliveries", { dryRun: true }, []],
          // The secret is shown again.
          ["/v1/webhooks", { url: "http://127.0.0.1:9/" }, ["webhook.secret_viewed"]]
        ] as const) {
          yield* ask("POST", path, json, path)
          const before = yield* lastEntry
          assert.isBelow((yield* ask("POST", path, json, path)).status, 300)
          assert.deepStrictEqual(yield* since(before), [...repeated], path)
        }
        yield* ask("DELETE", "/v1/event-types/c.d")
        yield* ask("PUT", "/v1/event-type-policy", { unknown: "refuse" })
        const before = yield* lastEntry
        for (const [method, path, json] of [
          ["POST", `/v1/webhooks/${paused.id}/pause`],
          ["POST", `/v1/webhooks/${webhook.id}/resume`],
          ["PATCH", `/v1/webhooks/${webhook.id}`, { uid: webhook.uid }],
          [
            "PATCH",
            `/v1/webhooks/${webhook.id}`,
            { auth: { kind: "bearer", token: canary.token } }
          ],
          ["PATCH", `/v1/webhooks/${webhook.id}`, { headers: { "x-api-key": mask } }],
          ["PUT", "/v1/event-types/a.b", {}],
          ["PUT", "/v1/event-type-policy", { unknown: "refuse" }],
          ["DELETE", "/v1/event-types/c.d"],
          ["DELETE", `/v1/tenants/${tenant.id}/keys/${paused.id}`]
        ] as const) {
          yield* ask(method, path, json)
          assert.deepStrictEqual(yield* since(before), [], `${method} ${path}`)
        }
      })
    )

    it.effect("an entry shows what changed, and of credentials only that they did", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { own, webhook } = yield* makeOwner
        const changed = Effect.fnUntraced(function* (json: object) {
          const path = `/v1/webhooks/${webhook.id}`
          yield* call("PATCH", path, { key: own.key, json })
          const list = yield* call("GET", "/v1/audit?limit=1", { key: own.key })
          const { after, before } = list.json.data[0]
          return { before, after }
        })
        assert.deepStrictEqual(yield* changed({ name: "a", timeoutMs: 1_000 }), {
          before: { name: null, timeoutMs: 15_000 },
          after: { name: "a", timeoutMs: 1_000 }
        })
        assert.deepStrictEqual(
          yield* changed({ headers: { "x-api-key": "canary", "x-n": "canary" } }),
          {
            before: { headers: { "x-api-key": mask } },
            after: { headers: { "x-api-key": mask, "x-n": mask } }
          }
        )
        const url = `http://127.0.0.1:9/a?token=${mask}`
        assert.deepStrictEqual(yield* changed({ url: "http://127.0.0.1:9/a?token=canary" }), {
          before: { url },
          after: { url }
        })
        assert.deepStrictEqual(
          yield* changed({ auth: { kind: "basic", username: "canary", password: "canary" } }),
          {
            before: { auth: { kind: "bearer", token: mask } },
            after: { auth: { kind: "basic", username: mask, password: mask } }
          }
        )
        yield* call("POST", `/v1/webhooks/${webhook.id}/rotate-secret`, { key: own.key })
        const list = yield* call("GET", `/v1/audit?target=${webhook.id}`, { key: own.key })
        const [rotated] = list.json.data
        assert.deepStrictEqual(
          [rotated.before, rotated.after],
          [{ secret: mask }, { secret: mask }]
        )
        assert.notInclude(list.text, "canary")
      })
    )

    it.effect("a list is narrowed by action, target and actor, and to what a key may see", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { keys } = yield* Tenants
        const { operator, own, post, tenant, webhook } = yield* makeOwner
        yield* call("POST", `/v1/webhooks/${webhook.id}/pause`, { key: own.key })
        const list = Effect.fnUntraced(function* (query: string, key = own.key, headers = {}) {
          const answer = yield* call("GET", `/v1/audit${query}`, { key, headers })
          assert.strictEqual(answer.status, 200, answer.text)
          return answer.json.data as ReadonlyArray<{ action: string; tenantId: string | null }>
        })
        const actions = (query: string, key?: string) =>
          Effect.map(list(query, key), (data) => data.map(({ action }) => action))
        assert.deepStrictEqual(yield* actions(`?target=${webhook.id}`), [
          "webhook.paused",
          "webhook.created"
        ])
        assert.deepStrictEqual(yield* actions(`?target=${webhook.id}&action=webhook.created`), [
          "webhook.created"
        ])
        assert.deepStrictEqual(yield* actions(`?actor=${own.id}`), ["webhook.paused"])
        assert.deepStrictEqual(yield* actions("?actor=operator"), [])
        for (const query of ["?action=nothing", "?actor=someone", "?target=", "?tenantId=x"]) {
          const answer = yield* call("GET", `/v1/audit${query}`, { key: own.key })
          assert.strictEqual(answer.status, 422, query)
        }

        assert.isTrue((yield* list("")).every(({ tenantId }) => tenantId === tenant.id))
        assert.isTrue((yield* list("", operator.key)).some(({ tenantId }) => tenantId === null))
        const named = { "posthaste-tenant": tenant.uid }
        for (const seen of [
          yield* list("", operator.key, named),
          yield* list(`?tenantId=${tenant.id}`, operator.key),
          yield* list(`?tenantId=${tenant.id}`)
        ]) {
          assert.deepStrictEqual(seen, yield* list(""))
        }
        const foreign = yield* call("GET", `/v1/audit?tenantId=${tenant.id}`, {
          key: keys.manage
        })
        assert.strictEqual(foreign.status, 404)
        const reader = yield* call("GET", "/v1/audit", { key: keys.read })
        assert.strictEqual(reader.status, 403)

        const first = yield* call("GET", "/v1/audit?limit=2", { key: own.key })
        const { nextCursor } = first.json
        const next = yield* list(`?limit=2&cursor=${nextCursor}`)
        assert.deepStrictEqual([...first.json.data, ...next], (yield* list("")).slice(0, 4))

        yield* post("/v1/messages", { type: "a.b", data: 1 })
        assert.deepStrictEqual((yield* actions("?limit=1"))[0], "webhook.paused")
      })
    )

    it.effect("of a tenant that is gone its end stays, and nothing else", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { operator, tenant } = yield* makeOwner
        yield* call("DELETE", `/v1/tenants/${tenant.id}`, { key: operator.key })
        while (true) {
          const list = yield* call("GET", `/v1/audit?tenantId=${tenant.id}`, { key: operator.key })
          if (list.json.data.length > 1) continue
          const [{ action, after, before }] = list.json.data
          return assert.deepStrictEqual(
            [action, before, after],
            ["tenant.deleted", { uid: tenant.uid, name: tenant.name, limits: tenant.limits }, null]
          )
        }
      })
    )
  })
})
