import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Auth, none } from "../../src/domain/Auth.ts"
import type { SecretKind } from "../../src/domain/Secret.ts"
import { fromUuid } from "../../src/domain/TypeId.ts"
import {
  circuitState,
  fieldsOf,
  healthy,
  holds,
  problems,
  ResourceFilter,
  Uid,
  type Webhook,
  type WebhookHealth,
  WebhookSettings,
  WebhookUidTaken
} from "../../src/domain/Webhook.ts"

const decode = Schema.decodeUnknownSync(WebhookSettings)
const isSettings = (settings: unknown) =>
  Schema.decodeUnknownExit(WebhookSettings)(settings)._tag === "Success"

const defaults = {
  format: "json",
  method: null,
  template: null,
  signature: "standard",
  traceHeaders: false,
  timeoutMs: 15_000,
  retry: "standard",
  clientErrors: "retry",
  onFailure: {},
  concurrency: 10,
  rate: null,
  ordering: "none",
  circuit: { failures: 5, openMs: 30_000, openMsMax: 600_000 },
  disableAfter: { durationMs: 432_000_000 },
  alertAt: [3, 5, 10]
}

const webhook = (status: Webhook["status"], health: Partial<WebhookHealth> = {}): Webhook => ({
  id: fromUuid("webhook", "00000000-0000-0000-0000-000000000001"),
  tenantId: fromUuid("tenant", "00000000-0000-0000-0000-000000000002"),
  ...fieldsOf("https://example.com"),
  status,
  disabledReason: null,
  health: { ...healthy, ...health },
  secrets: [],
  unreadable: [],
  adHoc: null,
  createdAt: 0,
  updatedAt: 0,
  configuredAt: 0
})

describe("WebhookSettings", () => {
  it("has a default for each setting, and for each part of the circuit", () => {
    assert.deepStrictEqual<unknown>(decode({}), defaults)
    assert.deepStrictEqual<unknown>(decode({ circuit: { failures: 1 }, timeoutMs: 50 }), {
      ...defaults,
      timeoutMs: 50,
      circuit: { ...defaults.circuit, failures: 1 }
    })
  })

  it("keeps what is said, also where it says nothing shall happen", () => {
    const said = {
      format: "telegram",
      method: "POST",
      template: { title: "{type}", chatId: "{data.chat}" },
      signature: { header: "X-Signature", style: "t,v1" },
      traceHeaders: true,
      timeoutMs: 60_000,
      retry: { kind: "table", delaysMs: [], jitter: 0 },
      clientErrors: "permanent",
      onFailure: { status_4xx: "exhaust", blocked: "pause" },
      concurrency: 256,
      rate: { limit: 1, perMs: 86_400_000 },
      ordering: { by: "key", onExhausted: "park" },
      circuit: { failures: 1_000, openMs: 1, openMsMax: 86_400_000 },
      disableAfter: {},
      alertAt: []
    }
    assert.deepStrictEqual<unknown>(decode(said), said)
    assert.deepStrictEqual<unknown>(Schema.encodeSync(WebhookSettings)(decode(said)), said)
  })

  it.prop(
    "whatever it accepts is written and read back the same",
    { settings: WebhookSettings },
    ({ settings }) => {
      const json = (value: unknown) => JSON.parse(JSON.stringify(value))
      const written = json(Schema.encodeSync(WebhookSettings)(settings))
      assert.deepStrictEqual(json(decode(written)), json(settings))
    }
  )

  it("refuses numbers out of their bounds, and null", () => {
    const refused = [
      { format: "xml" },
      { format: null },
      { method: "DELETE" },
      { template: "{nobody}" },
      { template: {}, signature: "none" },
      { signature: { header: "Webhook-Signature" } },
      { timeoutMs: 49 },
      { timeoutMs: 60_001 },
      { timeoutMs: 100.5 },
      { timeoutMs: "100" },
      { timeoutMs: null },
      { retry: "never" },
      { clientErrors: "never" },
      { concurrency: 0 },
      { concurrency: 257 },
      { circuit: { failures: 0 } },
      { circuit: { openMs: 0 } },
      { circuit: { openMsMax: 86_400_001 } },
      { circuit: null },
      { disableAfter: { failures: 0 } },
      { disableAfter: { durationMs: 0 } },
      { disableAfter: { durationMs: 365 * 86_400_000 + 1 } },
      { alertAt: [0] },
      { alertAt: Array.from({ length: 17 }, () => 1) }
    ]
    for (const settings of refused) assert.isFalse(isSettings(settings), JSON.stringify(settings))
  })
})

