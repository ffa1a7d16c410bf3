/**
 * Answers the endpoints that try a webhook out.
 */
import { Clock, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import type { WebhookTested } from "../api/TrialsApi.ts"
import {
  circuitState,
  currentSecret,
  SecretUnreadable,
  WebhookNotFound
} from "../domain/Webhook.ts"
import { jsonBody } from "../publish/Body.ts"
import type { HttpRequest } from "../send/HttpSender.ts"
import { HttpSender } from "../send/HttpSender.ts"
import { Trials } from "../send/Trials.ts"
import { EventTypeRepo } from "../store/EventTypeRepo.ts"
import { Ids } from "../store/Ids.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { checkedView } from "./CheckedView.ts"
import { answered, unavailable } from "./StoreFaults.ts"
import { attemptView, bodyView } from "./Views.ts"

export const TrialsHandlers = HttpApiBuilder.group(
  Api,
  "trials",
  Effect.fn(function* (handlers) {
    const webhooks = yield* WebhookRepo
    const eventTypes = yield* EventTypeRepo
    const trials = yield* Trials
    const sender = yield* HttpSender
    const ids = yield* Ids

    const get = Effect.fnUntraced(function* (ref: string) {
      const { tenantId } = yield* Caller
      return isRef(ref) ? yield* webhooks.get(tenantId, ref) : yield* new WebhookNotFound({})
    }, answered)

    /** Finds the example that the tenant's catalogue has of a type, if it has one. */
    const exampleOf = Effect.fnUntraced(function* (type: string) {
      const { tenantId } = yield* Caller
      return yield* eventTypes.get(tenantId, type).pipe(
        Effect.map(({ example }) => example),
        Effect.catchTag("EventTypeNotFound", () => Effect.succeed(null))
      )
    }, answered)

    return handlers.handleAll({
      test: Effect.fn("TrialsHandlers.test")(function* ({ params, payload }) {
        const webhook = yield* get(params.id)
        // What cannot be signed is not sent.
        if (Option.isNone(currentSecret(webhook)) || webhook.unreadable.length > 0) {
          return yield* new SecretUnreadable()
        }
        const createdAt = yield* Clock.currentTimeMillis
        const type = payload?.type ?? "posthaste.test"
        const id = yield* ids.nextMessage
        const body = jsonBody({
          id,
          type,
          createdAt,
          data: JSON.stringify((yield* exampleOf(type)) ?? plain),
          resource: null
        })
        const message = {
          id,
          type,
          contentType: "application/json",
          body,
          orderingKey: null,
          expiresAt: null,
          createdAt
        }
        const { attempt, explanation, request } = yield* trials.test(webhook, message)
        const tested: WebhookTested = {
          ...attemptView(attempt, true),
          messageId: id,
          type,
          explanation,
          request: request === null ? null : requestView(request)
        }
        return tested
      }, unavailable),

      check: Effect.fn("TrialsHandlers.check")(function* ({ params }) {
        const webhook = yield* get(params.id)
        const inspection = yield* trials.check(webhook)
        const state = circuitState(webhook.health, inspection.checkedAt)
        return checkedView(inspection, webhook, state, yield* sender.egress)
      }, unavailable)
    })
  })
)

/** What is sent of a type that has no example: nothing is made up to fit a schema. */
const plain = { test: true, text: "An example, sent to try this webhook out" }

/** Values of headers stay unsaid: some of them are secrets. */
const requestView = ({ body, headers, method, url }: HttpRequest) => {
  const shown = body === null ? null : bodyView(body)
  return {
    method,
    url: `${url.origin}${url.pathname}`,
    headerNames: Object.keys(headers),
    body: shown?.text ?? null,
    bodyEncoding: shown?.encoding ?? null
  }
}
