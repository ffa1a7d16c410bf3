/**
 * What operators see of a running service: its metrics, its health and its log.
 */
import { assert, describe, it } from "vitest"
import * as Instruments from "../../src/telemetry/Instruments.ts"
import "../../src/telemetry/Metrics.ts"
import { borrowing } from "../support/Borrowing.ts"
import { until } from "../support/Inbox.ts"
import { adminKey, linesOf, secretKeys, type Service } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

const { inbox, prepared } = borrowing()

/** The highest value of each metric, buckets left out. */
const scrape = async (service: Service): Promise<ReadonlyMap<string, number>> => {
  const text = await fetch(`${service.baseUrl}/metrics`).then((response) => response.text())
  const values = new Map<string, number>()
  for (const [, name = "", value] of text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm)) {
    values.set(name, Math.max(values.get(name) ?? 0, Number(value)))
  }
  return values
}

describe("/metrics of a service at work", () => {
  it("moves every metric there is", async () => {
    const service = await prepared({ databaseUrl: await createDatabase() })
    await service.start()
    const good = await inbox()
    const bad = await inbox((_, response) => response.writeHead(500).end())
    const gone = await inbox((_, response) => response.writeHead(410).end())
    const slow = await inbox(() => {})
    const webhook = (url: string, more: object = {}) =>
      service.call("POST", "/v1/webhooks", { url, ...more }).then(({ json }) => json)
    const publish = (type: string, more: object = {}) =>
      service.call("POST", "/v1/messages", { type, data: 1, ...more })
    const circuit = { failures: 1, openMs: 1_000, openMsMax: 1_000 }
    await webhook(good.url, { eventTypes: ["good"] })
    await webhook(bad.url, { eventTypes: ["bad"], circuit, retry: "quick" })
    await webhook(bad.url, {
      eventTypes: ["open"],
      circuit: { failures: 1, openMs: 3_600_000, openMsMax: 3_600_000 }
    })
    await webhook(gone.url, { eventTypes: ["gone"] })
    await webhook(slow.url, { eventTypes: ["slow"], timeoutMs: 1_000, retry: "quick" })
    const paused = await webhook(good.url, { eventTypes: ["paused"] })
    await service.call("POST", `/v1/webhooks/${paused.id}/pause`)
    for (const type of ["good", "bad", "open", "gone", "slow", "slow", "paused"]) {
      await publish(type)
    }
    await publish("good", { uid: "one" })
    await publish("good", { uid: "one" })
    assert.strictEqual((await publish("bad", { uid: "one" })).status, 409)

    const seen = new Map<string, number>()
    // Nothing that could be registered is refused later, and nothing here is too much: tests in
    // telemetry/ and overload.test.ts make these move.
    const elsewhere = ["posthaste_guard_refused_total", "posthaste_http_request_refused_total"]
    const all = Instruments.all.filter(({ name }) => !elsewhere.includes(name))
    const wanted = all.map(({ name, type }) => (type === "histogram" ? `${name}_count` : name))
    // A gauge is up at some moment and a counter for good, so each is looked for over time.
    const missing = () => wanted.filter((name) => !((seen.get(name) ?? 0) > 0))
    const begun = performance.now()
    let cancelled = false
    await until(async () => {
      for (const [name, value] of await scrape(service)) {
        seen.set(name, Math.max(seen.get(name) ?? 0, value))
      }
      if (!cancelled) {
        const { json } = await service.call("GET", "/v1/deliveries?status=held")
        const one = json.data.find(
          ({ webhookId }: { webhookId: string }) => webhookId === paused.id
        )
        cancelled =
          one !== undefined &&
          (await service.call("POST", `/v1/deliveries/${one.id}/cancel`)).status === 200
      }
      return missing().length === 0 || performance.now() - begun > 90_000
    })
    assert.deepStrictEqual(missing(), [])
  })
})

/** A collector that keeps what it is sent, as JSON by path. */
const openCollector = async () => {
  const got: Array<{ readonly path: string; readonly text: string }> = []
  const collector = await inbox(({ body, headers, path }, response) => {
    got.push({ path, text: body.toString() + JSON.stringify(headers) })
    response.writeHead(200, { "content-type": "application/json" }).end("{}")
  })
  const spans = (): ReadonlyArray<Span> =>
    collector.received
      .filter(({ path }) => path === "/v1/traces")
      .flatMap(({ body }) => {
        const { resourceSpans }: Exported = JSON.parse(body.toString())
        return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((one) => one.spans))
      })
  return { ...collector, got, spans }
}

interface Span {
  readonly name: string
  readonly traceId: string
  readonly links: ReadonlyArray<{ readonly traceId: string }>
  readonly attributes: ReadonlyArray<{
    readonly key: string
    readonly value: { readonly stringValue?: string; readonly intValue?: number }
  }>
}

