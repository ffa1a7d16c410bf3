/**
 * Every setting of the service: name, type, default, meaning. Decoded once, at the start.
 *
 * A setting is an environment variable, `POSTHASTE_` and its name here in capitals. A wrong value
 * stops the start with one line that names the variable. No other file reads the environment, and no
 * service reads this one: `Server` turns settings into the options of layers.
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isOpenedSingly } from "./send/SpecialNetworks.ts"
import { parse as parseProxy } from "./send/wire/Proxy.ts"
import { parse as parseKeys, type RingKey } from "./store/RingKey.ts"
import { type Armed, parse as parseFailpoint } from "./telemetry/Failpoint.ts"

/** The settings, decoded. */
export interface Settings {
  readonly host: string
  readonly port: number
  /** Postgres 14 or later; none is embedded PGlite. */
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly dataDir: string
  readonly adminKey: Option.Option<Redacted.Redacted>
  /** What seals secrets at rest, the first one; all open them. */
  readonly secretKeys: Option.Option<ReadonlyArray<RingKey>>
  readonly allowHttp: boolean
  readonly allowNetworks: ReadonlyArray<string>
  readonly allowLinkLocal: boolean
  /** URL of a forward proxy that receivers are reached through. */
  readonly egressProxy: Option.Option<Redacted.Redacted>
  /** Days that settled messages are kept. */
  readonly retentionDays: number
  /** How long entries of the audit trail are kept. */
  readonly auditRetention: Duration.Duration
  readonly maxBodyBytes: number
  /** Connections of clients at once. */
  readonly maxConnections: number
  /** Requests of clients in progress at once. */
  readonly maxRequests: number
  readonly maxInFlight: number
  readonly maxInFlightPerAddress: number
  /** Webhooks that a tenant without a limit of its own may register. */
  readonly tenantMaxWebhooks: number
  /** Messages a second that such a tenant may publish; none is any number. */
  readonly tenantMessagesPerSecond: Option.Option<number>
  /** Attempts at once of one tenant; none is as many as there are. */
  readonly tenantMaxInFlight: Option.Option<number>
  readonly shutdownTimeout: Duration.Duration
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
  readonly logFormat: Option.Option<"json" | "logfmt" | "pretty">
  /** Where traces, metrics and log lines go besides; none keeps them here. */
  readonly otlpEndpoint: Option.Option<string>
  readonly otlpHeaders: Option.Option<Redacted.Redacted<Readonly<Record<string, string>>>>
  /** The share of traces that are sent there, 0 to 1. */
  readonly traceRatio: number
  /** For the command line: the service that it talks to, and with which key. */
  readonly url: Option.Option<string>
  readonly apiKey: Option.Option<Redacted.Redacted>
  /** For tests of Posthaste itself: the step at which this process kills itself. */
  readonly failpoint: Option.Option<Armed>
  /** Embedded database and a loopback host, nothing else said: only this machine reaches it. */
  readonly local: boolean
}

/** A value that cannot be used; `message` is the one line that the start stops with. */
export class SettingInvalid extends Schema.TaggedError<SettingInvalid>()("SettingInvalid", {
  message: Schema.String
}) {}

const loopbackHosts = new Set(["127.0.0.1", "::1", "localhost"])
const loopbackNetworks = ["127.0.0.0/8", "::1/128"]

