/**
 * Answers the endpoints below `/v1/webhooks`.
 *
 * URLs are judged by the address guard, fields by their schemas and what they make together by
 * WebhookRules before anything is written, so what is stored can be sent to.
 */
import { Clock, Effect, Option, Redacted, Result, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { CallerUid, isRef } from "../api/Fields.ts"
import { pageRequest } from "../api/Page.ts"
import type { WebhookInput, WebhookPatch } from "../api/WebhookInputs.ts"
import { none } from "../domain/Auth.ts"
import * as Secret from "../domain/Secret.ts"
import { parse, type TenantId, WebhookId } from "../domain/TypeId.ts"
import {
  currentSecret,
  type Webhook,
  type WebhookFields,
  WebhookNotFound,
  WebhookSettings
} from "../domain/Webhook.ts"
import { AddressGuard } from "../send/AddressGuard.ts"
import { judgeUrl } from "../send/UrlJudge.ts"
import { Ids } from "../store/Ids.ts"
import { inTime, statementMs } from "../store/InTime.ts"
import { Retention } from "../store/Retention.ts"
import type { WebhookUpdate } from "../store/WebhookEdits.ts"
import { WebhookRepo } from "../store/WebhookRepo.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { invalidAt } from "./RequestProblemsLayer.ts"
import { answered, unavailable } from "./StoreFaults.ts"
import { secretView, webhookListed, webhookView } from "./Views.ts"
import {
  judgeAnswered,
  judgeNew,
  judgeSecret,
  judgeUpdate,
  readSecret,
  secretLike
} from "./WebhookRules.ts"

/** How long a former secret signs on when nobody says otherwise. */
const graceSeconds = 86_400

export const WebhooksHandlers = HttpApiBuilder.group(
  Api,
  "webhooks",
  Effect.fn(function* (handlers) {
    const webhooks = yield* WebhookRepo
    const guard = yield* AddressGuard
    const { keptMs } = yield* Retention
    const ids = yield* Ids

    const view = Effect.fnUntraced(function* (webhook: Webhook) {
      return webhookView(webhook, yield* Clock.currentTimeMillis)
    })
    const viewWithSecret = Effect.fnUntraced(function* (webhook: Webhook) {
      return { ...(yield* view(webhook)), ...(yield* Effect.fromResult(secretView(webhook))) }
    })
    const judgeUrls = Effect.fnUntraced(function* ({ auth, url }: WebhookPatch) {
      if (url !== undefined) yield* judgeUrl(guard, url, "/url")
      if (auth?.kind === "oauth2") yield* judgeUrl(guard, auth.tokenUrl, "/auth/tokenUrl")
    })
    const register = Effect.fnUntraced(function* (
      tenantId: TenantId,
      uid: string | null,
      input: WebhookInput,
      idempotency: { readonly key: string; readonly digest: Uint8Array } | null
    ) {
      const isGiven = input.secret !== undefined
      const key = Redacted.make(
        isGiven
          ? yield* Effect.fromResult(readSecret(input.secret))
          : yield* ids.bytes(Secret.secretBytes.generated)
      )
      const fields = { ...fieldsOf(input), uid }
      return yield* webhooks.create({
        id: yield* ids.next("webhook"),
        tenantId,
        fields: yield* Effect.fromResult(
          judgeNew(fields, { key, isGiven }, { now: yield* Clock.currentTimeMillis, keptMs })
        ),
        secret: { id: yield* ids.next("secret"), key },
        idempotency
      })
    })
    /** None when another request took the uid meanwhile: that one's webhook is then replaced. */
    const registerUid = (tenantId: TenantId, uid: string, input: WebhookInput) =>
      register(tenantId, uid, input, null).pipe(
        Effect.asSome,
        Effect.catchTags({
          WebhookUidTaken: () => Effect.succeedNone,
          // Without an idempotency key there is nothing to conflict with.
          IdempotencyConflict: Effect.die
        })
      )
    const replace = Effect.fnUntraced(function* (
      tenantId: TenantId,
      ref: string,
      input: WebhookInput
    ) {
      const fields = fieldsOf(input)
      const key =
        input.secret === undefined ? undefined : yield* Effect.fromResult(readSecret(input.secret))
      const id = yield* ids.next("secret")
      const now = yield* Clock.currentTimeMillis
      return yield* webhooks.update(tenantId, ref, (webhook) =>
        Result.andThen(judgeAnswered(input, webhook), () =>
          judgeUpdate(
            webhook,
            {
              ...fields,
              uid: input.uid === undefined ? webhook.uid : fields.uid,
              ...(key === undefined || isCurrent(webhook, key)
                ? {}
                : { rotation: { id, key: Redacted.make(key), graceMs: graceSeconds * 1_000 } })
            },
            { now, keptMs }
          )
        )
      )
    })

    return handlers.handleAll({
      create: Effect.fn("WebhooksHandlers.create")(function* ({ headers, payload, request }) {
        const { tenantId } = yield* Caller
        yield* judgeUrls(payload)
        yield* Effect.fromResult(judgeAnswered(payload, { id: null, status: "enabled" }))
        const webhook = yield* register(
          tenantId,
          payload.uid ?? null,
          payload,
          yield* idempotencyOf(headers["idempotency-key"], request)
        )
        return yield* viewWithSecret(webhook)
      }, answered),

      list: Effect.fn("WebhooksHandlers.list")(function* ({ query }) {
        const { tenantId } = yield* Caller
        const now = yield* Clock.currentTimeMillis
        const page = yield* webhooks.list(tenantId, yield* Effect.fromResult(pageRequest(query)), {
          status: query.status ?? null,
          text: query.q ?? null,
          adHoc: query.adHoc === "true"
        })
        return { ...page, data: page.data.map((webhook) => webhookListed(webhook, now)) }
      }, answered),

      get: Effect.fn("WebhooksHandlers.get")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return yield* view(yield* webhooks.get(tenantId, yield* refOf(params.id)))
      }, answered),

      put: Effect.fn("WebhooksHandlers.put")(function* ({ params, payload }) {
        const { tenantId } = yield* Caller
        const isId = Option.isSome(parse(WebhookId, params.id))
        if (!isId && !Schema.is(CallerUid)(params.id)) {
          return yield* invalidAt("/params/id", "Expected an id, or a uid to register under")
        }
        if (!isId && payload.uid !== undefined && payload.uid !== params.id) {
          return yield* invalidAt("/uid", "Expected the uid that the path names")
        }
        yield* judgeUrls(payload)
        if (!isId && Option.isNone(yield* webhooks.find(tenantId, params.id))) {
          // The id may be that of a webhook that was copied from elsewhere.
          yield* Effect.fromResult(
            judgeAnswered(payload, { id: payload.id ?? null, status: "enabled" })
          )
          const created = yield* registerUid(tenantId, params.id, payload)
          if (Option.isSome(created)) return yield* viewWithSecret(created.value)
        }
        return yield* view(yield* replace(tenantId, params.id, payload))
      }, answered),

      patch: Effect.fn("WebhooksHandlers.patch")(function* ({ params, payload }) {
        const { tenantId } = yield* Caller
        const ref = yield* refOf(params.id)
        yield* judgeUrls(payload)
        const now = yield* Clock.currentTimeMillis
        const patched = yield* webhooks.update(tenantId, ref, (webhook) =>
          Result.andThen(judgeAnswered(payload, webhook), () =>
            judgeUpdate(webhook, patchOf(payload, webhook.settings), { now, keptMs })
          )
        )
        return yield* view(patched)
      }, answered),

      delete: Effect.fn("WebhooksHandlers.delete")(
        function* ({ params }) {
          const { tenantId } = yield* Caller
          yield* webhooks.delete(tenantId, yield* refOf(params.id))
        },
        // A long backlog is cancelled in steps, which go on when nobody waits for them any more.
        Effect.uninterruptible,
        inTime("WebhookRepo.delete", statementMs),
        unavailable
      ),

      getSecret: Effect.fn("WebhooksHandlers.getSecret")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return yield* Effect.fromResult(
          secretView(yield* webhooks.reveal(tenantId, yield* refOf(params.id)))
        )
      }, answered),

      rotateSecret: Effect.fn("WebhooksHandlers.rotateSecret")(function* ({ params, payload }) {
        const { tenantId } = yield* Caller
        const { gracePeriodSeconds = graceSeconds, secret } = payload ?? {}
        const ref = yield* refOf(params.id)
        const given =
          secret === undefined ? undefined : yield* Effect.fromResult(readSecret(secret))
        const random = yield* ids.bytes(Secret.secretBytes.generated)
        const id = yield* ids.next("secret")
        const rotated = yield* webhooks.rotateSecret(tenantId, ref, (webhook) =>
          Result.map(judgeSecret(webhook, given ?? secretLike(webhook, random)), (key) => ({
            id,
            key: Redacted.make(key),
            graceMs: gracePeriodSeconds * 1_000
          }))
        )
        return yield* Effect.fromResult(secretView(rotated))
      }, answered),

      pause: Effect.fn("WebhooksHandlers.pause")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return yield* view(yield* webhooks.setStatus(tenantId, yield* refOf(params.id), "paused"))
      }, answered),

      resume: Effect.fn("WebhooksHandlers.resume")(function* ({ params }) {
        const { tenantId } = yield* Caller
        return yield* view(yield* webhooks.setStatus(tenantId, yield* refOf(params.id), "enabled"))
      }, answered)
    })
  })
)