interface Exported {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
}

describe("a service with a collector", () => {
  const deliver = async (ratio: string) => {
    const collector = await openCollector()
    const receiver = await inbox()
    const service = await prepared({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-collector-key=for-the-collector",
        POSTHASTE_TRACE_RATIO: ratio
      }
    })
    await service.start()
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: `${receiver.url}/?token=canary-query`,
      headers: { "x-token": "canary-header" }
    })
    const { json: message } = await service.call("POST", "/v1/messages?canary-search", {
      type: "a.b",
      data: "canary-payload"
    })
    await until(() => receiver.received.length === 1)
    await service.call("POST", `/v1/webhooks/${webhook.id}/pause`)
    assert.strictEqual(await service.end("SIGTERM"), 0)
    const said = collector.got.map(({ text }) => text).join("\n")
    assert.notMatch(said, /canary/)
    assert.notInclude(said, adminKey)
    assert.notInclude(said, webhook.secret)
    assert.notInclude(JSON.stringify(receiver.received[0]!.headers), "traceparent")
    return { collector, message, said, webhook }
  }

  it("sends it metrics, lines, and the trace of a publish with its attempt linked", async () => {
    const { collector, message, said, webhook } = await deliver("1")
    const attribute = (span: Span, key: string) =>
      span.attributes.find((one) => one.key === key)?.value.stringValue
    const attempt = collector
      .spans()
      .find((span) => attribute(span, "posthaste.message") === message.id)
    const publish = collector
      .spans()
      .find((span) => attribute(span, "http.route") === "/v1/messages")
    assert.strictEqual(attempt?.name, "Lane.attempt")
    assert.strictEqual(attribute(attempt!, "posthaste.class"), "status_2xx")
    assert.strictEqual(attribute(attempt!, "posthaste.webhook"), webhook.id)
    assert.isDefined(publish)
    assert.notStrictEqual(attempt!.traceId, publish!.traceId)
    assert.deepStrictEqual(
      attempt!.links.map(({ traceId }) => traceId),
      [publish!.traceId]
    )
    assert.include(said, "posthaste_message_accepted_total")
    const up = /"name":"posthaste_store_up"(?:(?!"name":).)*"as(?:Int|Double)":"?1\b/s
    assert.match(said, up)
    assert.include(said, "webhook_paused")
    assert.include(said, "for-the-collector")
  })

  it("sends no trace where the share is nothing, and everything else", async () => {
    const { collector, said } = await deliver("0")
    assert.isEmpty(collector.spans())
    assert.include(said, "posthaste_message_accepted_total")
    assert.include(said, "webhook_paused")
  })
})

describe("the log of a service", () => {
  it("is one JSON object a line, and holds no key, secret, header, URL or payload", async () => {
    const service = await prepared({
      databaseUrl: await createDatabase(),
      env: { POSTHASTE_LOG_LEVEL: "debug", POSTHASTE_LOG_FORMAT: "json" }
    })
    await service.start()
    const receiver = await inbox((_, response) =>
      response.writeHead(503, { "x-canary": "canary-answer" }).end("canary-answer")
    )
    const { json: webhook } = await service.call("POST", "/v1/webhooks", {
      url: `${receiver.url}/canary-path?token=canary-query`,
      headers: { "x-token": "canary-header" },
      retry: "quick",
      circuit: { failures: 2, openMs: 1_000, openMsMax: 1_000 }
    })
    await service.call("POST", "/v1/messages", { type: "a.b", data: { secret: "canary-payload" } })
    await service.call("POST", "/v1/messages?canary-search=1", { type: "a b", data: "canary-bad" })
    await fetch(`${service.baseUrl}/v1/webhooks`, {
      headers: { authorization: "Bearer phk_canary-key" }
    })
    await until(() => linesOf(service).some(({ event }) => event === "delivery_exhausted"))
    await service.call("POST", `/v1/webhooks/${webhook.id}/pause`)
    await service.call("POST", `/v1/webhooks/${webhook.id}/resume`)
    await service.end("SIGTERM")
    const said = service.output()
    assert.notMatch(said, /canary/)
    for (const secret of [webhook.secret, adminKey, secretKeys]) assert.notInclude(said, secret)
    const lines = linesOf(service)
    for (const line of lines) {
      for (const name of ["timestamp", "level", "event", "message"]) assert.isString(line[name])
    }
    assert.includeMembers(
      lines.map(({ event }) => event),
      [
        "schema_migrated",
        "engine_owning",
        "attempt_made",
        "circuit_opened",
        "delivery_exhausted",
        "webhook_paused",
        "webhook_resumed"
      ]
    )
    const attempt = lines.find(({ event }) => event === "attempt_made")
    assert.deepInclude(attempt, { webhook: webhook.id, status: 503, attempt: 1, verdict: "again" })
  })
})
