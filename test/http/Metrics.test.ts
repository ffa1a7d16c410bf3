import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { Calls, layer as calls } from "./Calls.ts"

/** A registry of its own, so that other tests of the process count elsewhere. */
const alone = Layer.succeed(Metric.MetricRegistry, new Map())

describe("/metrics", () => {
  layer(Layer.provide(calls(), alone))((it) => {
    it.effect(
      "is open, in the form of Prometheus, and names routes and never what they lead to",
      () =>
        Effect.gen(function* () {
          const { call } = yield* Calls
          const { status } = yield* call("GET", "/v1/webhooks/wh_canary")
          assert.strictEqual(status, 404)
          yield* call("GET", "/canary/path?canary=1")
          yield* call("GET", "/v1/webhooks", { key: "phk_canary" })
          yield* call("GET", "/health/live", { key: null })
          const { headers, text } = yield* call("GET", "/metrics", { key: null })
          assert.strictEqual(
            headers.get("content-type"),
            "text/plain; version=0.0.4; charset=utf-8"
          )
          assert.notInclude(text, "canary")
          const counted = (labels: string) =>
            Number(
              new RegExp(
                `^posthaste_http_request_duration_seconds_count\\{${labels}\\} (\\d+)$`,
                "m"
              ).exec(text)?.[1]
            )
          assert.strictEqual(counted('method="GET",route="/v1/webhooks/:id",status="4xx"'), 1)
          assert.strictEqual(counted('method="GET",route="/v1/webhooks",status="4xx"'), 1)
          assert.strictEqual(counted('method="any",route="none",status="4xx"'), 1)
          assert.strictEqual(counted('method="GET",route="/health/live",status="2xx"'), 1)
          for (const line of text.trim().split("\n")) {
            assert.match(
              line,
              /^(?:# (?:HELP|TYPE) posthaste_\w+ .+|posthaste_\w+(?:\{.*\})? [\d.e+-]+)$/
            )
          }
        })
    )
  })
})
