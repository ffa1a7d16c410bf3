/**
 * Sends a webhook's request in the way that its `auth` asks for, so that the receiver knows who calls.
 *
 * Promises: what `auth` says stands in no header twice; a token that the receiver refuses with 401 is
 * replaced once, within the deadline of the attempt; without a token nothing is sent, and the attempt
 * says why in the class `auth`; what comes back says nothing that only the receiver is to know.
 *
 * Leaves to others: sending (`HttpSender`), getting tokens (`OAuth2`), signing (`Request`), what is
 * left out of an answer (`Answer`).
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { type Auth, headerOf, type OAuth2Auth } from "../domain/Auth.ts"
import type { Webhook } from "../domain/Webhook.ts"
import { discreet } from "./Answer.ts"
import { type HttpRequest, HttpSender, type Inspected, type Sent } from "./HttpSender.ts"
import * as OAuth2 from "./OAuth2.ts"
import { noToken } from "./TokenRequest.ts"
import { monotonicMs } from "./wire/Deadlines.ts"
import type { TlsIdentity } from "./wire/TlsSessions.ts"

/** Sends requests of webhooks. */
export class Authenticator extends Context.Service<
  Authenticator,
  {
    /** Sends a request as the webhook's auth asks for. */
    readonly send: (webhook: Webhook, request: HttpRequest) => Effect.Effect<Sent>
    /** Probes a webhook's receiver under its client certificate and roots, without any other secret. */
    readonly probe: (webhook: Webhook, request: HttpRequest) => Effect.Effect<Inspected>
  }
>()("posthaste/send/Authenticator") {
  /** Sends through the HttpSender; tokens are kept as long as the layer lives. */
  static readonly layer = Layer.effect(
    Authenticator,
    Effect.gen(function* () {
      const sender = yield* HttpSender
      const clock = yield* Clock.Clock
      const tokens = yield* OAuth2.make
      const prepare = preparing()

      const send = ({ settings }: Webhook, request: HttpRequest) =>
        Effect.map(sender.send(request), (sent): Sent => {
          const outcome = discreet(sent.outcome, request, settings.signature)
          return outcome === sent.outcome ? sent : { ...sent, outcome }
        })

      const withToken = Effect.fnUntraced(function* (
        webhook: Webhook,
        auth: OAuth2Auth,
        request: HttpRequest
      ) {
        const startedAt = monotonicMs(clock)
        const tookMs = () => Math.round(monotonicMs(clock) - startedAt)
        const attempt = Effect.gen(function* () {
          const timeoutMs = Math.max(1, request.timeoutMs - tookMs())
          const found = yield* tokens
            .get(webhook.id, auth, request.identity, webhook.settings.timeoutMs)
            .pipe(
              Effect.timeoutOrElse({
                duration: timeoutMs,
                orElse: () => Effect.succeed(Result.fail(late))
              })
            )
          if (Result.isFailure(found)) return { outcome: found.failure, token: null }
          const leftMs = request.timeoutMs - tookMs()
          if (leftMs < 1) return { outcome: late, token: null }
          const token = found.success
          const { outcome } = yield* send(webhook, {
            ...request,
            headers: withHeader(request, "authorization", `Bearer ${Redacted.value(token)}`),
            timeoutMs: leftMs
          })
          return { outcome, token }
        })

        const first = yield* attempt
        const { outcome, token } = first
        const isRefused = outcome._tag === "Responded" && outcome.statusCode === 401
        if (!isRefused || token === null || tookMs() >= request.timeoutMs) {
          return { outcome, durationMs: tookMs() }
        }
        tokens.refused(webhook.id, token)
        const second = yield* attempt
        // The first one was an attempt, so it must not pass for none.
        const counts = second.outcome._tag !== "NotSent"
        return { outcome: counts ? second.outcome : outcome, durationMs: tookMs() }
      })

      return Authenticator.of({
        probe: ({ auth }, request) =>
          sender.probe({ ...request, identity: prepare(auth).identity }),
        send: (webhook, request) => {
          const { auth } = webhook
          if (auth.kind === "none" && auth.ca === undefined) return send(webhook, request)
          const { header, identity } = prepare(auth)
          const known = { ...request, identity }
          if (auth.kind === "oauth2") return withToken(webhook, auth, known)
          return header === undefined
            ? send(webhook, known)
            : send(webhook, {
                ...known,
                headers: withHeader(request, header.name, header.value)
              })
        }
      })
    })
  )
}

interface Prepared {
  readonly header: { readonly name: string; readonly value: string } | undefined
  readonly identity: TlsIdentity | undefined
}

/** Prepares what requests carry, once for as long as an auth lives in memory. */
const preparing = () => {
  const prepared = new WeakMap<Auth, Prepared>()
  return (auth: Auth): Prepared => {
    const known = prepared.get(auth)
    if (known !== undefined) return known
    const value = valueOf(auth)
    const name = headerOf(auth)
    const made = {
      header: value === undefined || name === null ? undefined : { name, value },
      identity: identityOf(auth)
    }
    prepared.set(auth, made)
    return made
  }
}

const valueOf = (auth: Auth): string | undefined => {
  switch (auth.kind) {
    case "basic": {
      const pair = `${auth.username}:${Redacted.value(auth.password)}`
      return `Basic ${Buffer.from(pair).toString("base64")}`
    }
    case "bearer":
      return `Bearer ${Redacted.value(auth.token)}`
    case "header":
      return Redacted.value(auth.value)
    case "none":
    case "oauth2":
    case "mtls":
      return undefined
  }
}

const identityOf = (auth: Auth): TlsIdentity | undefined => {
  const { ca } = auth
  if (auth.kind !== "mtls")
    return ca === undefined ? undefined : identityWith(undefined, undefined, ca)
  return identityWith(auth.certificate, auth.key, ca)
}

const identityWith = (
  certificate: string | undefined,
  key: Redacted.Redacted | undefined,
  ca: string | undefined
): TlsIdentity => {
  const parts = [certificate, key && Redacted.value(key), ca]
  const id = createHash("sha256").update(JSON.stringify(parts)).digest("base64url")
  return { id, certificate, key, ca }
}

/** Sets a header in the place of one of the same name in any case. */
const withHeader = ({ headers }: HttpRequest, name: string, value: string) => {
  const found: Record<string, string> = {}
  for (const other in headers) {
    if (other.toLowerCase() !== name) found[other] = headers[other]!
  }
  found[name] = value
  return found
}

const late = noToken("No token came in time.")
