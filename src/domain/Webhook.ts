/**
 * A registered destination of a tenant: where, what it wants, how it is treated, how it fares.
 *
 * ```
 *            pause                     disableAfter, 410
 *  enabled ─────────► paused   enabled ─────────────────► disabled
 *     ▲  resume          │        ▲  resume                  │
 *     └──────────────────┘        └──────────────────────────┘
 * ```
 *
 * A person pauses, at once or by `onFailure`; the engine disables. In both states deliveries are held,
 * never dropped.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Auth, headerOf, none } from "./Auth.ts"
import { EventTypePattern } from "./EventType.ts"
import type { Filter } from "./Filter.ts"
import { Format, problems as formatProblems, Method } from "./Format.ts"
import { OnFailure } from "./OnFailure.ts"
import { Ordering } from "./Ordering.ts"
import { problem, ProblemItem } from "./Problem.ts"
import { Retry } from "./RetryPolicy.ts"
import type { Secret, SecretKind } from "./Secret.ts"
import { clashes, Signature, signsWith } from "./Signature.ts"
import { Template } from "./Template.ts"
import type { TenantId, WebhookId } from "./TypeId.ts"

/** `enabled` receives; `paused` was stopped by a person; `disabled` was stopped by the engine. */
export const WebhookStatus = Schema.Literals(["enabled", "paused", "disabled"])
export type WebhookStatus = typeof WebhookStatus.Type

/** Why the engine stopped a webhook: `on_failure` where the webhook's own `onFailure` says so. */
export const DisabledReason = Schema.Literals(["failing", "gone", "on_failure"])
export type DisabledReason = typeof DisabledReason.Type

/** How the engine stops a webhook. It pauses only where `onFailure` asks for that. */
export interface Stop {
  readonly status: "paused" | "disabled"
  readonly reason: DisabledReason
}

/** A caller's own id: anything printable that cannot be mistaken for a path. */
export const Uid = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9._~:@+-]{1,256}$/, {
    message: "Expected 1 to 256 characters of A-Z a-z 0-9 . _ ~ : @ + -"
  })
)

/** Messages about one thing, or about every thing of a type. */
export const ResourceFilter = Schema.Struct({
  type: Schema.NonEmptyString.check(Schema.isMaxLength(256)),
  id: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(256)))
})
export type ResourceFilter = typeof ResourceFilter.Type

const day = 86_400_000
const byDefault = <S extends Schema.Constraint>(value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))

/** When the circuit opens and for how long: `openMs` doubles at each opening up to `openMsMax`. */
export const CircuitSettings = Schema.Struct({
  failures: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000 })).pipe(byDefault(5)),
  openMs: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: day })).pipe(byDefault(30_000)),
  openMsMax: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: day })).pipe(
    byDefault(600_000)
  )
})
export type CircuitSettings = typeof CircuitSettings.Type

/** How much uninterrupted failure disables a webhook: a count, a length, either, or neither. */
export const DisableAfter = Schema.Struct({
  failures: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))
  ),
  durationMs: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 365 * day }))
  )
})
export type DisableAfter = typeof DisableAfter.Type

/** How many attempts may begin within any `perMs`, retries and probes included. */
export const Rate = Schema.Struct({
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
  perMs: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: day }))
})
export type Rate = typeof Rate.Type

/**
 * What a 4xx other than 408, 410, 425 and 429 means: try again, or exhausted at once. The short form
 * of `status_4xx` in `onFailure`, which comes first.
 */
export const ClientErrors = Schema.Literals(["retry", "permanent"])
export type ClientErrors = typeof ClientErrors.Type

/** How a webhook is treated. Every setting has a default. */
export const WebhookSettings = Schema.Struct({
  format: Format.pipe(byDefault("json")),
  /** Null is the method that the format has by itself: see `methodOf`. */
  method: Schema.NullOr(Method).pipe(byDefault(null)),
  template: Schema.NullOr(Template).pipe(byDefault(null)),
  signature: Signature.pipe(byDefault("standard")),
  /** Whether requests carry a `traceparent`. */
  traceHeaders: Schema.Boolean.pipe(byDefault(false)),
  timeoutMs: Schema.Int.check(Schema.isBetween({ minimum: 50, maximum: 60_000 })).pipe(
    byDefault(15_000)
  ),
  retry: Retry.pipe(byDefault("standard")),
  clientErrors: ClientErrors.pipe(byDefault("retry")),
  onFailure: OnFailure.pipe(byDefault({})),
  concurrency: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 })).pipe(byDefault(10)),
  rate: Schema.NullOr(Rate).pipe(byDefault(null)),
  ordering: Ordering.pipe(byDefault("none")),
  circuit: CircuitSettings.pipe(byDefault({})),
  disableAfter: DisableAfter.pipe(byDefault({ durationMs: 5 * day })),
  alertAt: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })))
    .check(Schema.isMaxLength(16))
    .pipe(byDefault([3, 5, 10]))
})
export type WebhookSettings = typeof WebhookSettings.Type

