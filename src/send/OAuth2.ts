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
import type { OAuth2Auth } from "../domain/Auth.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import { AddressGuard } from "./AddressGuard.ts"
import { HttpSender } from "./HttpSender.ts"
import { noToken, type NoToken, read, requestOf, type Token } from "./TokenRequest.ts"
import { keep } from "./wire/Recency.ts"
import type { TlsIdentity } from "./wire/TlsSessions.ts"

/** A token, or what it means for an attempt that there is none. */
export type TokenResult = Result.Result<Redacted.Redacted, NoToken>

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
/** How long before its end a token is renewed, and is not used any more: at most, in milliseconds. */
const renewedBeforeMs = 60_000
const unusedBeforeMs = 10_000
/** How long after a renewal that failed it is tried again. */
const renewedAgainMs = 5_000

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
    keep(holders, heldMax, webhookId, holder)
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

  const answered = (holder: Holder, result: Result.Result<Token, NoToken>): TokenResult => {
    const now = clock.currentTimeMillisUnsafe()
    holder.asking = null
    if (Result.isFailure(result)) {
      holder.renewAt = now + renewedAgainMs
      return Result.fail(result.failure)
    }
    const { lifeMs, token } = result.success
    holder.token = token
    holder.renewAt = now + lifeMs - Math.min(renewedBeforeMs, lifeMs / 5)
    holder.endsAt = now + lifeMs - Math.min(unusedBeforeMs, lifeMs / 10)
    return Result.succeed(token)
  }

  /** Asks, unless that is under way, in a fiber of its own: who waits may be interrupted. */
  const asked = (holder: Holder, identity: TlsIdentity | undefined, timeoutMs: number) =>
    Effect.uninterruptibleMask((restore) => {
      if (holder.asking !== null) return Effect.succeed(holder.asking)
      const asking = Deferred.makeUnsafe<TokenResult>()
      holder.asking = asking
      return restore(ask(holder, identity, timeoutMs)).pipe(
        Effect.exit,
        Effect.flatMap((exit) => {
          const result = exit._tag === "Success" ? exit.value : Result.fail(broken)
          return Deferred.succeed(asking, answered(holder, result))
        }),
        Effect.forkIn(scope),
        Effect.as(asking)
      )
    })

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

const broken = noToken("Asking for a token failed.")

const isSame = (a: OAuth2Auth, b: OAuth2Auth): boolean =>
  a === b ||
  (a.tokenUrl === b.tokenUrl &&
    a.clientId === b.clientId &&
    a.scope === b.scope &&
    a.audience === b.audience &&
    a.clientAuthentication === b.clientAuthentication &&
    a.ca === b.ca &&
    Redacted.value(a.clientSecret) === Redacted.value(b.clientSecret))
