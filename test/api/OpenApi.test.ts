import { assert, describe, it } from "@effect/vitest"
import { OpenApi } from "effect/http-api"
import * as fs from "node:fs"
import { Api } from "../../src/api/Api.ts"

// A document is looked into by hand here; what it must look like is what the tests say.
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any

const document: Any = JSON.parse(JSON.stringify(OpenApi.fromApi(Api)))

const operations = Object.entries<Record<string, Any>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation
  }))
)

/** Tells whether a status is not one that every endpoint with a key has alike. */
const isOwn = (status: string) => status !== "429"

/** The statuses that say when to come back. */
const patient = new Set(["429", "503"])

const schemas = Object.entries<Any>(document.components.schemas)

describe("The OpenAPI document", () => {
  it("names every endpoint of the contract with its answers", () => {
    assert.deepStrictEqual(
      operations.map(
        ({ name, operation }) =>
          `${name} ${Object.keys(operation.responses).filter(isOwn).join(" ")}`
      ),
      [
        "POST /v1/messages 202 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/messages 200 401 403 404 422 500 503",
        "POST /v1/messages/raw 202 400 401 403 404 409 413 415 422 500 503",
        "POST /v1/messages/batch 202 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/messages/{id} 200 401 403 404 422 500 503",
        "GET /v1/messages/{id}/routing 200 401 403 404 422 500 503",
        "POST /v1/event-types 201 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/event-types 200 401 403 404 422 500 503",
        "GET /v1/event-types/{name} 200 401 403 404 422 500 503",
        "PUT /v1/event-types/{name} 200 201 400 401 403 404 409 413 415 422 500 503",
        "PATCH /v1/event-types/{name} 200 400 401 403 404 413 415 422 500 503",
        "DELETE /v1/event-types/{name} 204 401 403 404 422 500 503",
        "GET /v1/event-type-policy 200 401 403 404 422 500 503",
        "PUT /v1/event-type-policy 200 400 401 403 404 413 415 422 500 503",
        "POST /v1/webhooks 201 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/webhooks 200 401 403 404 422 500 503",
        "GET /v1/webhooks/{id} 200 401 403 404 422 500 503",
        "PUT /v1/webhooks/{id} 200 201 400 401 403 404 409 413 415 422 500 503",
        "PATCH /v1/webhooks/{id} 200 400 401 403 404 409 413 415 422 500 503",
        "DELETE /v1/webhooks/{id} 204 401 403 404 422 500 503",
        "GET /v1/webhooks/{id}/secret 200 401 403 404 409 422 500 503",
        "POST /v1/webhooks/{id}/rotate-secret 200 400 401 403 404 409 413 415 422 500 503",
        "POST /v1/webhooks/{id}/pause 200 401 403 404 422 500 503",
        "POST /v1/webhooks/{id}/resume 200 401 403 404 422 500 503",
        "GET /v1/deliveries 200 401 403 404 422 500 503",
        "GET /v1/deliveries/stream 200 401 403 404 422 500 503",
        "GET /v1/deliveries/{id} 200 401 403 404 422 500 503",
        "GET /v1/deliveries/{id}/attempts 200 401 403 404 422 500 503",
        "POST /v1/deliveries/{id}/redeliver 202 401 403 404 409 422 500 503",
        "POST /v1/deliveries/{id}/cancel 200 401 403 404 409 422 500 503",
        "POST /v1/redeliveries 202 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/redeliveries 200 401 403 404 422 500 503",
        "GET /v1/redeliveries/{id} 200 401 403 404 422 500 503",
        "POST /v1/redeliveries/{id}/cancel 200 401 403 404 409 422 500 503",
        "POST /v1/tenants 201 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/tenants 200 401 403 404 422 500 503",
        "GET /v1/tenants/{id} 200 401 403 404 422 500 503",
        "PATCH /v1/tenants/{id} 200 400 401 403 404 409 413 415 422 500 503",
        "DELETE /v1/tenants/{id} 204 401 403 404 409 422 500 503",
        "POST /v1/tenants/{id}/keys 201 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/tenants/{id}/keys 200 401 403 404 422 500 503",
        "GET /v1/tenants/{id}/keys/{keyId} 200 401 403 404 422 500 503",
        "PATCH /v1/tenants/{id}/keys/{keyId} 200 400 401 403 404 413 415 422 500 503",
        "DELETE /v1/tenants/{id}/keys/{keyId} 204 401 403 404 422 500 503",
        "POST /v1/admin-keys 201 400 401 403 404 409 413 415 422 500 503",
        "GET /v1/admin-keys 200 401 403 404 422 500 503",
        "GET /v1/admin-keys/{keyId} 200 401 403 404 422 500 503",
        "PATCH /v1/admin-keys/{keyId} 200 400 401 403 404 409 413 415 422 500 503",
        "DELETE /v1/admin-keys/{keyId} 204 401 403 404 409 422 500 503",
        "GET /v1/hold 200 401 403 404 422 500 503",
        "POST /v1/hold 200 400 401 403 404 413 415 422 500 503",
        "POST /v1/release 200 401 403 404 422 500 503",
        "GET /v1/audit 200 401 403 404 422 500 503",
        "POST /v1/webhooks/{id}/test 200 400 401 403 404 409 413 415 422 500 503",
        "POST /v1/webhooks/{id}/check 200 401 403 404 422 500 503",
        "GET /v1/stats 200 401 403 404 422 500 503",
        "GET /v1/webhooks/{id}/stats 200 401 403 404 422 500 503",
        "GET /health/live 200",
        "GET /health/ready 200 503"
      ]
    )
  })

  it("has the version of the package", () => {
    const { version } = JSON.parse(fs.readFileSync("package.json", "utf8"))
    assert.deepInclude(document.info, { title: "Posthaste API", version })
  })

  it("says of every endpoint with a key that too many invalid ones are answered 429", () => {
    for (const { name, operation } of operations) {
      assert.strictEqual("429" in operation.responses, !name.includes("/health/"), name)
    }
  })

  it("asks for a bearer token everywhere but for health, and names the tenant header", () => {
    assert.strictEqual(document.components.securitySchemes.bearer.type, "http")
    for (const { name, operation } of operations) {
      const secured = !name.includes("/health/")
      assert.deepStrictEqual(operation.security, secured ? [{ bearer: [] }] : [], name)
      assert.strictEqual(
        operation.parameters.some((one: Any) => one.name === "posthaste-tenant"),
        secured,
        name
      )
    }
  })

  it("describes what a publish may say", () => {
    const body = document.paths["/v1/messages"].post.requestBody
    assert.deepStrictEqual(body.content["application/json"].schema, {
      $ref: "#/components/schemas/PublishInput"
    })
    const { properties, required } = document.components.schemas.PublishInput
    assert.deepStrictEqual(Object.keys(properties).sort(), [
      "channels",
      "data",
      "deliverAt",
      "expiresAt",
      "orderingKey",
      "resource",
      "type",
      "uid",
      "webhook"
    ])
    assert.deepStrictEqual(required, ["type", "data"])
  })

  it("documents numbers in a query as integers", () => {
    const { parameters } = document.paths["/v1/webhooks"].get
    assert.deepInclude(parameters.find((one: Any) => one.name === "limit").schema, {
      type: "integer"
    })
    assert.notInclude(JSON.stringify(document), "9007199254740991")
  })

  it("shows failures as problems only, with their codes", () => {
    for (const { name, operation } of operations) {
      for (const [status, response] of Object.entries<Any>(operation.responses)) {
        if (Number(status) < 400 || name.includes("/health/")) continue
        assert.deepStrictEqual(Object.keys(response.content), ["application/problem+json"], name)
        assert.strictEqual("retry-after" in (response.headers ?? {}), patient.has(status))
      }
    }
    const codes = schemas.flatMap(([, schema]) => schema.properties?.code?.enum ?? [])
    assert.strictEqual(new Set(codes).size, codes.length)
    assert.includeMembers(codes, ["invalid_input", "store_unavailable", "idempotency_conflict"])
  })

  it("lets answers gain keys, and no input", () => {
    const inputs = [
      "PublishInput",
      "DestinationInput",
      "RedeliveryInput",
      "WebhookInput",
      "WebhookPatch",
      "RotateInput",
      "HoldInput",
      "SignatureInput",
      "TenantInput",
      "TenantPatch",
      "KeyInput",
      "AdminKeyInput",
      "KeyPatch",
      "AuthInput",
      "TestInput",
      "PublishBatchInput",
      "EventTypeInput",
      "EventTypePutInput",
      "EventTypePatch",
      "EventTypePolicyInput"
    ]
    for (const [name, schema] of schemas) {
      const closed = JSON.stringify(schema).includes(`"additionalProperties":false`)
      const isInput = inputs.includes(name)
      assert.strictEqual(closed, isInput, name)
    }
    for (const { operation } of operations) {
      assert.notInclude(JSON.stringify(operation.responses), `"additionalProperties":false`)
    }
  })

  it("resolves every reference that it makes", () => {
    const names = new Set(schemas.map(([name]) => name))
    for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      assert.isTrue(names.has(name!), name)
    }
    assert.isFalse([...names].some((name) => name.endsWith("Encoded")))
  })
})
