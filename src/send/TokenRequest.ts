/**
 * What a token endpoint is asked by client credentials, and what its answer means.
 *
 * What an endpoint says goes into no sentence but as a word that RFC 6749 knows: it may well repeat
 * what it was told.
 *
 * Source: RFC 6749, sections 2.3.1, 4.4 and 5.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { NotSent, Outcome, Unreachable } from "../domain/Attempt.ts"
import type { OAuth2Auth } from "../domain/Auth.ts"
import { version } from "../domain/Version.ts"

/** Nobody could be asked for a token, or none was given. */
export type NoToken = Unreachable | NotSent

/** A token as it was given. */
export interface Token {
  readonly token: Redacted.Redacted
  /** How long it lasts, in milliseconds. */
  readonly lifeMs: number
}

/** How long a token lasts whose endpoint does not say: 10 minutes. */
const lifeMsUnsaid = 600_000
const tokenLengthMax = 8_192

/** Forms headers and body of the request for a token. */
export const requestOf = (auth: OAuth2Auth) => {
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

/** Reads what the token endpoint at a host answered. */
export const read = (outcome: Outcome, host: string): Result.Result<Token, NoToken> => {
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
