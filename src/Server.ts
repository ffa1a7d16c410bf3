/**
 * The service as one Layer: the engine, its doors and its telemetry, chosen by settings.
 *
 * ```
 * Server scope
 * ├─ HTTP API         refuses new requests first
 * ├─ Lanes            attempts in flight are settled
 * ├─ Database
 * └─ Port             listens first, and stands by until there is an API
 * ```
 *
 * Ending is the closing of this scope, from the top of the drawing to the bottom.
 */
import {
  Console,
  Context,
  Duration,
  Effect,
  FileSystem,
  Layer,
  Option,
  Path,
  Redacted,
  References,
  Schedule,
  Stream
} from "effect"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Dashboard from "./dashboard/Dashboard.ts"
import * as Engine from "./Engine.ts"
import { operator } from "./domain/AuditEntry.ts"
import { version } from "./domain/Version.ts"
import * as Http from "./http/Http.ts"
import * as InProcess from "./http/InProcess.ts"
import { Standby } from "./http/Standby.ts"
import type { LanesOptions } from "./send/Lanes.ts"
import { SettingInvalid, type Settings } from "./Settings.ts"
import { Acting } from "./store/Acting.ts"
import { Census } from "./store/Census.ts"
import { Database } from "./store/Database.ts"
import { type DeliveryChange, DeliveryLog } from "./store/DeliveryLog.ts"
import * as KeyFile from "./store/KeyFile.ts"
import { KeyRing } from "./store/KeyRing.ts"
import { Patience } from "./store/Ownership.ts"
import { TenantRepo } from "./store/TenantRepo.ts"
import { arm, reach } from "./telemetry/Failpoint.ts"
import * as Logging from "./telemetry/Logging.ts"
import * as Otlp from "./telemetry/Otlp.ts"

/** The whole service. Fails when the database cannot be opened or the port is taken. */
export const layer = (settings: Settings) =>
  Layer.effectDiscard(announce(settings)).pipe(
    Layer.provideMerge(layerDoors({ maxBodyBytes: settings.maxBodyBytes })),
    Layer.provideMerge(layerReadings(settings)),
    // Before the first request can come: whoever finds the service ready finds the key.
    Layer.provideMerge(FirstStart.layer(settings)),
    Layer.provideMerge(layerEngine(settings)),
    // Listens before anything else, so that an engine that stands by can say so.
    Layer.provideMerge(
      Http.layerNode({
        host: settings.host,
        port: settings.port,
        gracefulShutdownTimeout: Duration.times(settings.shutdownTimeout, 0.3),
        maxBodyBytes: settings.maxBodyBytes,
        connectionsMax: settings.maxConnections,
        requestsMax: settings.maxRequests
      })
    ),
    Layer.provide(layerTelemetry(settings))
  )

/** What is served: the API, and the dashboard that uses it. */
const layerDoors = (options: Http.HttpOptions) =>
  Http.serve(Layer.merge(Http.routes(options), Dashboard.layer), options)

/**
 * A client of the API that runs in this process, over the database that the settings name. Nothing is
 * sent by it, and it fails when another engine owns the deliveries.
 */
export const clientInProcess = (settings: Settings) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      layerBatch(settings, { attemptsMax: 0 }).pipe(
        Layer.provideMerge(NodeHttpServer.layerHttpServices)
      )
    )
    const { maxBodyBytes } = settings
    return yield* InProcess.client({ maxBodyBytes }).pipe(Effect.provideContext(context))
  })

/**
 * The engine as a command runs it: at once or not at all, quietly, and for so many attempts; `onAttempt`
 * is told of each that is written.
 */
export const layerBatch = (
  settings: Settings,
  lanes: LanesOptions,
  onAttempt?: (change: DeliveryChange) => void
) =>
  Layer.effectDiscard(Effect.flatMap(TenantRepo, ({ ensureDefault }) => ensureDefault)).pipe(
    Layer.provideMerge(layerEngine(settings, lanes, onAttempt)),
    Layer.provide([
      Standby.layer,
      Layer.succeed(Patience, "fail"),
      layerLogging({ ...settings, logLevel: "Warn" }, "error")
    ])
  )

/** Tells of every attempt, from before the first one is made. */
const layerAttempts = (onAttempt: (change: DeliveryChange) => void) =>
  Layer.effectDiscard(
    Effect.flatMap(DeliveryLog, (log) =>
      Stream.runForEach(log.changes, (change) => Effect.sync(() => onAttempt(change))).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
    )
  )

