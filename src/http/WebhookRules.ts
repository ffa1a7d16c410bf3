/**
 * What a request may make of a webhook, beyond what schemas can say of each field.
 *
 * The rules look at the webhook as it is under its lock, so that two requests which are well each by
 * itself cannot together leave one that nothing can be sent to.
 */
import { Option, Redacted, Result } from "effect"
import type { InvalidInput } from "../api/Problems.ts"
import * as Secret from "../domain/Secret.ts"
import {
  currentSecret,
  problems,
  secretProblem,
  type Webhook,
  type WebhookFields,
  type WebhookProblem
} from "../domain/Webhook.ts"
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

/** Lets a new webhook pass whose parts fit together. */
export const judgeNew = (
  fields: WebhookFields,
  secret: { readonly key: Redacted.Redacted<Uint8Array>; readonly isGiven: boolean }
): Result.Result<WebhookFields, InvalidInput> =>
  passed(fields, problems(fields, Secret.kindOf(Redacted.value(secret.key))), secret.isGiven)

/** Lets an update pass that leaves a webhook whose parts fit together. */
export const judgeUpdate = (
  webhook: Webhook,
  update: WebhookUpdate
): Result.Result<WebhookUpdate, InvalidInput> => {
  const { headers = webhook.headers, rotation, url = webhook.url } = update
  const settings = { ...webhook.settings, ...update.settings }
  const secret: Option.Option<{ readonly key: Redacted.Redacted<Uint8Array> }> =
    rotation === undefined ? currentSecret(webhook) : Option.some(rotation)
  // One that cannot be read says nothing about its kind; generated ones are of this kind.
  const kind = Option.match(secret, {
    onNone: () => "hmac" as const,
    onSome: ({ key }) => Secret.kindOf(Redacted.value(key))
  })
  const found = problems({ headers, settings, url }, kind)
  return passed(update, found, rotation !== undefined)
}

/** Lets a secret pass that makes the signatures of the webhook. */
export const judgeSecret = (
  webhook: Webhook,
  kept: Uint8Array
): Result.Result<Uint8Array, InvalidInput> => {
  const message = secretProblem(webhook.settings.signature, Secret.kindOf(kept))
  return message === undefined ? Result.succeed(kept) : Result.fail(invalidSecret(message))
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
