/**
 * A tenant's key sees and touches nothing of another tenant: asked of every route of the OpenAPI
 * document, by every name that a thing has. A route that this test does not know how to ask fails it.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../src/api/Api.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { scaled } from "../support/Scale.ts"
import { type Answer, Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import * as Real from "./Real.ts"

interface Operation {
  readonly parameters: ReadonlyArray<{
    readonly in: string
    readonly name: string
    readonly description?: string
  }>
  readonly security: ReadonlyArray<unknown>
  readonly responses: Readonly<Record<string, { readonly content?: object }>>
}

const document: {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
} = JSON.parse(JSON.stringify(OpenApi.fromApi(Api)))

const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([, { security }]) => security.length > 0)
    .map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      isStream: "text/event-stream" in (operation.responses["200"]?.content ?? {}),
      // Filters that name a thing, such as the webhook whose deliveries are listed.
      filters: operation.parameters.filter(
        ({ description = "", in: place }) => place === "query" && description.includes("own uid")
      )
    }))
)
const withIds = routes.filter(({ path }) => path.includes("{"))
const reads = routes.filter(({ method, path }) => method === "GET" && !path.includes("{"))
const lists = reads.filter(({ isStream }) => !isStream)
const streams = reads.filter(({ isStream }) => isStream)

/** Bodies of requests that need one to be understood. */
const bodies: Readonly<Record<string, unknown>> = {
  "PUT /v1/webhooks/{id}": { url: "http://127.0.0.1:9/b" },
  "PATCH /v1/webhooks/{id}": { name: "changed" },
  "PUT /v1/event-types/{name}": { displayName: "changed" },
  "PATCH /v1/event-types/{name}": { displayName: "changed" },
  "PATCH /v1/tenants/{id}": { name: "changed" },
  "POST /v1/tenants/{id}/keys": { name: "another", scopes: ["read"] },
  "PATCH /v1/tenants/{id}/keys/{keyId}": { name: "changed" },
  "PATCH /v1/admin-keys/{keyId}": { name: "changed" }
}

/** Routes of which a tenant's key is told that they are not for it, whatever they name. */
const forOperators = (path: string) =>
  path.startsWith("/v1/admin-keys") || path === "/v1/hold" || path === "/v1/release"

/** Routes that make what is not there, so that another tenant's uid names a new thing of one's own. */
const makes = (name: string, ref: string) =>
  name === "PUT /v1/event-types/{name}" || (name === "PUT /v1/webhooks/{id}" && !isId(ref))

const isId = (ref: string) => /^[a-z]+_[0-9a-z]{26}$/.test(ref)

let made = 0

