/**
 * What an `Idempotency-Key` was sent with: requests are the same when method, path and body are.
 */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { createHash } from "node:crypto"
import { RequestBody } from "../api/JsonBody.ts"

/** Reads the key of a request with the SHA-256 of the request; null where it has none. */
export const idempotencyOf = Effect.fnUntraced(function* (
  key: string | undefined,
  request: HttpServerRequest.HttpServerRequest
) {
  if (key === undefined) return null
  const { bytes } = yield* RequestBody
  const digest: Uint8Array = createHash("sha256")
    .update(`${request.method} ${request.url}\n`)
    .update(bytes)
    .digest()
  return { key, digest }
})
