/**
 * Asks every operation of the OpenAPI document for what it promises and for much that nobody should:
 * values at and beyond every bound, of other types, unknown fields, text that breaks databases, bodies
 * that are none, all methods on all paths. `Calls` holds each answer to the schema and status that the
 * document names, and each refusal to its form; nothing may end as a fault of ours.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../src/api/Api.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { scaled } from "../support/Scale.ts"
import { type Answer, Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"
import { type Chance, chance, Generator, hostileTexts, type JsonSchema } from "./Generator.ts"
import * as Real from "./Real.ts"

interface Operation {
  readonly parameters: ReadonlyArray<{
    readonly in: string
    readonly name: string
    readonly schema: JsonSchema
  }>
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>
  }
}

const document: {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
} = JSON.parse(JSON.stringify(OpenApi.fromApi(Api)))

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    operation
  }))
)

const cases = scaled(10, 1_000)

/** Things to name, and a key that opens everything and is none of them. */
const ground = Effect.gen(function* () {
  const { call } = yield* Calls
  const tenants = yield* TenantRepo
  // One for each operation, as settings of a tenant may well leave it without messages.
  const own = yield* tenants.create({ uid: null, name: null, idempotency: null })
  const headers = { "posthaste-tenant": own.id }
  const { key } = yield* tenants.createKey({
    tenantId: null,
    name: "everything",
    scopes: ["admin"],
    expiresAt: null
  })
  const all = Redacted.value(Option.getOrThrow(key))
  const made: Array<string> = []
  const make = Effect.fnUntraced(function* (path: string, json: object) {
    const answer = yield* call("POST", path, { key: all, headers, json })
    assert.isBelow(answer.status, 300, answer.text)
    made.push(answer.json.id)
  })
  yield* call("PUT", "/v1/webhooks/hook", {
    key: all,
    headers,
    json: { url: "http://127.0.0.1:9/" }
  })
  yield* call("POST", "/v1/webhooks/hook/pause", { key: all, headers })
  yield* make("/v1/webhooks", { url: "http://127.0.0.1:9/" })
  for (let i = 0; i < 3; i++) yield* make("/v1/messages", { type: "a.b", data: i, uid: `m-${i}` })
  yield* make(`/v1/tenants/${own.id}/keys`, { name: "spare", scopes: ["read"] })
  const { data } = (yield* call("GET", "/v1/deliveries", { key: all, headers })).json
  const deliveries: ReadonlyArray<string> = data.map((one: { id: string }) => one.id)
  const names = ["hook", "m-0", "a.b", "a.*", "default", "http://127.0.0.1:9/x", "whsec_x"]
  return { key: all, tenant: headers, known: [...made, ...deliveries, ...names, "sha256", "X-Own"] }
})

const contentTypes = [
  "application/json",
  "application/json; charset=utf-8",
  "application/json; charset=utf-16",
  "text/plain",
  "multipart/form-data; boundary=x",
  "nonsense",
  ""
]

const brokenBodies = [
  "",
  "{",
  "nul",
  "\uFEFF{}",
  '{"a":1,"a":2}',
  '{"limit":1e400}',
  '"\\ud800"',
  `${"[".repeat(65)}${"]".repeat(65)}`,
  `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
  `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`,
  new Uint8Array([0xff, 0xfe, 0x7b, 0x7d]),
  "x".repeat(400_000)
]

/** A text as it goes into a path or a query, now and then badly encoded. */
const encoded = (text: string, { oneIn, pick }: Chance): string =>
  oneIn(12) ? pick(["%", "%zz", "%ff", "%00", "%c0%af"]) : encodeURIComponent(text.toWellFormed())

const requestOf = (
  { method, operation, path }: (typeof operations)[number],
  source: Chance,
  generator: Generator
) => {
  const { below, oneIn, pick } = source
  const hostile = pick([0, 0, 4, 8, 20])
  const textOf = (schema: JsonSchema) => {
    const value = generator.make(schema, hostile)
    return typeof value === "string" ? value : (JSON.stringify(value) ?? "")
  }
  let at = path
  const query: Array<string> = []
  const headers: Record<string, string> = {}
  for (const parameter of operation.parameters) {
    if (parameter.in === "path") {
      at = at.replace(`{${parameter.name}}`, encoded(textOf(parameter.schema), source) || "-")
    } else if (parameter.in === "query" && oneIn(2)) {
      const times = oneIn(6) ? 2 : 1
      for (let i = 0; i < times; i++) {
        query.push(`${parameter.name}=${encoded(textOf(parameter.schema), source)}`)
      }
    } else if (parameter.in === "header" && oneIn(4)) {
      const text = textOf(parameter.schema)
      // fetch itself refuses what cannot stand in a header.
      if (/^[\x20-\xff]+$/.test(text)) headers[parameter.name] = text.slice(0, 2_000)
    }
  }
  if (oneIn(10)) query.push(`${encoded(pick(hostileTexts), source)}=${below(9)}`)
  const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema
  const hasBody = method !== "GET" && (schema !== undefined || oneIn(8))
  const body = !hasBody
    ? undefined
    : oneIn(8)
      ? pick(brokenBodies)
      : JSON.stringify(generator.make(schema ?? {}, hostile))
  if (body !== undefined) {
    headers["content-type"] = oneIn(8) ? pick(contentTypes) : "application/json"
  }
  return { at: query.length === 0 ? at : `${at}?${query.join("&")}`, headers, body }
}

describe("Fuzz", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    for (const [index, one] of operations.entries()) {
      const name = `${one.method} ${one.path}`
      it.effect(
        `${name} answers ${cases} odd requests as it promises`,
        () =>
          Effect.gen(function* () {
            const { call } = yield* Calls
            const { key, known, tenant } = yield* ground
            const source = chance(index * 7_919 + 1)
            const generator = new Generator(document.components.schemas, source, known)
            let understood = 0
            for (let i = 0; i < cases; i++) {
              const { at, headers, body } = requestOf(one, source, generator)
              const answer: Answer = yield* call(one.method, at, {
                key,
                headers: { ...tenant, ...headers },
                ...(body === undefined ? {} : { body })
              })
              const shown = typeof body === "string" ? body.slice(0, 500) : ""
              assert.isBelow(answer.status, 500, `${one.method} ${at} ${shown}: ${answer.text}`)
              if (answer.status < 400) understood++
            }
            // Requests that all fail at the same door try nothing behind it.
            if (cases > 100 && !one.path.includes("{")) assert.isAbove(understood, 0, name)
          }),
        scaled(30_000, 600_000)
      )
    }

    it.effect(
      "every path answers every method, with a problem where it has none",
      () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const { keys } = yield* Tenants
          for (const path of [
            ...Object.keys(document.paths),
            "/",
            "/v1",
            "/v1/",
            "/v2/x",
            "/%2e%2e"
          ]) {
            const at = path.replaceAll(/\{\w+\}/g, "nothing-here")
            for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
              const answer = yield* call(method, at, { key: keys.all })
              assert.isBelow(answer.status, 500, `${method} ${at}: ${answer.text}`)
              const isThere = document.paths[path]?.[method.toLowerCase()] !== undefined
              if (!isThere && path !== "/")
                assert.include([404, 405], answer.status, `${method} ${at}`)
            }
          }
        }),
      60_000
    )
  })
})
