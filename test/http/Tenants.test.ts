import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { parse, TenantId, toUuid } from "../../src/domain/TypeId.ts"
import { TenantErasure } from "../../src/store/TenantErasure.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import * as Real from "./Real.ts"

/** Calls with the key of an operator. */
const asOperator = Effect.gen(function* () {
  const { call } = yield* Calls
  const { keys } = yield* Tenants
  return (method: string, path: string, json?: unknown, headers = {}) =>
    call(method, path, { key: keys.admin, json, headers })
})

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("/v1/tenants", () => {
  layer(calls())((it) => {
    it.effect("makes, shows, changes and removes tenants, by id and by uid", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        const made = yield* call("POST", "/v1/tenants", { uid: "acme", name: "Acme" })
        assert.strictEqual(made.status, 201)
        assert.deepStrictEqual((yield* call("GET", "/v1/tenants/acme")).json, made.json)
        assert.deepStrictEqual((yield* call("GET", `/v1/tenants/${made.json.id}`)).json, made.json)
        const listed = yield* call("GET", "/v1/tenants?limit=1")
        assert.deepStrictEqual(listed.json.data, [made.json])
        const taken = yield* call("POST", "/v1/tenants", { uid: "acme" })
        assert.deepStrictEqual([taken.status, taken.json.code], [409, "tenant_uid_taken"])
        const changed = yield* call("PATCH", "/v1/tenants/acme", { uid: "emca", name: "Emca" })
        assert.deepInclude(changed.json, { id: made.json.id, uid: "emca", name: "Emca" })
        assert.strictEqual((yield* call("GET", "/v1/tenants/acme")).status, 404)
        assert.strictEqual((yield* call("DELETE", "/v1/tenants/emca")).status, 204)
        assert.strictEqual((yield* call("GET", `/v1/tenants/${made.json.id}`)).status, 404)
        assert.strictEqual((yield* call("DELETE", "/v1/tenants/emca")).status, 404)
      })
    )

    it.effect("keeps the default tenant and its uid", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        for (const answer of [
          yield* call("DELETE", "/v1/tenants/default"),
          yield* call("PATCH", "/v1/tenants/default", { uid: "other-name" })
        ]) {
          assert.deepStrictEqual([answer.status, answer.json.code], [409, "default_tenant_stays"])
        }
      })
    )

    it.effect("answers a repeated request with the first tenant", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        const headers = { "idempotency-key": "tenant-1" }
        const first = yield* call("POST", "/v1/tenants", { name: "Once" }, headers)
        const again = yield* call("POST", "/v1/tenants", { name: "Once" }, headers)
        assert.deepStrictEqual(again.json, first.json)
        const other = yield* call("POST", "/v1/tenants", { name: "Twice" }, headers)
        assert.deepStrictEqual([other.status, other.json.code], [409, "idempotency_conflict"])
      })
    )

    it.effect("refuses what no tenant and no key can be", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        const { own } = yield* Tenants
        for (const [method, path, json, pointer] of [
          ["POST", "/v1/tenants", { uid: "a b" }, "/uid"],
          ["POST", "/v1/tenants", { uid: own.id }, "/uid"],
          ["POST", "/v1/tenants", { name: "" }, "/name"],
          ["POST", "/v1/tenants", { nmae: "x" }, "/nmae"],
          ["POST", "/v1/tenants/default/keys", { name: "x" }, "/scopes"],
          ["POST", "/v1/tenants/default/keys", { name: "x", scopes: [] }, "/scopes"],
          ["POST", "/v1/tenants/default/keys", { name: "x", scopes: ["root"] }, "/scopes/0"],
          ["POST", "/v1/tenants/default/keys", { name: "x", scopes: ["read", "read"] }, "/scopes"],
          [
            "POST",
            "/v1/tenants/default/keys",
            { name: "x", scopes: ["read"], expiresAt: "1970-01-01T00:00:00Z" },
            "/expiresAt"
          ],
          ["POST", "/v1/admin-keys", { name: "x", scopes: ["read"] }, "/scopes"]
        ] as const) {
          const answer = yield* call(method, path, json)
          assert.strictEqual(answer.status, 422, answer.text)
          assert.strictEqual(answer.json.errors[0].pointer, pointer)
        }
      })
    )

    it.effect(
      "a key is shown once, opens what its scopes say, and nothing after its revocation",
      () =>
        Effect.gen(function* () {
          const call = yield* asOperator
          const asKey = (yield* Calls).call
          const headers = { "idempotency-key": "key-1" }
          const path = "/v1/tenants/other/keys"
          const input = { name: "ci", scopes: ["read"], expiresAt: null }
          const made = yield* call("POST", path, input, headers)
          assert.strictEqual(made.status, 201)
          const { key, ...record } = made.json
          assert.match(key, /^phk_[0-9A-Za-z]{43}$/)
          assert.deepStrictEqual((yield* call("POST", path, input, headers)).json, {
            ...record,
            key: null
          })
          assert.deepStrictEqual((yield* call("GET", `${path}/${record.id}`)).json, record)
          const renamed = yield* call("PATCH", `${path}/${record.id}`, { name: "cd" })
          assert.deepStrictEqual(renamed.json, { ...record, name: "cd" })
          assert.strictEqual((yield* asKey("GET", "/v1/webhooks", { key })).status, 200)
          const json = { url: "https://a.example/" }
          assert.strictEqual((yield* asKey("POST", "/v1/webhooks", { key, json })).status, 403)
          assert.strictEqual((yield* call("DELETE", `${path}/${record.id}`)).status, 204)
          assert.strictEqual((yield* asKey("GET", "/v1/webhooks", { key })).status, 401)
          const again = yield* call("DELETE", `${path}/${record.id}`)
          assert.deepStrictEqual([again.status, again.json.code], [404, "key_not_found"])
        })
    )

    it.effect("a tenant's admin key administers that tenant's keys and nothing else", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        const asKey = (yield* Calls).call
        const input = { name: "head", scopes: ["admin"] }
        const { key } = (yield* call("POST", "/v1/tenants/other/keys", input)).json
        const path = "/v1/tenants/other/keys"
        const json = { name: "mine", scopes: ["publish"] }
        assert.strictEqual((yield* asKey("POST", path, { key, json })).status, 201)
        const { data } = (yield* asKey("GET", "/v1/tenants", { key })).json
        assert.deepStrictEqual(
          data.map((one: { uid: string }) => one.uid),
          ["other"]
        )
        for (const [method, at, body, status] of [
          ["POST", "/v1/tenants", {}, 403],
          ["PATCH", "/v1/tenants/other", { name: "x" }, 403],
          ["DELETE", "/v1/tenants/other", undefined, 403],
          ["GET", "/v1/admin-keys", undefined, 403],
          ["POST", "/v1/admin-keys", { name: "x" }, 403],
          ["GET", "/v1/tenants/default", undefined, 404],
          ["POST", "/v1/tenants/default/keys", json, 404]
        ] as const) {
          const answer = yield* asKey(method, at, { key, json: body })
          assert.strictEqual(answer.status, status, `${method} ${at}`)
        }
      })
    )

    it.effect("the last admin key stays until there is another one", () =>
      Effect.gen(function* () {
        const call = yield* asOperator
        const asKey = (yield* Calls).call
        const { data } = (yield* call("GET", "/v1/admin-keys")).json
        assert.lengthOf(data, 1)
        const path = `/v1/admin-keys/${data[0].id}`
        const refused = yield* call("DELETE", path)
        assert.deepStrictEqual([refused.status, refused.json.code], [409, "last_admin_key"])
        const next = yield* call("POST", "/v1/admin-keys", { name: "next" })
        const rotated = yield* asKey("PATCH", path, {
          key: next.json.key,
          json: { expiresAt: "2100-01-01T00:00:00Z" }
        })
        assert.strictEqual(rotated.json.expiresAt, "2100-01-01T00:00:00.000Z")
        assert.strictEqual((yield* call("GET", "/v1/tenants")).status, 200)
      })
    )
  })

  layer(calls({ failedAuthMax: 20 }))("of an address that guesses", (it) => {
    it.effect("answers 429 after many invalid keys, and lets valid ones in all the while", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const guess = (n: number) => call("GET", "/v1/webhooks", { key: `phk_guess-${n}` })
        for (let n = 0; n < 20; n++) assert.strictEqual((yield* guess(n)).status, 401)
        for (let n = 20; n < 40; n++) {
          const answer = yield* guess(n)
          assert.deepStrictEqual([answer.status, answer.json.code], [429, "too_many_failures"])
          assert.strictEqual(answer.headers.get("retry-after"), "60")
          assert.strictEqual((yield* call("GET", "/v1/webhooks")).status, 200)
        }
      })
    )
  })

  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })(
    "of a tenant that is removed",
    (it) => {
      const owner = Effect.gen(function* () {
        const call = yield* asOperator
        const tenant = (yield* call("POST", "/v1/tenants", {})).json
        const headers = { "posthaste-tenant": tenant.id }
        const input = { name: "all", scopes: ["publish", "read", "manage"] }
        const { key } = (yield* call("POST", `/v1/tenants/${tenant.id}/keys`, input)).json
        for (let i = 0; i < 3; i++) {
          const json = { url: "http://127.0.0.1:9/", uid: `hook-${i}` }
          yield* call("POST", "/v1/webhooks", json, headers)
          yield* call("POST", `/v1/webhooks/hook-${i}/pause`, undefined, headers)
        }
        for (let i = 0; i < 5; i++) {
          const json = { type: "a.b", data: i, uid: `m-${i}` }
          const published = yield* call("POST", "/v1/messages", json, headers)
          assert.strictEqual(published.status, 202)
        }
        return { id: Option.getOrThrow(parse(TenantId, tenant.id)), key }
      })

      const rowsOf = (id: TenantId) =>
        Effect.gen(function* () {
          const sql = yield* SqlClient
          const [row] = yield* sql<Record<string, number>>`
            select
              (select count(*)::int from tenant where id = ${toUuid(id)}) as tenant,
              (select count(*)::int from webhook where tenant_id = ${toUuid(id)}) as webhook,
              (select count(*)::int from api_key where tenant_id = ${toUuid(id)}) as api_key,
              (select count(*)::int from message_uid where tenant_id = ${toUuid(id)}) as uid,
              (select count(*)::int from owed where tenant_id = ${toUuid(id)}) as owed,
              (select count(*)::int from waiting where tenant_id = ${toUuid(id)}) as waiting,
              (select count(*)::int from cancelled where tenant_id = ${toUuid(id)}) as cancelled`
          return row!
        })
      const gone = {
        tenant: 0,
        webhook: 0,
        api_key: 0,
        uid: 0,
        owed: 0,
        waiting: 0,
        cancelled: 15
      }
      const untilGone = (id: TenantId) =>
        Effect.gen(function* () {
          while ((yield* rowsOf(id))["tenant"] !== 0) yield* turn
          assert.deepStrictEqual(yield* rowsOf(id), gone)
        })

      it.effect("its keys end at once, its webhooks go, and what was owed ends cancelled", () =>
        Effect.gen(function* () {
          const call = yield* asOperator
          const asKey = (yield* Calls).call
          const { id, key } = yield* owner
          assert.strictEqual((yield* asKey("GET", "/v1/webhooks", { key })).status, 200)
          assert.strictEqual((yield* call("DELETE", `/v1/tenants/${id}`)).status, 204)
          assert.strictEqual((yield* asKey("GET", "/v1/webhooks", { key })).status, 401)
          yield* untilGone(id)
        })
      )

      it.effect("a start goes on with what a kill left", () =>
        Effect.gen(function* () {
          const { id } = yield* owner
          yield* (yield* TenantRepo).retire(id)
          assert.strictEqual((yield* rowsOf(id))["webhook"], 3)
          yield* Layer.build(Layer.fresh(TenantErasure.layer))
          yield* untilGone(id)
        })
      )
    }
  )
})
