/**
 * Answers the endpoints below `/v1/redeliveries`.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { pageRequest } from "../api/Page.ts"
import type { RedeliveryView } from "../api/RedeliveriesApi.ts"
import { givenUpOn, type Redelivery, RedeliveryNotFound } from "../domain/Redelivery.ts"
import { parse, RedeliveryId, type TenantId, WebhookId } from "../domain/TypeId.ts"
import { WebhookNotFound } from "../domain/Webhook.ts"
import { Redeliveries } from "../send/Redeliveries.ts"
import { Ids } from "../store/Ids.ts"
import { RedeliveryRepo } from "../store/RedeliveryRepo.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { answered } from "./StoreFaults.ts"

export const RedeliveriesHandlers = HttpApiBuilder.group(
  Api,
  "redeliveries",
  Effect.fn(function* (handlers) {
    const redeliveries = yield* Redeliveries
    const repo = yield* RedeliveryRepo
    const webhooks = yield* WebhookRepo
    const ids = yield* Ids

    /** A webhook that is gone can be named by its id; nothing is redelivered to it. */
    const webhookIdOf = Effect.fnUntraced(function* (tenantId: TenantId, ref: string) {
      const id = parse(WebhookId, ref)
      if (Option.isSome(id)) return id.value
      const found = isRef(ref) ? yield* webhooks.find(tenantId, ref) : Option.none()
      return Option.isSome(found) ? found.value.id : yield* new WebhookNotFound()
    })

    return handlers.handleAll({
      create: Effect.fn("RedeliveriesHandlers.create")(function* ({ headers, payload, request }) {
        const { tenantId } = yield* Caller
        const { webhook, ...said } = payload
        const job = yield* redeliveries.start({
          id: yield* ids.next("redelivery"),
          tenantId,
          filter: {
            ...givenUpOn,
            ...said,
            webhookId: webhook === undefined ? null : yield* webhookIdOf(tenantId, webhook)
          },
          idempotency: yield* idempotencyOf(headers["idempotency-key"], request)
        })
        return view(job)
      }, answered),

      list: Effect.fn("RedeliveriesHandlers.list")(function* ({ query }) {
        const { tenantId } = yield* Caller
        const page = yield* repo.list(tenantId, yield* Effect.fromResult(pageRequest(query)))
        return { ...page, data: page.data.map(view) }
      }, answered),

      get: Effect.fn("RedeliveriesHandlers.get")(function* ({ params }) {
        const { tenantId } = yield* Caller
        const found = yield* repo.find(tenantId, yield* idOf(params.id))
        return Option.isSome(found) ? view(found.value) : yield* new RedeliveryNotFound()
      }, answered),

      cancel: Effect.fn("RedeliveriesHandlers.cancel")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return view(yield* repo.cancel(tenantId, yield* idOf(params.id)))
      }, answered)
    })
  })
)

const idOf = (text: string): Effect.Effect<RedeliveryId, RedeliveryNotFound> =>
  Option.match(parse(RedeliveryId, text), {
    onNone: () => Effect.fail(new RedeliveryNotFound()),
    onSome: (id) => Effect.succeed(id)
  })

const view = (job: Redelivery): RedeliveryView => ({
  id: job.id,
  state: job.state,
  matched: job.matched,
  done: job.done,
  webhookId: job.webhookId,
  type: job.type,
  status: job.status,
  after: job.after,
  before: job.before,
  dryRun: job.dryRun,
  createdAt: job.createdAt,
  updatedAt: job.updatedAt,
  finishedAt: job.finishedAt
})
