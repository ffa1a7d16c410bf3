/** Who may call what: keys, scopes and tenants, asked of every endpoint that takes a key. */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { Api } from "../../src/api/Api.ts"
import { RequiredScope } from "../../src/api/Authorization.ts"
import type { Scope } from "../../src/domain/Tenant.ts"
import { Calls, layer as calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"

const endpoints = Object.values(Api.groups)
  .flatMap((group) => Object.values(group.endpoints))
  .filter(({ path }) => path.startsWith("/v1/"))
  .map((endpoint) => ({
    name: `${endpoint.method} ${endpoint.path}`,
    method: endpoint.method,
    path: endpoint.path.replaceAll(/:\w+/g, "nothing-here"),
    body: endpoint.payload.size > 0 ? {} : undefined,
    scope: Context.get(endpoint.annotations, RequiredScope)
  }))

describe("Authorization", () => {
  layer(calls())((it) => {
    for (const { body, method, name, path, scope } of endpoints) {
      it.effect(
        `${name} answers 401 without a key, with another scheme, and with an unknown key`,
        () =>
          Effect.gen(function* () {
            const { call } = yield* Calls
            const none = yield* call(method, path, { key: null, json: body })
            assert.strictEqual(none.status, 401)
            assert.strictEqual(none.json.code, "unauthorized")
            assert.strictEqual(none.headers.get("www-authenticate"), "Bearer")
            for (const headers of [
              { authorization: "Basic dXNlcjpwYXNz" },
              { authorization: "Bearer" },
              { authorization: `Bearer phk_${"x".repeat(43)}` },
              { authorization: `Bearer ${"x".repeat(5_000)}` }
            ]) {
              const answer = yield* call(method, path, { key: null, headers, json: body })
              assert.strictEqual(answer.status, 401, headers.authorization.slice(0, 40))
            }
          })
      )

      it.effect(`${name} needs the scope ${scope} and no other`, () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const { keys } = yield* Tenants
          for (const other of ["publish", "read", "manage"] satisfies Array<Scope>) {
            const answer = yield* call(method, path, { key: keys[other], json: body })
            if (other === scope) assert.notInclude([401, 403], answer.status)
            else {
              assert.strictEqual(answer.status, 403)
              assert.strictEqual(answer.json.code, "scope_missing")
              assert.include(answer.json.detail, scope)
            }
          }
          const admin = yield* call(method, path, { key: keys.admin, json: body })
          assert.notInclude([401, 403], admin.status)
        })
      )
    }

    it.effect("an admin key acts for the tenant that it names, else for the default one", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { keys, other } = yield* Tenants
        const url = "https://tenants.example/"
        for (const headers of [
          { "posthaste-tenant": "other" },
          { "Posthaste-Tenant": other.id }
        ] as ReadonlyArray<Record<string, string>>) {
          const made = yield* call("POST", "/v1/webhooks", {
            key: keys.admin,
            headers,
            json: { url }
          })
          assert.strictEqual(made.status, 201)
          const path = `/v1/webhooks/${made.json.id}`
          assert.strictEqual((yield* call("GET", path, { key: keys.other })).status, 200)
          assert.strictEqual((yield* call("GET", path, { key: keys.admin })).status, 404)
        }
        const made = yield* call("POST", "/v1/webhooks", { key: keys.admin, json: { url } })
        assert.strictEqual((yield* call("GET", `/v1/webhooks/${made.json.id}`)).status, 200)
      })
    )

    it.effect("naming a tenant that is unknown, or that the key does not open, answers 404", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const { keys, other, own } = yield* Tenants
        for (const [key, tenant, status] of [
          [keys.admin, "nobody", 404],
          [keys.admin, "not a uid", 404],
          [keys.all, "other", 404],
          [keys.all, other.id, 404],
          [keys.all, "default", 200],
          [keys.all, own.id, 200]
        ] as const) {
          const answer = yield* call("GET", "/v1/webhooks", {
            key,
            headers: { "posthaste-tenant": tenant }
          })
          assert.strictEqual(answer.status, status, tenant)
          if (status === 404) assert.strictEqual(answer.json.code, "tenant_not_found")
        }
      })
    )
  })
})
