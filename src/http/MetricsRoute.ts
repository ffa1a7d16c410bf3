/**
 * Serves the metrics to Prometheus at `/metrics`. No key is needed: they name no webhook, tenant or
 * URL.
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { Census } from "../store/Census.ts"
import { show } from "../telemetry/Instruments.ts"

/** The route, in the text format that every version of Prometheus reads. */
export const MetricsRoute = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const census = yield* Census
    yield* show
    yield* router.add(
      "GET",
      "/metrics",
      Effect.gen(function* () {
        yield* census.refresh
        return HttpServerResponse.text(yield* PrometheusMetrics.format(), { contentType })
      })
    )
  })
)

const contentType = "text/plain; version=0.0.4; charset=utf-8"
