/**
 * Judges what a request says of a message, around its `data`.
 */
import { Clock, Effect, Result, Schema } from "effect"
import { PublishBatchShape, PublishShape } from "../api/MessagesApi.ts"
import type { InvalidInput } from "../api/Problems.ts"
import type { Draft } from "../publish/Draft.ts"
import { destinationOf } from "./DestinationInput.ts"
import { invalidAt } from "./RequestProblemsLayer.ts"

/** How far ahead a message may be delivered. */
const delayMsMax = 366 * 86_400_000

/** Refuses a message that is to go out in a far future, or would expire before. */
export const timely = Effect.fnUntraced(function* (
  {
    deliverAt,
    expiresAt
  }: {
    readonly deliverAt?: number | null
    readonly expiresAt?: number | null
  },
  prefix: string
) {
  if (typeof deliverAt !== "number") return
  if (deliverAt > (yield* Clock.currentTimeMillis) + delayMsMax) {
    return yield* invalidAt(`${prefix}/deliverAt`, "Expected an instant within the next 366 days")
  }
  if (typeof expiresAt === "number" && expiresAt <= deliverAt) {
    return yield* invalidAt(`${prefix}/expiresAt`, "Expected an instant after deliverAt")
  }
})

/** Completes a draft by what a request says around `data`. */
export const draftOf = (
  draft: Pick<Draft, "tenantId" | "data" | "idempotencyKey">,
  { resource = null, uid = null, webhook = null, ...shape }: typeof PublishShape.Type,
  prefix: string
): Result.Result<Draft, InvalidInput> =>
  webhook === null
    ? Result.succeed({ ...shape, ...draft, uid, resource })
    : Result.map(destinationOf(webhook, `${prefix}/webhook/secret`), (destination) => ({
        ...shape,
        ...draft,
        uid,
        resource,
        destination
      }))

/** Decodes one message; an unknown key is an error, and all errors are named. */
export const shapeOf = Schema.decodeUnknownResult(PublishShape, {
  onExcessProperty: "error",
  errors: "all"
})

/** Decodes the frame of a batch, whose messages are judged one by one. */
export const batchShapeOf = Schema.decodeUnknownResult(PublishBatchShape, {
  onExcessProperty: "error",
  errors: "all"
})