/** The settings of a webhook of which none was said. */
export const defaultSettings: WebhookSettings = Schema.decodeSync(WebhookSettings)({})

/** How a webhook fares: written with every attempt, read by the lane that owns it. */
export interface WebhookHealth {
  /** Grows with every change, so that a late write never hides a newer one. */
  readonly version: number
  readonly consecutiveFailures: number
  /** Epoch milliseconds of the first failure since the last success, or null. */
  readonly failingSince: number | null
  readonly lastSuccessAt: number | null
  readonly lastFailureAt: number | null
  /** Epoch milliseconds until which the circuit is open, or null while it is closed. */
  readonly circuitOpenUntil: number | null
  /** Openings since the circuit last stayed closed: the exponent of the open time. */
  readonly circuitOpenings: number
  /** Epoch milliseconds before which the receiver asked for no request (`Retry-After`), or null. */
  readonly throttledUntil: number | null
}

/** The health of a webhook that never received anything. */
export const healthy: WebhookHealth = {
  version: 0,
  consecutiveFailures: 0,
  failingSince: null,
  lastSuccessAt: null,
  lastFailureAt: null,
  circuitOpenUntil: null,
  circuitOpenings: 0,
  throttledUntil: null
}

/** What a person decides about a webhook. */
export interface WebhookFields {
  readonly uid: string | null
  readonly name: string | null
  readonly description: string | null
  readonly metadata: { readonly [key: string]: string }
  readonly url: string
  readonly eventTypes: ReadonlyArray<EventTypePattern>
  readonly resources: ReadonlyArray<ResourceFilter>
  readonly channels: ReadonlyArray<string>
  readonly filter: Filter | null
  readonly headers: { readonly [name: string]: string }
  readonly auth: Auth
  readonly settings: WebhookSettings
}

/** Makes the fields of a webhook of which only the URL was said. */
export const fieldsOf = (url: string): WebhookFields => ({
  uid: null,
  name: null,
  description: null,
  metadata: {},
  url,
  eventTypes: [],
  resources: [],
  channels: [],
  filter: null,
  headers: {},
  auth: none,
  settings: defaultSettings
})

/** One thing about a webhook that does not fit the rest of it, and where it stands. */
export interface WebhookProblem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/**
 * Lists what does not fit together in a webhook whose fields are well each by itself; `kind` is that
 * of its current secret. With nothing listed, sending never lacks a part of its request.
 */
export const problems = (
  { auth, headers, settings, url }: Pick<WebhookFields, "auth" | "headers" | "settings" | "url">,
  kind: SecretKind
): ReadonlyArray<WebhookProblem> => {
  const { clientErrors, format, method, onFailure, signature, template } = settings
  const given = { format, method: method ?? undefined, template: template ?? undefined }
  const secretMessage = secretProblem(signature, kind)
  return [
    ...formatProblems(given, url),
    ...clashes(signature, headers).map((name) => ({
      path: ["headers", name],
      message: "The signature of the webhook sets this header"
    })),
    ...authProblems(auth, headers, signature, url),
    ...(secretMessage === undefined ? [] : [{ path: ["signature"], message: secretMessage }]),
    ...(clientErrors === "permanent" && (onFailure.status_4xx ?? "exhaust") !== "exhaust"
      ? [{ path: ["onFailure", "status_4xx"], message: "clientErrors says permanent: exhaust" }]
      : [])
  ]
}

const authProblems = (
  auth: Auth,
  headers: WebhookFields["headers"],
  signature: Signature,
  url: string
): ReadonlyArray<WebhookProblem> => {
  const found: Array<WebhookProblem> = []
  const own = headerOf(auth)
  for (const name of Object.keys(headers)) {
    if (name.toLowerCase() !== own) continue
    found.push({ path: ["headers", name], message: "The auth of the webhook sets this header" })
  }
  if (own !== null && clashes(signature, { [own]: "" }).length > 0) {
    const path = auth.kind === "header" ? ["auth", "name"] : ["auth"]
    found.push({ path, message: "The signature of the webhook sets this header" })
  }
  if (!/^https:/i.test(url) && (auth.kind === "mtls" || auth.ca !== undefined)) {
    found.push({ path: ["auth"], message: "Certificates need a URL that begins with https:" })
  }
  return found
}

