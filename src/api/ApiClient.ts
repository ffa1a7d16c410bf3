/**
 * A typed client of the HTTP API, made from the same value as the server. It runs in Node and in
 * browsers, on any HttpClient.
 */
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { Api } from "./Api.ts"
import { Authorization, tenantHeader } from "./Authorization.ts"

/** A client: one property for each group of endpoints, one method for each endpoint. */
export type ApiClient = HttpApiClient.ForApi<typeof Api>

/** Where a service is and how it is entered. */
export interface ApiClientOptions {
  /** Such as `http://127.0.0.1:8400`. */
  readonly baseUrl: string | URL
  readonly key: Redacted.Redacted
  /** The tenant that an admin key acts for, by id or uid; the default one when absent. */
  readonly tenant?: string
}

/** Makes a client. It neither connects nor checks the key before the first call. */
export const make = (
  options: ApiClientOptions
): Effect.Effect<ApiClient, never, HttpClient.HttpClient> =>
  HttpApiClient.make(Api, { baseUrl: options.baseUrl }).pipe(
    Effect.provide(
      HttpApiMiddleware.layerClient(Authorization, ({ next, request }) => {
        const authorized = HttpClientRequest.bearerToken(request, options.key)
        return next(
          options.tenant === undefined
            ? authorized
            : HttpClientRequest.setHeader(authorized, tenantHeader, options.tenant)
        )
      })
    )
  )