/** The engine of the service, without its doors. */
const layerEngine = (
  settings: Settings,
  lanes: LanesOptions = {},
  onAttempt?: (change: DeliveryChange) => void
) =>
  Engine.layer({
    publisher: { bodyBytesMax: settings.maxBodyBytes },
    lanes: {
      ...lanes,
      inFlightMax: settings.maxInFlight,
      tenantInFlightMax: Option.getOrElse(settings.tenantMaxInFlight, () => settings.maxInFlight),
      drainMs: Duration.toMillis(settings.shutdownTimeout) * 0.6
    },
    sender: {
      addressInFlightMax: settings.maxInFlightPerAddress,
      proxy: Option.getOrNull(settings.egressProxy)
    },
    addresses: {
      allowHttp: settings.allowHttp,
      allowNetworks: settings.allowNetworks,
      allowLinkLocal: settings.allowLinkLocal
    }
  }).pipe(
    Layer.provideMerge(onAttempt === undefined ? Layer.empty : layerAttempts(onAttempt)),
    Layer.provideMerge(
      Engine.layerStores({
        retention: { days: settings.retentionDays },
        upkeep: { auditKept: settings.auditRetention },
        limits: {
          webhooks: settings.tenantMaxWebhooks,
          messagesPerSecond: Option.getOrNull(settings.tenantMessagesPerSecond)
        }
      })
    ),
    Layer.provide(layerKeyRing(settings)),
    Layer.provideMerge(
      Layer.effectDiscard(
        Effect.gen(function* () {
          yield* (yield* Standby).opened
          reach("database.opened")
          yield* Effect.addFinalizer(() => Effect.sync(() => reach("shutdown.closing")))
        })
      )
    ),
    Layer.provideMerge(layerDatabase(settings))
  )

type Ground = ReturnType<typeof Database.layerEmbedded> | ReturnType<typeof Database.layerPostgres>

/** The database that the settings name. */
export const layerDatabase = (
  settings: Settings
): Layer.Layer<Layer.Success<Ground>, Layer.Error<Ground>> => {
  const ground: Layer.Layer<Layer.Success<Ground>, Layer.Error<Ground>> = Option.match(
    settings.databaseUrl,
    {
      onNone: (): Ground => Database.layerEmbedded({ dataDir: settings.dataDir }),
      onSome: (url) => Database.layerPostgres({ url })
    }
  )
  return Option.match(settings.failpoint, {
    onNone: () => ground,
    // Before anything is touched that a test may want to see half done.
    onSome: (failpoint) => ground.pipe(Layer.provide(Layer.effectDiscard(arm(failpoint))))
  })
}

/**
 * The key ring that the settings name.
 *
 * **Details**
 *
 * An embedded database keeps one in its data directory, made at the first start. Its keys still open
 * what they have sealed when the settings name others. It needs the directory's lock, and so the
 * database.
 */
export const layerKeyRing = (settings: Settings) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { kind } = yield* Database
      const given = Option.getOrElse(settings.secretKeys, () => [])
      if (kind === "postgres") {
        return given.length === 0 ? yield* keysNeeded : KeyRing.layer({ keys: given })
      }
      const found = yield* KeyFile.read(settings.dataDir)
      const keys = KeyFile.joined(given, found)
      if (keys.length > 0) return KeyRing.layer({ keys })
      yield* KeyFile.make(settings.dataDir)
      return KeyRing.layer({ keys: yield* KeyFile.read(settings.dataDir) })
    })
  )

const keysNeeded = new SettingInvalid({
  message:
    "POSTHASTE_SECRET_KEYS: needed with Postgres, to encrypt secrets; make a key, and keep it, with " +
    `node -p "'k1:'+crypto.randomBytes(32).toString('base64')"`
})

/** Log lines as the settings ask for them: pretty on a terminal, else JSON. */
const layerLogging = (settings: Settings, to: "output" | "error" = "output") =>
  Logging.layer({
    to,
    format: Option.getOrElse(settings.logFormat, () => (process.stdout.isTTY ? "pretty" : "json")),
    level: settings.logLevel
  })

