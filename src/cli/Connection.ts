/**
 * How the command line reaches Posthaste: over HTTP where a service answers, and else through the
 * database itself, with the same endpoints run in this process. So a word means the same either way.
 *
 * ```
 * --url or POSTHASTE_URL ──► that service
 * neither ──► the one of the settings, if it answers ──► else the database, if nobody owns it
 * ```
 *
 * Nothing here is loaded before a word needs it: `--help` and `--version` start without it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ApiClient from "../api/ApiClient.ts"
import { load, type Settings } from "../Settings.ts"
import { Target } from "./Target.ts"

/** Reports that no service answers where one was expected. */
export class ServiceUnreachable extends Schema.TaggedError<ServiceUnreachable>()(
  "ServiceUnreachable",
  { url: Schema.String, detail: Schema.String }
) {
  /** Names the address and what went wrong there. */
  override get message(): string {
    return `no Posthaste answers at ${this.url}: ${this.detail}`
  }
}

/** Reports that there is no key to enter the service with. */
export class KeyMissing extends Schema.TaggedError<KeyMissing>()("KeyMissing", {
  url: Schema.String
}) {
  /** Says where a key may be given. */
  override get message(): string {
    return `no key for ${this.url}: give --api-key or POSTHASTE_API_KEY`
  }
}

/** Connects, and answers a client that lives as long as the scope. */
export const connect = Effect.gen(function* () {
  const { isNamed, settings, url } = yield* place
  const answered = yield* Effect.result(reach(url))
  if (Result.isSuccess(answered)) return yield* remote(settings, url)
  return isNamed ? yield* Effect.fail(answered.failure) : yield* direct(settings)
})

/** Connects to a service that runs. */
export const connectToService = Effect.gen(function* () {
  const { settings, url } = yield* place
  yield* reach(url)
  return yield* remote(settings, url)
})

const place = Effect.gen(function* () {
  const target = yield* Target
  const settings = yield* load
  const named = Option.orElse(target.url, () => settings.url)
  const url = Option.getOrElse(named, () => urlOf(settings))
  return { settings, url, isNamed: Option.isSome(named) }
})

const remote = (settings: Settings, url: string) =>
  Effect.flatMap(keyFor(settings, url), (key) => client(url, key)).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

/** Where the service of these settings listens. */
export const urlOf = ({ host, port }: Settings): string => {
  const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  return `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`
}

/** Asks whether a service lives at an address. */
export const reach = (url: string): Effect.Effect<void, ServiceUnreachable> =>
  HttpClient.get(new URL("/health/live", url)).pipe(
    Effect.timeout("5 seconds"),
    Effect.flatMap(({ status }) =>
      status === 200 ? Effect.void : Effect.fail({ message: `/health/live answered ${status}` })
    ),
    Effect.mapError(({ message }) => new ServiceUnreachable({ url, detail: message })),
    Effect.provide(FetchHttpClient.layer)
  )

const client = Effect.fnUntraced(function* (baseUrl: string, key: Redacted.Redacted) {
  const { tenant } = yield* Target
  return yield* ApiClient.make({
    baseUrl,
    key,
    ...Option.match(tenant, { onNone: () => ({}), onSome: (tenant) => ({ tenant }) })
  })
})

/** Finds the key: as a flag, in the environment, or where the first start has left it. */
const keyFor = Effect.fnUntraced(function* (settings: Settings, url: string) {
  const target = yield* Target
  const given = Option.orElse(target.key, () => settings.apiKey).pipe(
    Option.orElse(() => settings.adminKey)
  )
  if (Option.isSome(given)) return given.value
  const fs = yield* FileSystem.FileSystem
  const file = (yield* Path.Path).join(settings.dataDir, "admin-key")
  return yield* fs.readFileString(file).pipe(
    Effect.map((text) => Redacted.make(text.trim())),
    Effect.mapError(() => new KeyMissing({ url }))
  )
})

/** Opens the database itself. Whoever can do that needs no key, and any tenant may be named. */
const direct = Effect.fnUntraced(function* (settings: Settings) {
  const Server = yield* Effect.promise(() => import("../Server.ts"))
  const http = yield* Server.clientInProcess(settings)
  return yield* client("http://posthaste.invalid", Redacted.make("operator")).pipe(
    Effect.provideContext(Context.make(HttpClient.HttpClient, http))
  )
})
