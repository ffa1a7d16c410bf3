/**
 * The HTTP API as one Layer: routes, documentation, and the server that carries them.
 *
 * Promises: every answer that is not a success is a problem; a body over the limit is refused before
 * it is parsed; what is in progress at once is bounded, and beyond that refused unread; a client that
 * sends its headers or its body too slowly is cut off; at shutdown new connections are refused first
 * and requests in flight are finished, within a bound.
 *
 * Leaves to others: the work itself (the services that the handlers name), TLS and rate limits.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Clock, Duration, Effect, Layer, Scheduler } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Authorization } from "../api/Authorization.ts"
import { JsonBody } from "../api/JsonBody.ts"
import { RequestProblems } from "../api/Problems.ts"
import { RawBody } from "../api/RawBody.ts"
import { Publisher } from "../publish/Publisher.ts"
import { DeliveryLog } from "../store/DeliveryLog.ts"
import { MessageRepo } from "../store/MessageRepo.ts"
import { AuditHandlers } from "./AuditHandlers.ts"
import { AuthorizationLayer } from "./AuthorizationLayer.ts"
import { answerClientErrors } from "./ClientErrors.ts"
import { DeliveriesHandlers } from "./DeliveriesHandlers.ts"
import { DeliveryStream, type DeliveryStreamOptions } from "./DeliveryStream.ts"
import { Docs } from "./Docs.ts"
import { Draining } from "./Draining.ts"
import { Edge } from "./Edge.ts"
import { HoldHandlers } from "./HoldHandlers.ts"
import { Intake } from "./Intake.ts"
import { EventTypesHandlers } from "./EventTypesHandlers.ts"
import { JsonBodyLayer } from "./JsonBodyLayer.ts"
import * as Lean from "./Lean.ts"
import { MessagesHandlers } from "./MessagesHandlers.ts"
import { MetricsRoute } from "./MetricsRoute.ts"
import { RawBodyLayer } from "./RawBodyLayer.ts"
import { Standby } from "./Standby.ts"
import { RedeliveriesHandlers } from "./RedeliveriesHandlers.ts"
import { RequestProblemsLayer } from "./RequestProblemsLayer.ts"
import { StatsHandlers } from "./StatsHandlers.ts"
import { SystemHandlers } from "./SystemHandlers.ts"
import { TenantsHandlers } from "./TenantsHandlers.ts"
import { TrialsHandlers } from "./TrialsHandlers.ts"
import { WebhooksHandlers } from "./WebhooksHandlers.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import * as Metrics from "../telemetry/Metrics.ts"

/** What the API takes. */
export interface HttpOptions {
  /** The largest `data` of a message, in bytes. 262,144 by default. */
  readonly maxBodyBytes?: number
  /** The bounds of streams of what happens. */
  readonly streams?: DeliveryStreamOptions
  /** Requests with invalid keys that one address may make in a minute. 60 by default. */
  readonly failedAuthMax?: number
}

/** Where and how patiently the server listens. */
export interface HttpServerOptions extends HttpOptions {
  /** `127.0.0.1` by default. */
  readonly host?: string
  /** 8400 by default; 0 takes any free port. */
  readonly port?: number
  /** How long requests in flight may take at shutdown. 10 seconds by default. */
  readonly gracefulShutdownTimeout?: Duration.Input
  /** How long a client may take to send its headers. 10 seconds by default. */
  readonly headersTimeout?: Duration.Input
  /** How long a client may take to send its whole request. 30 seconds by default. */
  readonly requestTimeout?: Duration.Input
  /** Connections at once; those beyond are closed. 4,096 by default. */
  readonly connectionsMax?: number
  /** Requests in progress at once; those beyond are answered 503. 1,024 by default. */
  readonly requestsMax?: number
}

/** The routes of the API and its documentation, for a router that other doors may add to. */
export const routes = (options: HttpOptions = {}) =>
  routesFor(AuthorizationLayer({ failuresMax: options.failedAuthMax }), options)