/** Says which secrets make such signatures, where those of a kind do not. */
export const secretProblem = (signature: Signature, kind: SecretKind): string | undefined => {
  if (signsWith(signature, kind)) return undefined
  return kind === "text"
    ? "Standard signatures need a secret that begins with whsec_ or whsk_"
    : "Signatures in hex need a secret that both sides share, not a private key"
}

/**
 * What makes a webhook an ad-hoc one: it came with a message, and gets only messages that name it.
 */
export interface AdHoc {
  /** What messages name it by, of the URL and the secret they give; null once none is to any more. */
  readonly digest: string | null
}

/** A sealed part of a webhook besides its secrets. */
export type UnreadablePart = "auth" | "headers"

/** A webhook as the engine knows it, secrets included. */
export interface Webhook extends WebhookFields {
  readonly id: WebhookId
  readonly tenantId: TenantId
  /** Null for a registered webhook. */
  readonly adHoc: AdHoc | null
  readonly status: WebhookStatus
  readonly disabledReason: DisabledReason | null
  readonly health: WebhookHealth
  readonly secrets: ReadonlyArray<Secret>
  /** What the service cannot read, for want of its key; nothing goes out while it lacks a part. */
  readonly unreadable: ReadonlyArray<UnreadablePart>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly updatedAt: number
  /** When what its requests are made of was changed last: epoch milliseconds. */
  readonly configuredAt: number
}

/** Finds the secret that signs now and has no end; none when the service cannot read it. */
export const currentSecret = (webhook: Webhook): Option.Option<Secret> =>
  Option.fromUndefinedOr(webhook.secrets.find((secret) => secret.expiresAt === null))

/** Tells whether a circuit is closed, open, or due to let one probe through. */
export const CircuitState = Schema.Literals(["closed", "open", "half_open"])
export type CircuitState = typeof CircuitState.Type

/** Reads the state of the circuit at an instant (epoch milliseconds) from a webhook's health. */
export const circuitState = (health: WebhookHealth, now: number): CircuitState =>
  health.circuitOpenUntil === null ? "closed" : health.circuitOpenUntil > now ? "open" : "half_open"

/** Tells whether the webhook's deliveries are held at an instant (epoch milliseconds). */
export const holds = (webhook: Webhook, now: number): boolean =>
  webhook.status !== "enabled" || circuitState(webhook.health, now) !== "closed"

/** No webhook of the tenant has this id or uid. */
export class WebhookNotFound extends problem<WebhookNotFound>()("WebhookNotFound", {
  code: "webhook_not_found",
  status: 404,
  title: "No such webhook"
}) {}

/** Another webhook of the tenant has this uid. */
export class WebhookUidTaken extends problem<WebhookUidTaken>()("WebhookUidTaken", {
  code: "webhook_uid_taken",
  status: 409,
  title: "Another webhook has this uid"
}) {}

/** The URL is one that no request may go to; `detail` says why, and so does the only error. */
export class UrlNotAllowed extends problem<UrlNotAllowed>()(
  "UrlNotAllowed",
  { code: "url_not_allowed", status: 422, title: "The URL is not allowed" },
  { errors: Schema.Array(ProblemItem) }
) {}

/** The tenant has registered as many webhooks as it may. */
export class WebhookLimit extends problem<WebhookLimit>()("WebhookLimit", {
  code: "webhook_limit",
  status: 409,
  title: "The tenant has as many webhooks as it may"
}) {}

/** Messages of the tenant went to as many ad-hoc webhooks as it may have. */
export class AdHocLimit extends problem<AdHocLimit>()("AdHocLimit", {
  code: "ad_hoc_limit",
  status: 409,
  title: "The tenant has too many ad-hoc webhooks"
}) {}

/** The webhook's secret is sealed with a key that the service does not have. */
export class SecretUnreadable extends problem<SecretUnreadable>()("SecretUnreadable", {
  code: "secret_unreadable",
  status: 409,
  title: "The secret cannot be read; rotate it, or give the service its key"
}) {}

/** This webhook, or too many others, are being tried out at the moment. */
export class TrialsBusy extends problem<TrialsBusy>()(
  "TrialsBusy",
  { code: "trials_busy", status: 429, title: "Too many trials run at once" },
  { retryAfterSeconds: Schema.Int }
) {}
