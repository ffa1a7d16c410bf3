/**
 * What a request may make of a webhook, beyond what schemas can say of each field.
 *
 * The rules look at the webhook as it is under its lock, so that two requests which are well each by
 * itself cannot together leave one that nothing can be sent to.
 */
import { Option, Redacted, Result } from "effect"
import type { InvalidInput } from "../api/Problems.ts"
import type { WebhookInput } from "../api/WebhookInputs.ts"
import * as Auth from "../domain/Auth.ts"
import { mask, maskUrl, unmaskHeaders } from "../domain/Mask.ts"
import * as RetryPolicy from "../domain/RetryPolicy.ts"
import * as Secret from "../domain/Secret.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import {
  currentSecret,
  problems,
  secretProblem,
  type Webhook,
  type WebhookFields,
  type WebhookProblem,
  type WebhookStatus
} from "../domain/Webhook.ts"
import { problems as certificateProblems } from "../send/Certificates.ts"
import { isPair, pairOf } from "../send/Ed25519.ts"
import type { WebhookUpdate } from "../store/WebhookEdits.ts"
import { invalidPlaces } from "./RequestProblemsLayer.ts"

/** Reads a secret that the schema let pass; refuses a private key with another one's public half. */
export const readSecret = (text: string): Result.Result<Uint8Array, InvalidInput> => {
  const kept = Option.getOrThrow(Secret.decodeAny(text))
  return Secret.kindOf(kept) !== "ed25519" || isPair(Secret.keyOf(kept))
    ? Result.succeed(kept)
    : Result.fail(invalidSecret("The second half of this private key is not its public key"))
}

/** Makes a secret of the kind of a former one, so that receivers can go on verifying as they do. */
export const secretLike = (webhook: Webhook, random: Uint8Array): Uint8Array =>
  Option.exists(
    currentSecret(webhook),
    ({ key }) => Secret.kindOf(Redacted.value(key)) === "ed25519"
  )
    ? Secret.keepEd25519(pairOf(random))
    : random

/** What a webhook is judged by. */
export interface Measure {
  /** Epoch milliseconds. */
  readonly now: number
  /** How long settled messages are kept, in milliseconds. */
  readonly keptMs: number
}

/** Lets pass what an input says of what no write changes, where it is so of the webhook that there is. */
export const judgeAnswered = (
  { id, status }: Pick<WebhookInput, "id" | "status">,
  webhook: { readonly id: WebhookId | null; readonly status: WebhookStatus }
): Result.Result<void, InvalidInput> => {
  const found: Array<WebhookProblem> = []
  if (id !== undefined && id !== webhook.id) {
    found.push({ path: ["id"], message: "Read only; a uid can be chosen" })
  }
  if (status !== undefined && status !== webhook.status) {
    found.push({ path: ["status"], message: "Read only; pause and resume change it" })
  }
  return found.length === 0 ? Result.void : Result.fail(invalidPlaces(found))
}

/** Lets a new webhook pass whose parts fit together and that ends before its messages are removed. */
export const judgeNew = (
  fields: WebhookFields,
  secret: { readonly key: Redacted.Redacted<Uint8Array>; readonly isGiven: boolean },
  { keptMs, now }: Measure
): Result.Result<WebhookFields, InvalidInput> =>
  passed(
    fields,
    [
      ...maskProblems(fields),
      ...certificateProblems(fields.auth, now),
      ...problems(fields, Secret.kindOf(Redacted.value(secret.key))),
      ...retryProblems(fields.settings.retry, keptMs)
    ],
    secret.isGiven
  )

/**
 * Lets an update pass that leaves a webhook of which the same is true.
 * Credentials that it names by their masks stay as they are.
 */
export const judgeUpdate = (
  webhook: Webhook,
  given: WebhookUpdate,
  { keptMs, now }: Measure
): Result.Result<WebhookUpdate, InvalidInput> => {
  const update = unmasked(webhook, given)
  const { auth = webhook.auth, headers = webhook.headers, rotation, url = webhook.url } = update
  const settings = { ...webhook.settings, ...update.settings }
  const secret: Option.Option<{ readonly key: Redacted.Redacted<Uint8Array> }> =
    rotation === undefined ? currentSecret(webhook) : Option.some(rotation)
  // One that cannot be read says nothing about its kind; generated ones are of this kind.
  const kind = Option.match(secret, {
    onNone: () => "hmac" as const,
    onSome: ({ key }) => Secret.kindOf(Redacted.value(key))
  })
  const found = [
    ...maskProblems(update),
    ...(update.auth === undefined ? [] : certificateProblems(update.auth, now)),
    ...problems({ auth, headers, settings, url }, kind),
    ...retryProblems(settings.retry, keptMs)
  ]
  return passed(update, found, rotation !== undefined)
}

/** Puts what a webhook has in the place of the masks that answers show of it. */
const unmasked = (webhook: Webhook, update: WebhookUpdate): WebhookUpdate => {
  const { auth, headers, url } = update
  return {
    ...update,
    ...(auth === undefined ? {} : { auth: Auth.unmasked(auth, webhook.auth) }),
    ...(headers === undefined ? {} : { headers: unmaskHeaders(headers, webhook.headers) }),
    ...(url === maskUrl(webhook.url) ? { url: webhook.url } : {})
  }
}

/** Lists masks that stand for nothing: written down, they would take a credential's place. */
const maskProblems = ({
  auth,
  headers = {},
  url
}: Partial<Pick<WebhookFields, "auth" | "headers" | "url">>): ReadonlyArray<WebhookProblem> => {
  const paths = Object.keys(headers)
    .filter((name) => headers[name] === mask)
    .map((name) => ["headers", name])
  if (auth !== undefined && Auth.isMasked(auth)) {
    paths.push(["auth", Auth.credentialOf[auth.kind] ?? "kind"])
  }
  if (url?.includes(mask)) paths.push(["url"])
  if (auth?.kind === "oauth2" && auth.tokenUrl.includes(mask)) paths.push(["auth", "tokenUrl"])
  return paths.map((path) => ({ path, message: "This is a mask; expected what it stands for" }))
}

/** Lets a secret pass that makes the signatures of the webhook. */
export const judgeSecret = (
  webhook: Webhook,
  kept: Uint8Array
): Result.Result<Uint8Array, InvalidInput> => {
  const message = secretProblem(webhook.settings.signature, Secret.kindOf(kept))
  return message === undefined ? Result.succeed(kept) : Result.fail(invalidSecret(message))
}

/** Retries that go on for longer than messages are kept would outlive what they tell of. */
const retryProblems = (retry: RetryPolicy.Retry, keptMs: number): ReadonlyArray<WebhookProblem> => {
  const days = (ms: number) => Math.floor((ms / 86_400_000) * 10) / 10
  const windowMs = RetryPolicy.windowMs(RetryPolicy.resolve(retry))
  return windowMs <= keptMs
    ? []
    : [
        {
          path: ["retry"],
          message: `Retries last up to ${days(windowMs)} days, and messages are kept for ${days(keptMs)}`
        }
      ]
}

/** A signature that does not fit is told of where the request named one of the two. */
const passed = <A>(
  value: A,
  found: ReadonlyArray<WebhookProblem>,
  namesSecret: boolean
): Result.Result<A, InvalidInput> =>
  found.length === 0
    ? Result.succeed(value)
    : Result.fail(
        invalidPlaces(
          found.map(({ message, path }) =>
            namesSecret && path[0] === "signature"
              ? { path: ["secret"], message }
              : { path, message }
          )
        )
      )

const invalidSecret = (message: string): InvalidInput =>
  invalidPlaces([{ path: ["secret"], message }])