/** Log lines here, and everything at a collector besides, where there is one. */
const layerTelemetry = (settings: Settings) =>
  Option.match(settings.otlpEndpoint, {
    // Spans that nobody exports are not even begun.
    onNone: () =>
      Layer.merge(layerLogging(settings), Layer.succeed(References.TracerEnabled, false)),
    onSome: (endpoint) =>
      Otlp.layer({
        endpoint,
        headers: Option.getOrElse(settings.otlpHeaders, () => Redacted.make({})),
        traceRatio: settings.traceRatio
      }).pipe(Layer.provideMerge(layerLogging(settings)))
  })

/** Reads for the collector what Prometheus would have read by asking. */
const layerReadings = (settings: Settings) =>
  Layer.effectDiscard(
    Effect.flatMap(Census, ({ refresh }) =>
      Option.isNone(settings.otlpEndpoint)
        ? Effect.void
        : Effect.forkScoped(Effect.repeat(refresh, Schedule.spaced("10 seconds")))
    )
  )

/** Says where everything is, once it is there. */
const announce = (settings: Settings) =>
  Effect.gen(function* () {
    const database = yield* Database
    const { adminKey } = yield* FirstStart
    const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host
    const base = `http://${host}:${settings.port}`
    const ground =
      database.kind === "pglite"
        ? `embedded in ${settings.dataDir}: survives a kill, not a power cut`
        : "Postgres"
    const lines = [
      `Posthaste ${version}`,
      `  listening   ${base}`,
      `  dashboard   ${base}/`,
      `  docs        ${base}/docs`,
      `  database    ${ground}`,
      ...(settings.local || settings.allowNetworks.length === 0
        ? []
        : [`  allowed     receivers in ${settings.allowNetworks.join(", ")}`]),
      ...Option.match(settings.egressProxy, {
        onNone: () => [],
        // Host and port alone: the rest of the URL may be a password.
        onSome: (url) => [`  proxy       ${new URL(Redacted.value(url)).host}`]
      }),
      ...(adminKey === null ? [] : [`  admin key   ${adminKey}`])
    ]
    yield* Console.log(lines.join("\n"))
  })

/** What the first start made, or found made: the default tenant and the admin key. */
class FirstStart extends Context.Service<
  FirstStart,
  {
    /** How people are told of the admin key, or null when nobody here knows it. */
    readonly adminKey: string | null
  }
>()("posthaste/Server/FirstStart") {
  static readonly layer = (settings: Settings) =>
    Layer.effect(
      FirstStart,
      Effect.gen(function* () {
        yield* (yield* TenantRepo).ensureDefault
        reach("firststart.tenant")
        return FirstStart.of({ adminKey: yield* adminKey(settings) })
      })
    )
}

/**
 * Makes the first admin key, or takes the one from the settings.
 *
 * **Details**
 *
 * A made key is kept in the data directory, readable for its owner only, and stored after that: a
 * start that is ended between the two finds it there, so there is never a key that nobody knows. It is
 * printed in local mode, where only this machine reaches the service. Where every admin key is past
 * its end, a start makes another one.
 */
const adminKey = Effect.fnUntraced(function* (settings: Settings) {
  const tenants = yield* TenantRepo
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(settings.dataDir, "admin-key")
  const take = (key: Redacted.Redacted, name: string) =>
    tenants
      .importKey({ key, tenantId: null, name, scopes: ["admin"] })
      .pipe(Effect.provideService(Acting, { actor: operator, ip: null, requestId: null }))
  if (Option.isSome(settings.adminKey)) {
    yield* take(settings.adminKey.value, "POSTHASTE_ADMIN_KEY")
    return "as set by POSTHASTE_ADMIN_KEY"
  }
  const kept = Effect.map(fs.readFileString(file).pipe(Effect.orElseSucceed(() => "")), (text) =>
    text.trim()
  )
  if ((yield* tenants.adminKeys) === 0 && (yield* kept) !== "") {
    yield* take(Redacted.make(yield* kept), "first admin key")
  }
  if ((yield* tenants.adminKeys) === 0) {
    const key = yield* tenants.newKey
    const fresh = `${file}.new`
    yield* fs.makeDirectory(settings.dataDir, { recursive: true, mode: 0o700 })
    yield* fs.writeFileString(fresh, `${Redacted.value(key)}\n`, { mode: 0o600 })
    reach("firststart.key_written")
    yield* fs.rename(fresh, file)
    reach("firststart.key_placed")
    yield* take(key, "first admin key")
    reach("firststart.key_taken")
  }
  const key = yield* kept
  // One that was revoked since would only mislead.
  if (Option.isNone(yield* tenants.authenticate(Redacted.make(key)))) return null
  return settings.local ? key : `in ${file}`
})