/** Makes a tenant that owns one of everything, and answers the names of each by its place. */
const makeOwner = Effect.gen(function* () {
  const { call } = yield* Calls
  const { keys } = yield* Tenants
  const n = ++made
  const owner = { key: keys.admin, headers: { "posthaste-tenant": `owner-${n}` } }
  const ok = (answer: Answer) => {
    assert.isBelow(answer.status, 300, answer.text)
    return answer.json
  }
  const post = (path: string, json: unknown) =>
    Effect.map(call("POST", path, { ...owner, json }), ok)
  const tenant = ok(
    yield* call("POST", "/v1/tenants", { key: keys.admin, json: { uid: `owner-${n}` } })
  )
  const key = yield* post(`/v1/tenants/${tenant.id}/keys`, {
    name: "all",
    scopes: ["publish", "read", "manage", "admin"]
  })
  const adminKey = yield* post("/v1/admin-keys", { name: `admin ${n}` })
  const webhook = yield* post("/v1/webhooks", { url: "http://127.0.0.1:9/a", uid: `hook-${n}` })
  yield* post(`/v1/webhooks/${webhook.id}/pause`, undefined)
  const message = yield* post("/v1/messages", { type: "a.b", data: n, uid: `order-${n}` })
  const { data } = ok(yield* call("GET", "/v1/deliveries", owner))
  const job = yield* post("/v1/redeliveries", { dryRun: true })
  while (true) {
    const { state } = ok(yield* call("GET", `/v1/redeliveries/${job.id}`, owner))
    if (state === "done") break
  }
  const eventType = yield* post("/v1/event-types", { name: `type-${n}.made` })
  yield* post("/v1/event-types", { name: "a.b" })
  ok(yield* call("PUT", "/v1/event-type-policy", { ...owner, json: { unknown: "refuse" } }))
  const names: Readonly<Record<string, ReadonlyArray<string>>> = {
    "/v1/messages/{id}": [message.id, message.uid],
    "/v1/event-types/{name}": [eventType.name],
    "/v1/webhooks/{id}": [webhook.id, webhook.uid],
    "/v1/deliveries/{id}": [data[0].id],
    "/v1/redeliveries/{id}": [job.id],
    "/v1/tenants/{id}": [tenant.id, tenant.uid],
    "/v1/tenants/{id}/keys/{keyId}": [key.id],
    "/v1/admin-keys/{keyId}": [adminKey.id],
    webhook: [webhook.id, webhook.uid],
    message: [message.id, message.uid]
  }
  return { key: key.key, operator: owner, names }
})

type Owner = Effect.Success<typeof makeOwner>

/** The paths that name what the owner has, at a path with holes. */
const pathsOf = (path: string, { names }: Owner): ReadonlyArray<string> => {
  const place = path.slice(0, path.lastIndexOf("}") + 1)
  const last = names[place]
  assert.isDefined(last, `This test knows no ${place}: teach makeOwner to make one`)
  const parent = path.slice(0, place.lastIndexOf("/{"))
  const before = parent.includes("{") ? pathsOf(parent, { names } as Owner) : [parent]
  return before.flatMap((start) =>
    last!.map((ref) => `${start}/${encodeURIComponent(ref)}${path.slice(place.length)}`)
  )
}

const stranger = Effect.gen(function* () {
  const { other } = yield* Tenants
  const { key } = yield* (yield* TenantRepo).createKey({
    tenantId: other.id,
    name: "everything of its own",
    scopes: ["publish", "read", "manage", "admin"],
    expiresAt: null
  })
  return Redacted.value(Option.getOrThrow(key))
})