/** The same routes, for callers that are told apart in another way than by their keys. */
export const routesFor = <E, R>(
  authorization: Layer.Layer<Authorization, E, R>,
  options: HttpOptions = {}
) => {
  const { maxBodyBytes = defaultMaxBodyBytes } = options
  return Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([
        WebhooksHandlers,
        // Publishing is the hot path.
        MessagesHandlers({ maxBodyBytes }).pipe(
          Lean.only(
            Publisher,
            MessageRepo,
            DeliveryLog,
            WebhookRepo,
            Authorization,
            RequestProblems,
            JsonBody,
            RawBody
          )
        ),
        DeliveriesHandlers,
        RedeliveriesHandlers,
        EventTypesHandlers,
        TenantsHandlers,
        HoldHandlers,
        AuditHandlers,
        TrialsHandlers,
        StatsHandlers,
        SystemHandlers
      ]),
      Layer.provide([
        authorization,
        RequestProblemsLayer,
        JsonBodyLayer,
        RawBodyLayer,
        DeliveryStream.layer(options.streams)
      ])
    ),
    Docs,
    MetricsRoute,
    Edge
  )
}

/** Serves routes, whatever door they belong to, on the `HttpServer` that is provided. */
export const serve = <A, E, R>(doors: Layer.Layer<A, E, R>, options: HttpOptions = {}) =>
  Draining.layerAtEnd.pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(HttpRouter.toHttpEffect(doors), (app) => Lean.without(HttpServer.serve(app)))
      )
    ),
    Layer.provideMerge(Draining.layer),
    Layer.provide([
      // A uid has up to 256 characters, each of which may come percent-encoded.
      Layer.succeed(HttpRouter.RouterConfig, { maxParamLength: 1_024 }),
      Layer.succeed(
        HttpIncomingMessage.MaxBodySize,
        ByteSize.bytes((options.maxBodyBytes ?? defaultMaxBodyBytes) + envelopeBytes)
      )
    ])
  )

/** The API on the `HttpServer` that is provided. */
export const layer = (options: HttpOptions = {}) => serve(routes(options), options)

/**
 * A server of Node, listening and standing by until something is served on it. Fails when the address
 * is taken.
 */
export const layerNode = (options: HttpServerOptions = {}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { attach } = yield* Standby
      const context = yield* Effect.context<never>()
      const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
      const clock = yield* Clock.Clock
      return NodeHttpServer.layer(
        () =>
          attach(
            answerClientErrors(
              new Intake(
                {
                  headersTimeout: Duration.toMillis(options.headersTimeout ?? "10 seconds"),
                  requestTimeout: Duration.toMillis(options.requestTimeout ?? "30 seconds"),
                  keepAliveTimeout: keepAliveMs,
                  connectionsCheckingInterval: checkingMs,
                  maxHeaderSize: headerBytesMax
                },
                {
                  connectionsMax: options.connectionsMax,
                  requestsMax: options.requestsMax,
                  bodyBytesMax: (options.maxBodyBytes ?? defaultMaxBodyBytes) + envelopeBytes,
                  onRefused: () => Metrics.httpRefused.updateUnsafe(1, context),
                  now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
                  nextTurn: (task) => dispatcher.scheduleTask(task, 0)
                }
              )
            )
          ),
        {
          host: options.host ?? "127.0.0.1",
          port: options.port ?? 8_400,
          gracefulShutdownTimeout: options.gracefulShutdownTimeout ?? "10 seconds"
        }
      )
    })
  ).pipe(Layer.provideMerge(Standby.layer))

const defaultMaxBodyBytes = 262_144

/** What a publish may say besides `data`. */
const envelopeBytes = 16_384

/**
 * How long a connection may rest, in milliseconds: longer than the minute that load balancers keep
 * theirs, so that it is they who end it, and no request meets an end that is under way.
 */
const keepAliveMs = 75_000

/** All headers of a request together. */
const headerBytesMax = 16_384

/** How often Node looks for connections that are past a timeout. */
const checkingMs = 1_000
