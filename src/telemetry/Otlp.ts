/**
 * Sends traces, metrics and log lines to a collector that speaks OTLP over HTTP.
 *
 * Promises: a trace is sampled where it begins, and what belongs to it follows; what leaves in a span
 * is on a list, so that no header, query or URL does; a collector that is away costs what waits for
 * it, within a bound, and nothing else.
 *
 * Leaves to others: whether there is a collector at all. Without this layer nothing of it runs.
 */
import { Effect, Layer, Logger, Random, Redacted, Tracer } from "effect"
import { FetchHttpClient } from "effect/http"
import {
  OtlpExporter,
  OtlpLogger,
  OtlpMetrics,
  OtlpSerialization,
  OtlpTracer
} from "effect/observability"
import { version } from "../domain/Version.ts"
import { throttled } from "./Logging.ts"
import * as SafeSpan from "./SafeSpan.ts"
import * as Traces from "./Traces.ts"

/** Where telemetry goes, and how much of it. */
export interface OtlpOptions {
  /** The collector's address, without `/v1/…`. */
  readonly endpoint: string
  /** Headers of each request to it, such as a key. */
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** The share of traces that are kept, 0 to 1. */
  readonly traceRatio: number
  /** How often metrics are sent, in milliseconds. 10,000 by default. */
  readonly metricsEveryMs?: number
}

/** Exports everything for as long as the scope is open; what is left is sent at its end. */
export const layer = (options: OtlpOptions) => {
  const to = (path: string) => ({
    url: `${options.endpoint.replace(/\/+$/, "")}/v1/${path}`,
    resource: { serviceName: "posthaste", serviceVersion: version },
    headers: Redacted.value(options.headers)
  })
  const tracer = Layer.effect(
    Tracer.Tracer,
    Effect.gen(function* () {
      const exported = yield* OtlpTracer.make(to("traces"))
      return sampled(SafeSpan.only(exported), options.traceRatio, yield* Random.Random)
    })
  )
  const logger = Logger.layer([Effect.map(OtlpLogger.make(to("logs")), throttled)], {
    mergeWithExisting: true
  })
  const metrics = OtlpMetrics.layer({
    ...to("metrics"),
    exportInterval: options.metricsEveryMs ?? 10_000
  })
  return Layer.mergeAll(tracer, logger, metrics, Traces.layer(options.traceRatio)).pipe(
    Layer.provideMerge(OtlpExporter.layerFlusher),
    Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
  )
}

/** Decides about each trace where it begins. An attempt's span has been decided about already. */
const sampled = (
  tracer: Tracer.Tracer,
  ratio: number,
  random: typeof Random.Random.Service
): Tracer.Tracer =>
  Tracer.make({
    ...tracer,
    span: (options) =>
      tracer.span(
        options.parent._tag === "Some" || options.name === Traces.attemptName
          ? options
          : { ...options, sampled: options.sampled && random.nextDoubleUnsafe() < ratio }
      )
  })
