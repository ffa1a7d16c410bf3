/**
 * Gets tokens from token endpoints by client credentials (RFC 6749, section 4.4).
 *
 * Promises: a webhook's token is asked for once however many attempts want it; it is renewed beside
 * the attempts shortly before it expires, and nothing of it is ever written down. The request goes
 * through the same sender and guard as any delivery.
 *
 * Leaves to others: what follows when no token can be had (`Authenticator`).
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { NotSent, Outcome, Unreachable } from "../domain/Attempt.ts"
import type { OAuth2Auth } from "../domain/Auth.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import { version } from "../domain/Version.ts"
import { AddressGuard } from "./AddressGuard.ts"
import { HttpSender } from "./HttpSender.ts"
import type { TlsIdentity } from "./wire/Dial.ts"

/** A token, or what it means for an attempt that there is none. */
export type TokenResult = Result.Result<Redacted.Redacted, NoToken>

/** Nobody could be asked for a token, or none was given. */
export type NoToken = Unreachable | NotSent

/** Keeps the tokens of webhooks in memory. */
export interface Tokens {
  /**
   * Answers the webhook's token, asking for one where there is none that lasts. Asking takes at most
   * `timeoutMs`.
   */
  readonly get: (
    webhookId: WebhookId,
    auth: OAuth2Auth,
    identity: TlsIdentity | undefined,
    timeoutMs: number
  ) => Effect.Effect<TokenResult>
  /** Forgets a token that the receiver refused, unless there is another one by now. */
  readonly refused: (webhookId: WebhookId, token: Redacted.Redacted) => void
}

/** Tokens that are kept; the webhook that was asked for longest ago makes room. */
const heldMax = 10_000
/** How long a token lasts whose endpoint does not say: 10 minutes. */
const lifeMsUnsaid = 600_000
/** How long before its end a token is renewed, and is not used any more: at most, in milliseconds. */
const renewedBeforeMs = 60_000
const unusedBeforeMs = 10_000
const tokenLengthMax = 8_192

interface Holder {
  readonly auth: OAuth2Auth
  token: Redacted.Redacted | null
  /** Epoch milliseconds. */
  renewAt: number
  /** Epoch milliseconds. */
  endsAt: number
  asking: Deferred.Deferred<TokenResult> | null
}

/** Makes it for as long as the scope lives. */
export const make = Effect.gen(function* () {
  const sender = yield* HttpSender
  const guard = yield* AddressGuard
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const holders = new Map<WebhookId, Holder>()

  const holderOf = (webhookId: WebhookId, auth: OAuth2Auth): Holder => {
    const known = holders.get(webhookId)
    const holder: Holder =
      known !== undefined && isSame(known.auth, auth)
        ? known
        : { auth, token: null, renewAt: 0, endsAt: 0, asking: null }
    holders.delete(webhookId)
    if (holders.size >= heldMax) {
      for (const oldest of holders.keys()) {
        holders.delete(oldest)
        break
      }
    }
    holders.set(webhookId, holder)
    return holder
  }

  const ask = Effect.fnUntraced(function* (
    { auth }: Holder,
    identity: TlsIdentity | undefined,
    timeoutMs: number
  ) {
    const url = guard.url(auth.tokenUrl)
    if (Result.isFailure(url)) {
      return Result.fail(noToken(`No token could be asked for: ${url.failure.message}`))
    }
    const { headers, body } = requestOf(auth)
    const { outcome } = yield* sender.send({
      url: url.success,
      method: "POST",
      headers,
      body,
      identity,
      timeoutMs
    })
    return read(outcome, url.success.host)
  })

  const asked = (holder: Holder, identity: TlsIdentity | undefined, timeoutMs: number) => {
    if (holder.asking !== null) return Effect.succeed(holder.asking)
    const asking = Deferred.makeUnsafe<TokenResult>()
    holder.asking = asking
    const answered = (result: Result.Result<Token, NoToken>) => {
      holder.asking = null
      if (Result.isSuccess(result)) {
        const { lifeMs, token } = result.success
        const now = clock.currentTimeMillisUnsafe()
        holder.token = token
        holder.renewAt = now + lifeMs - Math.min(renewedBeforeMs, lifeMs / 5)
        holder.endsAt = now + lifeMs - Math.min(unusedBeforeMs, lifeMs / 10)
      }
      return Deferred.succeed(
        asking,
        Result.map(result, ({ token }) => token)
      )
    }
    // In a fiber of its own: attempts that wait for it may be interrupted one by one.
    return ask(holder, identity, timeoutMs).pipe(
      Effect.onExit((exit) =>
        answered(
          exit._tag === "Success" ? exit.value : Result.fail(noToken("Asking for a token failed."))
        )
      ),
      Effect.forkIn(scope),
      Effect.as(asking)
    )
  }

  const tokens: Tokens = {
    get: (webhookId, auth, identity, timeoutMs) =>
      Effect.suspend(() => {
        const holder = holderOf(webhookId, auth)
        const now = clock.currentTimeMillisUnsafe()
        const { token } = holder
        if (token === null || now >= holder.endsAt) {
          return Effect.flatMap(asked(holder, identity, timeoutMs), Deferred.await)
        }
        const lasting = Effect.succeed(Result.succeed(token))
        return now < holder.renewAt
          ? lasting
          : Effect.andThen(asked(holder, identity, timeoutMs), lasting)
      }),
    refused: (webhookId, token) => {
      const holder = holders.get(webhookId)
      if (holder?.token === token) holder.token = null
    }
  }
  return tokens
})

