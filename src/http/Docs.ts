/**
 * The documentation as pages at `/docs`, made of the same value as the API and served whole: no
 * script, font or request from elsewhere.
 *
 * The page weighs 3 MB, so it is compressed once and kept.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import { Api } from "../api/Api.ts"

/** Serves `/docs`. */
export const Docs = HttpApiScalar.layer(Api, {
  path: "/docs",
  scalar: { withDefaultFonts: false }
}).pipe(Layer.provide(Layer.suspend(() => compressed.layer)))

const compressed = HttpRouter.middleware(
  Effect.gen(function* () {
    let page: Effect.Effect<Uint8Array> | undefined
    return Effect.fnUntraced(function* (httpEffect) {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const response = yield* httpEffect
      if (
        !/\bgzip\b/.test(headers["accept-encoding"] ?? "") ||
        response.body._tag !== "Uint8Array"
      ) {
        return HttpServerResponse.setHeaders(response, policy)
      }
      const { body } = response.body
      page ??= yield* Effect.cached(Effect.promise(() => promisify(gzip)(body)))
      return HttpServerResponse.uint8Array(yield* page, {
        contentType: "text/html; charset=utf-8",
        headers: { ...policy, "content-encoding": "gzip" }
      })
    })
  })
)

/** Lets the page run its own inline script and talk to its own origin, and nothing else. */
const policy = {
  "content-security-policy":
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; " +
    "img-src 'self' data:; font-src data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  vary: "accept-encoding"
} as const