describe("Isolation", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    for (const { method, name, path } of withIds) {
      it.effect(`${name} is 404 for another tenant and changes nothing`, () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const stored = yield* Real.Stored
          const owner = yield* makeOwner
          const key = yield* stranger
          const json = bodies[name]
          const refusal = forOperators(path) ? 403 : 404
          const before = yield* stored.hash
          for (const at of pathsOf(path, owner)) {
            if (makes(name, decodeURIComponent(at.split("/")[3]!))) continue
            const answer = yield* call(method, at, { key, json })
            assert.strictEqual(answer.status, refusal, `${method} ${at}: ${answer.text}`)
          }
          assert.strictEqual(yield* stored.hash, before)
          // The same request is understood where it comes from the owner.
          const [at] = pathsOf(path, owner)
          const own = yield* call(method, at!, {
            ...(forOperators(path) || (path === "/v1/tenants/{id}" && method !== "GET")
              ? owner.operator
              : { key: owner.key }),
            json
          })
          assert.isTrue(own.status < 300 || own.status === 409, `${method} ${at}: ${own.text}`)
          // What was resumed would go on changing what is stored.
          yield* call("DELETE", `/v1/webhooks/${owner.names["webhook"]![0]}`, owner.operator)
        })
      )
    }

    it.effect("a uid names another thing in each tenant", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const owner = yield* makeOwner
        const key = yield* stranger
        const [id, uid] = owner.names["webhook"]!
        const path = `/v1/webhooks/${uid}`
        const json = { url: "http://127.0.0.1:9/b" }
        assert.strictEqual((yield* call("PUT", path, { key, json })).status, 201)
        assert.strictEqual((yield* call("GET", path, { key: owner.key })).json.id, id)
        assert.strictEqual((yield* call("DELETE", path, { key })).status, 204)
        assert.strictEqual((yield* call("GET", path, { key: owner.key })).json.id, id)
      })
    )

    for (const { filters, name, path } of lists) {
      it.effect(`${name} shows nothing of another tenant`, () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const owner = yield* makeOwner
          const key = yield* stranger
          const seen = yield* call("GET", path, { key })
          if (forOperators(path)) return assert.strictEqual(seen.status, 403)
          const own = yield* call("GET", path, { key: owner.key })
          assert.strictEqual(own.status, 200, own.text)
          assert.strictEqual(seen.status, 200, seen.text)
          const names = Object.values(owner.names).flat()
          for (const ref of names) assert.notInclude(seen.text, `"${ref}"`)
          if (own.json.data === undefined) return assert.notDeepEqual(seen.json, own.json)
          assert.isTrue(names.some((ref) => own.text.includes(ref)))
          for (const filter of filters) {
            const refs = owner.names[filter.name]
            assert.isDefined(refs, `This test knows no ${filter.name}: teach makeOwner`)
            for (const ref of refs!) {
              const query = `${path}?${filter.name}=${encodeURIComponent(ref)}`
              assert.deepStrictEqual((yield* call("GET", query, { key })).json.data, [])
              assert.isNotEmpty((yield* call("GET", query, { key: owner.key })).json.data)
            }
          }
        })
      )
    }

    for (const { filters, name, path } of streams) {
      it.effect(`${name} tells nothing of another tenant`, () =>
        Effect.gen(function* () {
          const { call, port } = yield* Calls
          const owner = yield* makeOwner
          const key = yield* stranger
          for (const filter of filters) {
            for (const ref of owner.names[filter.name]!) {
              const query = `${path}?${filter.name}=${encodeURIComponent(ref)}`
              assert.strictEqual((yield* call("GET", query, { key })).status, 404)
            }
          }
          const response = yield* Effect.promise(() =>
            fetch(`http://127.0.0.1:${port}${path}`, {
              headers: { authorization: `Bearer ${key}` }
            })
          )
          const [hook] = owner.names["webhook"]!
          const [delivery] = owner.names["/v1/deliveries/{id}"]!
          yield* call("POST", `/v1/deliveries/${delivery}/cancel`, { key: owner.key })
          yield* call("POST", `/v1/webhooks/${hook}/resume`, { key: owner.key })
          const json = { url: "http://127.0.0.1:9/" }
          const own = yield* call("POST", "/v1/webhooks", { key, json })
          const text = yield* Effect.promise(async () => {
            let seen = ""
            for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
              seen += chunk
              if (seen.includes(own.json.id)) break
            }
            return seen
          })
          for (const ref of Object.values(owner.names).flat()) assert.notInclude(text, ref)
        })
      )
    }

    it.effect(
      "the same Idempotency-Key makes one thing in each tenant",
      () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const one = yield* makeOwner
          const two = yield* makeOwner
          for (let i = 0; i < scaled(10, 1_000); i++) {
            const json = { type: "a.b", data: i }
            const headers = { "idempotency-key": `same-${i}` }
            const [a, b, again] = [
              yield* call("POST", "/v1/messages", { key: one.key, json, headers }),
              yield* call("POST", "/v1/messages", {
                key: two.key,
                json: { ...json, data: -i },
                headers
              }),
              yield* call("POST", "/v1/messages", { key: one.key, json, headers })
            ]
            assert.strictEqual(a.status, 202)
            assert.strictEqual(b.status, 202)
            assert.notStrictEqual(a.json.id, b.json.id)
            assert.strictEqual(again.json.id, a.json.id)
          }
        }),
      60_000
    )
  })
})
