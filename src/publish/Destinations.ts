/**
 * Finds the ad-hoc webhook that a message names by a URL and a secret, and makes it where there is none.
 *
 * A known one costs no look at the store. A new one is judged by the AddressGuard and committed, sealed
 * secret and all, before the message that names it: whoever is owed a message exists.
 *
 * Leaves to others: removing those that nothing refers to any more (Retention).
 */
import { Context, Effect, Layer, Redacted, Semaphore } from "effect"
import { createHash } from "node:crypto"
import { mask } from "../domain/Mask.ts"
import { secretBytes } from "../domain/Secret.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { AdHocLimit, fieldsOf, UrlNotAllowed, type Webhook } from "../domain/Webhook.ts"
import { Subscriptions } from "../route/Subscriptions.ts"
import { AddressGuard } from "../send/AddressGuard.ts"
import { judgeUrl } from "../send/UrlJudge.ts"
import { Ids } from "../store/Ids.ts"
import { callerMs, inTime } from "../store/InTime.ts"
import { StoreError } from "../store/StoreError.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"

export class Destinations extends Context.Service<
  Destinations,
  {
    /** Finds or makes the ad-hoc webhook of a tenant for a destination. */
    readonly webhook: (
      tenantId: TenantId,
      destination: Destination
    ) => Effect.Effect<Webhook, UrlNotAllowed | AdHocLimit | StoreError>
  }
>()("posthaste/publish/Destinations") {
  static readonly layer = (options: DestinationsOptions = {}) =>
    Layer.effect(
      Destinations,
      Effect.gen(function* () {
        const max = options.max ?? 1_000
        const guard = yield* AddressGuard
        const ids = yield* Ids
        const subscriptions = yield* Subscriptions
        const webhooks = yield* WebhookRepo
        const inTurn = yield* Semaphore.make(1)

        const make = Effect.fnUntraced(function* (
          tenantId: TenantId,
          { secret, url }: Destination,
          adHocDigest: string
        ) {
          const known = subscriptions.adHoc(tenantId, adHocDigest)
          if (known !== undefined) return known
          if (subscriptions.adHocSize(tenantId) >= max) {
            return yield* new AdHocLimit({
              detail:
                `Messages of this tenant went to ${max} destinations of their own; register a ` +
                "webhook, or delete ad-hoc ones"
            })
          }
          return yield* webhooks.create({
            id: yield* ids.next("webhook"),
            tenantId,
            fields: fieldsOf(url),
            secret: {
              id: yield* ids.next("secret"),
              key: secret ?? Redacted.make(yield* ids.bytes(secretBytes.generated))
            },
            idempotency: null,
            adHocDigest
          })
        })

        return Destinations.of({
          webhook: Effect.fnUntraced(
            function* (tenantId, destination) {
              const digest = digestOf(destination)
              const known = subscriptions.adHoc(tenantId, digest)
              if (known !== undefined) return known
              if (destination.url.includes(mask)) return yield* masked
              yield* judgeUrl(guard, destination.url, "/webhook/url")
              return yield* inTurn
                .withPermit(make(tenantId, destination, digest))
                .pipe(inTime("WebhookRepo.create", callerMs))
            },
            // Neither a uid nor a key is given that another one could have, nor is it registered.
            Effect.catchTags({
              WebhookUidTaken: Effect.die,
              WebhookLimit: Effect.die,
              IdempotencyConflict: Effect.die
            })
          )
        })
      })
    )
}

/** The bounds of ad-hoc webhooks. */
export interface DestinationsOptions {
  /** Ad-hoc webhooks of one tenant, at most. 1,000 by default. */
  readonly max?: number
}

/** Where a message is to go, and only there. */
export interface Destination {
  readonly url: string
  /** The bytes that are kept of a secret for standard signatures; null has one generated. */
  readonly secret: Redacted.Redacted<Uint8Array> | null
}

/** Names a destination without its secret being readable: SHA-256. */
export const digestOf = ({ secret, url }: Destination): string => {
  const hash = createHash("sha256").update(`${url}\n`)
  return (secret === null ? hash : hash.update(Redacted.value(secret))).digest("base64")
}

const message = "This is a mask; expected what it stands for"
const masked = new UrlNotAllowed({
  detail: message,
  errors: [{ pointer: "/webhook/url", message }]
})