describe("problems", () => {
  const found = (
    settings: typeof WebhookSettings.Encoded,
    kind: SecretKind = "hmac",
    rest: { url?: string; headers?: Record<string, string>; auth?: Auth } = {}
  ) =>
    problems(
      { url: "https://example.com", headers: {}, auth: none, ...rest, settings: decode(settings) },
      kind
    ).map(({ path }) => path.join("/"))

  it("are none where all fits", () => {
    assert.deepStrictEqual(found({}), [])
    assert.deepStrictEqual(found({ format: "query", method: "POST" }), [])
    assert.deepStrictEqual(found({ format: "slack", template: "{type}" }), [])
    assert.deepStrictEqual(found({ signature: "github" }, "text"), [])
    assert.deepStrictEqual(found({ signature: "svix" }, "ed25519"), [])
    const headers = { "X-Signature": "mine" }
    assert.deepStrictEqual(found({ signature: "standard" }, "hmac", { headers }), [])
  })

  it("name what does not fit the format", () => {
    assert.deepStrictEqual(found({ method: "GET" }), ["method"])
    assert.deepStrictEqual(found({ template: "{type}" }), ["template"])
    assert.deepStrictEqual(found({ format: "telegram" }), ["url"])
    assert.deepStrictEqual(found({ format: "discord", template: { chatId: "@chat" } }), [
      "template/chatId"
    ])
  })

  it("name headers that the signature sets too, in any case", () => {
    const headers = { "x-signature": "mine", "X-EVENT-TYPE": "mine", "x-other": "mine" }
    assert.deepStrictEqual(found({ signature: "hex" }, "hmac", { headers }), [
      "headers/x-signature",
      "headers/X-EVENT-TYPE"
    ])
  })

  it("name a signature that no secret of the kind makes", () => {
    assert.deepStrictEqual(found({ signature: "standard" }, "text"), ["signature"])
    assert.deepStrictEqual(found({ signature: "hex" }, "ed25519"), ["signature"])
  })
})

describe("Uid", () => {
  it("is 1 to 256 characters that cannot be mistaken for a path", () => {
    for (const uid of ["a", "A-z_0.9~:@+", "x".repeat(256), "user@example.com"]) {
      assert.isTrue(Schema.is(Uid)(uid), uid)
    }
    for (const uid of ["", "x".repeat(257), "a/b", "a b", "ä", "a\n", "a%20", "a?b", "\0"]) {
      assert.isFalse(Schema.is(Uid)(uid), JSON.stringify(uid))
    }
  })
})

describe("ResourceFilter", () => {
  it("names a type, or one thing of it", () => {
    const is = Schema.is(ResourceFilter)
    assert.isTrue(is({ type: "t" }))
    assert.isTrue(is({ type: "t", id: "i" }))
    for (const filter of [{}, { id: "i" }, { type: "" }, { type: "t", id: "" }]) {
      assert.isFalse(is(filter), JSON.stringify(filter))
    }
  })
})

describe("circuitState", () => {
  it("is open until its time, then lets a probe through, and is closed without one", () => {
    assert.strictEqual(circuitState(healthy, 0), "closed")
    const opened = { ...healthy, circuitOpenUntil: 1_000 }
    assert.strictEqual(circuitState(opened, 999), "open")
    assert.strictEqual(circuitState(opened, 1_000), "half_open")
    assert.strictEqual(circuitState(opened, 2_000), "half_open")
  })
})

describe("holds", () => {
  it("holds deliveries unless the webhook is enabled and its circuit closed", () => {
    assert.isFalse(holds(webhook("enabled"), 0))
    assert.isTrue(holds(webhook("paused"), 0))
    assert.isTrue(holds(webhook("disabled"), 0))
    assert.isTrue(holds(webhook("enabled", { circuitOpenUntil: 5 }), 4))
    assert.isTrue(holds(webhook("enabled", { circuitOpenUntil: 5 }), 5))
    assert.isFalse(holds(webhook("enabled", { throttledUntil: 5, consecutiveFailures: 2 }), 4))
  })
})

describe("a refusal", () => {
  it("is a problem with a stable code, a status and a type of its own", () => {
    const error = new WebhookUidTaken({ detail: "More" })
    assert.strictEqual(error._tag, "WebhookUidTaken")
    assert.strictEqual(error.message, "More")
    assert.deepInclude(Schema.encodeSync(WebhookUidTaken)(error), {
      code: "webhook_uid_taken",
      status: 409,
      type: "urn:posthaste:problem:webhook_uid_taken",
      title: "Another webhook has this uid",
      detail: "More"
    })
  })
})