const config = Config.all({
  host: Config.NonEmptyString("POSTHASTE_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.Port("POSTHASTE_PORT").pipe(Config.withDefault(8400)),
  databaseUrl: Config.option(Config.Redacted("POSTHASTE_DATABASE_URL")),
  dataDir: Config.NonEmptyString("POSTHASTE_DATA_DIR").pipe(Config.withDefault(".posthaste")),
  adminKey: Config.option(Config.Redacted("POSTHASTE_ADMIN_KEY")),
  secretKeys: Config.option(Config.Redacted("POSTHASTE_SECRET_KEYS")),
  allowHttp: Config.option(Config.Boolean("POSTHASTE_ALLOW_HTTP")),
  allowNetworks: Config.option(Config.String("POSTHASTE_ALLOW_NETWORKS")),
  allowLinkLocal: Config.Boolean("POSTHASTE_ALLOW_LINK_LOCAL").pipe(Config.withDefault(false)),
  egressProxy: Config.option(Config.Redacted("POSTHASTE_EGRESS_PROXY")),
  retentionDays: Config.Finite("POSTHASTE_RETENTION_DAYS").pipe(Config.withDefault(30)),
  auditRetention: Config.Duration("POSTHASTE_AUDIT_RETENTION").pipe(
    Config.withDefault(Duration.days(400))
  ),
  maxBodyBytes: Config.Int("POSTHASTE_MAX_BODY_BYTES").pipe(Config.withDefault(262_144)),
  maxConnections: Config.Int("POSTHASTE_MAX_CONNECTIONS").pipe(Config.withDefault(4_096)),
  maxRequests: Config.Int("POSTHASTE_MAX_REQUESTS").pipe(Config.withDefault(1_024)),
  maxInFlight: Config.Int("POSTHASTE_MAX_IN_FLIGHT").pipe(Config.withDefault(512)),
  maxInFlightPerAddress: Config.Int("POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS").pipe(
    Config.withDefault(512)
  ),
  tenantMaxWebhooks: Config.Int("POSTHASTE_TENANT_MAX_WEBHOOKS").pipe(Config.withDefault(1_000)),
  tenantMessagesPerSecond: Config.option(Config.Int("POSTHASTE_TENANT_MESSAGES_PER_SECOND")),
  tenantMaxInFlight: Config.option(Config.Int("POSTHASTE_TENANT_MAX_IN_FLIGHT")),
  shutdownTimeout: Config.Duration("POSTHASTE_SHUTDOWN_TIMEOUT").pipe(
    Config.withDefault(Duration.seconds(30))
  ),
  logLevel: Config.Literals(["debug", "info", "warn", "error"], "POSTHASTE_LOG_LEVEL").pipe(
    Config.withDefault("info" as const)
  ),
  logFormat: Config.option(Config.Literals(["json", "logfmt", "pretty"], "POSTHASTE_LOG_FORMAT")),
  otlpEndpoint: Config.option(Config.NonEmptyString("OTEL_EXPORTER_OTLP_ENDPOINT")),
  otlpHeaders: Config.option(Config.Redacted("OTEL_EXPORTER_OTLP_HEADERS")),
  traceRatio: Config.Finite("POSTHASTE_TRACE_RATIO").pipe(Config.withDefault(0.01)),
  url: Config.option(Config.NonEmptyString("POSTHASTE_URL")),
  apiKey: Config.option(Config.Redacted("POSTHASTE_API_KEY")),
  failpoint: Config.option(Config.String("POSTHASTE_FAILPOINT"))
})

/** Reads the settings from the environment. */
export const load: Effect.Effect<Settings, SettingInvalid> = Effect.gen(function* () {
  const raw = yield* config
  const allowNetworks = Option.map(raw.allowNetworks, (text) =>
    text
      .split(",")
      .map((network) => network.trim())
      .filter((network) => network !== "")
  )
  for (const network of Option.getOrElse(allowNetworks, () => [])) {
    const parsed = IpNetwork.fromString(network)
    if (Result.isFailure(parsed)) {
      return yield* new SettingInvalid({
        message: `POSTHASTE_ALLOW_NETWORKS: expected networks such as 10.0.0.0/8, got "${network}"`
      })
    }
    const isSingle = parsed.success.prefixLength === NetAddress.width(parsed.success.address)
    if (isOpenedSingly(parsed.success) && !(raw.allowLinkLocal && isSingle)) {
      return yield* new SettingInvalid({
        message:
          `POSTHASTE_ALLOW_NETWORKS: ${network} is link-local or cloud metadata, which ` +
          "POSTHASTE_ALLOW_LINK_LOCAL=true opens, one address (/32 or /128) at a time"
      })
    }
  }
  if (!(raw.retentionDays > 0 && raw.retentionDays <= 36_500)) {
    return yield* new SettingInvalid({
      message: "POSTHASTE_RETENTION_DAYS: expected days, 36500 at most"
    })
  }
  const auditDays = Duration.toDays(raw.auditRetention)
  if (!(auditDays >= 1 && auditDays <= 36_500)) {
    return yield* new SettingInvalid({
      message: "POSTHASTE_AUDIT_RETENTION: expected 1 day to 36500 days"
    })
  }
  for (const [name, value, most] of [
    ["POSTHASTE_MAX_BODY_BYTES", raw.maxBodyBytes, 16 * 1_048_576],
    ["POSTHASTE_MAX_CONNECTIONS", raw.maxConnections, 1_048_576],
    ["POSTHASTE_MAX_REQUESTS", raw.maxRequests, 65_536],
    ["POSTHASTE_MAX_IN_FLIGHT", raw.maxInFlight, 65_536],
    ["POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS", raw.maxInFlightPerAddress, 65_536],
    ["POSTHASTE_TENANT_MAX_WEBHOOKS", raw.tenantMaxWebhooks, 1_000_000],
    [
      "POSTHASTE_TENANT_MESSAGES_PER_SECOND",
      Option.getOrElse(raw.tenantMessagesPerSecond, () => 1),
      1_000_000
    ],
    ["POSTHASTE_TENANT_MAX_IN_FLIGHT", Option.getOrElse(raw.tenantMaxInFlight, () => 1), 65_536]
  ] as const) {
    if (value >= 1 && value <= most) continue
    return yield* new SettingInvalid({ message: `${name}: expected 1 to ${most}` })
  }
  const proxy = Option.map(raw.egressProxy, (url) => parseProxy(Redacted.value(url)))
  if (Option.isSome(proxy) && Result.isFailure(proxy.value)) {
    return yield* new SettingInvalid({
      message: `POSTHASTE_EGRESS_PROXY: ${proxy.value.failure}`
    })
  }
  const adminKey = Option.map(raw.adminKey, Redacted.value)
  if (Option.isSome(adminKey) && adminKey.value.length < 24) {
    return yield* new SettingInvalid({
      message: "POSTHASTE_ADMIN_KEY: expected at least 24 characters"
    })
  }
  const secretKeys = Option.map(raw.secretKeys, (keys) => parseKeys(Redacted.value(keys)))
  if (Option.isSome(secretKeys) && Result.isFailure(secretKeys.value)) {
    return yield* new SettingInvalid({
      message: `POSTHASTE_SECRET_KEYS: ${secretKeys.value.failure}`
    })
  }
  if (Option.exists(raw.otlpEndpoint, (url) => !/^https?:\/\//.test(url) || !URL.canParse(url))) {
    return yield* new SettingInvalid({
      message: "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL such as http://collector:4318"
    })
  }
  if (raw.traceRatio < 0 || raw.traceRatio > 1) {
    return yield* new SettingInvalid({ message: "POSTHASTE_TRACE_RATIO: expected 0 to 1" })
  }
  const otlpHeaders = Option.map(raw.otlpHeaders, (text) => headersOf(Redacted.value(text)))
  if (Option.exists(otlpHeaders, (headers) => headers === null)) {
    return yield* new SettingInvalid({
      message: "OTEL_EXPORTER_OTLP_HEADERS: expected name=value,name=value"
    })
  }
  const failpoint = Option.map(raw.failpoint, parseFailpoint)
  if (Option.exists(failpoint, (armed) => armed === undefined)) {
    return yield* new SettingInvalid({
      message:
        "POSTHASTE_FAILPOINT: expected the name of a step, it is for tests that kill the process"
    })
  }
  const local = Option.isNone(raw.databaseUrl) && loopbackHosts.has(raw.host)
  return {
    ...raw,
    local,
    secretKeys: Option.flatMap(secretKeys, Result.getSuccess),
    otlpHeaders: Option.map(otlpHeaders, (headers) => Redacted.make(headers ?? {})),
    failpoint: Option.filter(failpoint, (armed) => armed !== undefined),
    allowHttp: Option.getOrElse(raw.allowHttp, () => local),
    allowNetworks: Option.getOrElse(allowNetworks, () => (local ? loopbackNetworks : [])),
    logLevel: logLevels[raw.logLevel]
  }
}).pipe(
  Effect.catchTag("ConfigError", (error) =>
    Effect.fail(new SettingInvalid({ message: oneLine(error.message) }))
  )
)

/** Reads headers in the form of OpenTelemetry's specification; null when they have another. */
const headersOf = (text: string): Readonly<Record<string, string>> | null => {
  const pairs = text
    .split(",")
    .filter((pair) => pair.trim() !== "")
    .map((pair) => /^\s*([\w-]+)=(.*?)\s*$/.exec(pair))
  if (pairs.some((pair) => pair === null)) return null
  return Object.fromEntries(pairs.map((pair) => [pair![1], decoded(pair![2]!)]))
}

const decoded = (text: string): string =>
  /%(?![0-9a-f]{2})/i.test(text) ? text : decodeURIComponent(text)

const logLevels = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const

/** Turns `Expected a number at ["POSTHASTE_PORT"]` round, so that the name comes first. */
const oneLine = (text: string): string => {
  const plain = text.replaceAll(/\s+/g, " ").trim()
  const parts = /Expected (.*) at \["(\w+)"\]/.exec(plain)
  return parts === null ? plain : `${parts[2]}: expected ${parts[1]}`
}
