/**
 * Answers the endpoints below `/v1/tenants`, and `/v1/admin-keys`.
 *
 * A caller whose key belongs to a tenant finds that tenant alone, and administers its keys; all else
 * is for keys that belong to none.
 */
import { Clock, Effect, Option, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Caller } from "../api/Authorization.ts"
import { isRef } from "../api/Fields.ts"
import { pageRequest } from "../api/Page.ts"
import { KeyNotFound, type NewApiKey, noLimits, TenantNotFound } from "../domain/Tenant.ts"
import { KeyId, parse, type TenantId } from "../domain/TypeId.ts"
import { TenantErasure } from "../store/TenantErasure.ts"
import { TenantRepo } from "../store/TenantRepo.ts"
import { idempotencyOf } from "./Idempotency.ts"
import { operator } from "./Operator.ts"
import { invalidAt } from "./RequestProblemsLayer.ts"
import { answered } from "./StoreFaults.ts"

export const TenantsHandlers = HttpApiBuilder.group(
  Api,
  "tenants",
  Effect.fn(function* (handlers) {
    const tenants = yield* TenantRepo
    const erasure = yield* TenantErasure

    /** Finds the tenant that a path names, if the caller may know of it. */
    const tenantAt = Effect.fnUntraced(function* (ref: string) {
      const { ownTenantId } = yield* Caller
      const found = isRef(ref) ? yield* tenants.find(ref) : Option.none()
      return Option.isSome(found) && (ownTenantId ?? found.value.id) === found.value.id
        ? found.value
        : yield* new TenantNotFound()
    })
    const ownerAt = (ref: string) => Effect.map(tenantAt(ref), ({ id }) => id)

    const patchKey = Effect.fnUntraced(function* (
      owner: TenantId | null,
      id: string,
      payload: { readonly name?: string; readonly expiresAt?: number | null }
    ) {
      yield* judgeEnd(payload.expiresAt)
      return yield* tenants.updateKey(owner, yield* keyIdOf(id), payload)
    })

    return handlers.handleAll({
      create: Effect.fn("TenantsHandlers.create")(function* ({ headers, payload, request }) {
        yield* operator
        const { limits = noLimits, name = null, uid = null } = payload
        const idempotency = yield* idempotencyOf(headers["idempotency-key"], request)
        return yield* tenants.create({ uid, name, limits, idempotency })
      }, answered),

      list: Effect.fn("TenantsHandlers.list")(function* ({ query }) {
        const { ownTenantId } = yield* Caller
        const request = yield* Effect.fromResult(pageRequest(query))
        if (ownTenantId === null) return yield* tenants.list(request)
        const own = yield* tenantAt(ownTenantId)
        return { data: [own], nextCursor: null, prevCursor: null }
      }, answered),

      get: Effect.fn("TenantsHandlers.get")(({ params }) => tenantAt(params.id), answered),

      patch: Effect.fn("TenantsHandlers.patch")(function* ({ params, payload }) {
        const id = yield* ownerAt(params.id)
        yield* operator
        return yield* tenants.update(id, payload)
      }, answered),

      delete: Effect.fn("TenantsHandlers.delete")(function* ({ params }) {
        const id = yield* ownerAt(params.id)
        yield* operator
        yield* erasure.erase(id)
      }, answered),

      createKey: Effect.fn("TenantsHandlers.createKey")(function* ({
        headers,
        params,
        payload,
        request
      }) {
        const tenantId = yield* ownerAt(params.id)
        yield* judgeEnd(payload.expiresAt)
        const { expiresAt = null, name, scopes } = payload
        const idempotency = yield* idempotencyOf(headers["idempotency-key"], request)
        return created(yield* tenants.createKey({ tenantId, name, scopes, expiresAt, idempotency }))
      }, answered),

      listKeys: Effect.fn("TenantsHandlers.listKeys")(function* ({ params, query }) {
        const owner = yield* ownerAt(params.id)
        return yield* tenants.listKeys(owner, yield* Effect.fromResult(pageRequest(query)))
      }, answered),

      getKey: Effect.fn("TenantsHandlers.getKey")(function* ({ params }) {
        const owner = yield* ownerAt(params.id)
        return yield* tenants.getKey(owner, yield* keyIdOf(params.keyId))
      }, answered),

      patchKey: Effect.fn("TenantsHandlers.patchKey")(
        function* ({ params, payload }) {
          return yield* patchKey(yield* ownerAt(params.id), params.keyId, payload)
        },
        Effect.catchTag("LastAdminKey", Effect.die),
        answered
      ),

      revokeKey: Effect.fn("TenantsHandlers.revokeKey")(
        function* ({ params }) {
          const owner = yield* ownerAt(params.id)
          yield* tenants.revokeKey(owner, yield* keyIdOf(params.keyId))
        },
        Effect.catchTag("LastAdminKey", Effect.die),
        answered
      ),

      createAdminKey: Effect.fn("TenantsHandlers.createAdminKey")(function* ({
        headers,
        payload,
        request
      }) {
        yield* operator
        yield* judgeEnd(payload.expiresAt)
        const { expiresAt = null, name } = payload
        const idempotency = yield* idempotencyOf(headers["idempotency-key"], request)
        return created(
          yield* tenants.createKey({
            tenantId: null,
            name,
            scopes: ["admin"],
            expiresAt,
            idempotency
          })
        )
      }, answered),

      listAdminKeys: Effect.fn("TenantsHandlers.listAdminKeys")(function* ({ query }) {
        yield* operator
        return yield* tenants.listKeys(null, yield* Effect.fromResult(pageRequest(query)))
      }, answered),

      getAdminKey: Effect.fn("TenantsHandlers.getAdminKey")(function* ({ params }) {
        yield* operator
        return yield* tenants.getKey(null, yield* keyIdOf(params.keyId))
      }, answered),

      patchAdminKey: Effect.fn("TenantsHandlers.patchAdminKey")(function* ({ params, payload }) {
        yield* operator
        return yield* patchKey(null, params.keyId, payload)
      }, answered),

      revokeAdminKey: Effect.fn("TenantsHandlers.revokeAdminKey")(function* ({ params }) {
        yield* operator
        yield* tenants.revokeKey(null, yield* keyIdOf(params.keyId))
      }, answered)
    })
  })
)

const keyIdOf = (text: string): Effect.Effect<KeyId, KeyNotFound> =>
  Option.match(parse(KeyId, text), {
    onNone: () => Effect.fail(new KeyNotFound()),
    onSome: (id) => Effect.succeed(id)
  })

/** Refuses an end that is over: who wants that revokes the key. */
const judgeEnd = Effect.fnUntraced(function* (expiresAt: number | null | undefined) {
  if (expiresAt === null || expiresAt === undefined) return
  if (expiresAt <= (yield* Clock.currentTimeMillis)) {
    yield* invalidAt("/expiresAt", "Expected an instant to come")
  }
})

const created = ({ key, record }: NewApiKey) => ({
  ...record,
  key: Option.getOrNull(Option.map(key, Redacted.value))
})