/** Text that is neither an id nor a uid names nothing. */
const refOf = (text: string): Effect.Effect<string, WebhookNotFound> =>
  isRef(text) ? Effect.succeed(text) : Effect.fail(new WebhookNotFound())

const decodeSettings = Schema.decodeUnknownSync(WebhookSettings)

/** All settings of an input; what it leaves out, or is null, has its default. */
const settingsOf = (input: object): WebhookSettings =>
  decodeSettings(Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null)))

/** All fields of a webhook; what the input leaves out has its default. */
const fieldsOf = (input: WebhookInput): WebhookFields => ({
  uid: input.uid ?? null,
  name: input.name ?? null,
  description: input.description ?? null,
  metadata: input.metadata ?? {},
  url: input.url,
  eventTypes: input.eventTypes ?? [],
  resources: input.resources ?? [],
  channels: input.channels ?? [],
  filter: input.filter ?? null,
  headers: input.headers ?? {},
  auth: input.auth ?? none,
  settings: settingsOf(input)
})

/** The fields that a patch names, null for their defaults, and all settings with those that it names. */
const patchOf = (input: WebhookPatch, current: WebhookSettings): WebhookUpdate => {
  const { settings: _, url, ...fields } = fieldsOf({ ...input, url: input.url ?? "" })
  return {
    ...Object.fromEntries(Object.entries(fields).filter(([name]) => name in input)),
    ...(input.url === undefined ? {} : { url }),
    settings: settingsOf({ ...current, ...input })
  }
}

const isCurrent = (webhook: Webhook, key: Uint8Array): boolean =>
  Option.exists(
    currentSecret(webhook),
    (current) => Buffer.compare(Redacted.value(current.key), key) === 0
  )