const isSame = (a: OAuth2Auth, b: OAuth2Auth): boolean =>
  a === b ||
  (a.tokenUrl === b.tokenUrl &&
    a.clientId === b.clientId &&
    a.scope === b.scope &&
    a.audience === b.audience &&
    a.clientAuthentication === b.clientAuthentication &&
    a.ca === b.ca &&
    Redacted.value(a.clientSecret) === Redacted.value(b.clientSecret))

const requestOf = (auth: OAuth2Auth) => {
  const form = new URLSearchParams({ grant_type: "client_credentials" })
  if (auth.scope !== undefined) form.set("scope", auth.scope)
  if (auth.audience !== undefined) form.set("audience", auth.audience)
  const secret = Redacted.value(auth.clientSecret)
  const headers: { [name: string]: string } = {
    "content-type": "application/x-www-form-urlencoded",
    accept: "application/json",
    "user-agent": `Posthaste/${version}`
  }
  if (auth.clientAuthentication === "body") {
    form.set("client_id", auth.clientId)
    form.set("client_secret", secret)
  } else {
    // Encoded as in a form first: RFC 6749, section 2.3.1.
    const pair = `${formText(auth.clientId)}:${formText(secret)}`
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`
  }
  return { headers, body: Buffer.from(form.toString()) }
}

const formText = (text: string): string => new URLSearchParams({ "": text }).toString().slice(1)

interface Token {
  readonly token: Redacted.Redacted
  readonly lifeMs: number
}

/** Reads what a token endpoint answered. What it says goes into no sentence but as a known word. */
const read = (outcome: Outcome, host: string): Result.Result<Token, NoToken> => {
  switch (outcome._tag) {
    case "TimedOut":
      return Result.fail(noToken(`The token endpoint ${host} gave no answer in time.`))
    case "Unreachable":
    case "Refused":
      return Result.fail(noToken(`No token from ${host}: ${outcome.detail}`))
    case "NotSent":
      return Result.fail(outcome)
    case "Responded": {
      const { statusCode } = outcome
      const answer = jsonOf(outcome.body)
      if (statusCode < 200 || statusCode > 299) {
        const error = errors.find((known) => known === answer["error"])
        const named = error === undefined ? "" : ` (${error})`
        return Result.fail(noToken(`The token endpoint ${host} answered ${statusCode}${named}.`))
      }
      const token = tokenOf(answer)
      return token === undefined
        ? Result.fail(noToken(`The token endpoint ${host} answered no bearer token.`))
        : Result.succeed(token)
    }
  }
}

/** Forms the outcome of an attempt for which there is no token. */
export const noToken = (detail: string): Unreachable => ({
  _tag: "Unreachable",
  cause: "auth",
  detail
})

/** RFC 6749, section 5.2. */
const errors = [
  "invalid_request",
  "invalid_client",
  "invalid_grant",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope"
]

const jsonOf = (body: Uint8Array): { readonly [name: string]: unknown } => {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body))
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

const tokenOf = (answer: { readonly [name: string]: unknown }): Token | undefined => {
  const { access_token: token, expires_in: seconds, token_type: type } = answer
  if (typeof token !== "string" || token.length > tokenLengthMax) return undefined
  if (!/^[\x21-\x7e]+$/.test(token)) return undefined
  // Some endpoints leave the type out, which RFC 6749 does not allow.
  if (type !== undefined && (typeof type !== "string" || !/^bearer$/i.test(type))) return undefined
  const life = Number(seconds) * 1_000
  return {
    token: Redacted.make(token),
    lifeMs: Number.isFinite(life) && life > 0 ? Math.min(life, 86_400_000) : lifeMsUnsaid
  }
}
