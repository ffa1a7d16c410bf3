/**
 * Tenants and the keys that open them, over HTTP. Everything here needs the scope `admin`.
 *
 * A key of no tenant administers all of them. A tenant's own admin key sees that tenant alone and
 * administers its keys.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { IdempotencyConflict } from "../domain/Message.ts"
import {
  DefaultTenantStays,
  KeyNotFound,
  LastAdminKey,
  Scope,
  TenantUidTaken
} from "../domain/Tenant.ts"
import { KeyId, TenantId } from "../domain/TypeId.ts"
import { Authorization } from "./Authorization.ts"
import { CallerUid, IdempotencyKey, Ref } from "./Fields.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

const webhooks = Schema.NullOr(
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
)
const messagesPerSecond = Schema.NullOr(
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))
)

/** Limits of a tenant as they are given: what is absent is not changed. */
const limits = Schema.optionalKey(
  Schema.Struct({
    webhooks: Schema.optionalKey(
      webhooks.annotate({ description: "Registered webhooks; null: as the installation says" })
    ),
    messagesPerSecond: Schema.optionalKey(
      messagesPerSecond.annotate({
        description:
          "Messages that are published, up to five seconds' worth of them at once; null: as the " +
          "installation says"
      })
    )
  }).annotate({ description: "What the tenant may have and do at most" })
)

/** A tenant to be made. */
export const TenantInput = Schema.Struct({
  uid: Schema.optionalKey(
    CallerUid.annotate({ description: "The caller's own id; the tenant's id when absent" })
  ),
  name: Schema.optionalKey(Text(256).annotate({ description: "The uid when absent" })),
  limits
}).annotate({ identifier: "TenantInput" })

/** What of a tenant is to be changed. */
export const TenantPatch = Schema.Struct({
  uid: Schema.optionalKey(CallerUid),
  name: Schema.optionalKey(Text(256)),
  limits
}).annotate({ identifier: "TenantPatch" })

/** A tenant as every answer shows it. */
export const TenantView = Schema.Struct({
  id: TenantId,
  uid: Schema.String,
  name: Schema.String,
  limits: Schema.Struct({ webhooks, messagesPerSecond }).annotate({
    description: "What it may have and do at most; null: as the installation says"
  }),
  createdAt: Instant,
  updatedAt: Instant
}).annotate({ identifier: "Tenant" })
export type TenantView = typeof TenantView.Type

const expiresAt = Schema.optionalKey(
  Schema.NullOr(Instant).annotate({ description: "When it stops to open anything; null: never" })
)

/** A key to be made for a tenant. */
export const KeyInput = Schema.Struct({
  name: Text(256).annotate({ description: "Who or what it is for" }),
  scopes: Schema.Array(Scope).check(Schema.isMinLength(1), Schema.isUnique()),
  expiresAt
}).annotate({ identifier: "KeyInput" })

/** A key to be made that belongs to no tenant. */
export const AdminKeyInput = Schema.Struct({
  name: Text(256).annotate({ description: "Who or what it is for" }),
  expiresAt
}).annotate({ identifier: "AdminKeyInput" })

/** What of a key is to be changed. */
export const KeyPatch = Schema.Struct({
  name: Schema.optionalKey(Text(256)),
  expiresAt
}).annotate({ identifier: "KeyPatch" })

const key = {
  id: KeyId,
  tenantId: Schema.NullOr(TenantId).annotate({ description: "null: it administers all tenants" }),
  name: Schema.String,
  prefix: Schema.String.annotate({ description: "How it begins, to recognise it by" }),
  scopes: Schema.Array(Scope),
  createdAt: Instant,
  lastUsedAt: Schema.NullOr(Instant).annotate({ description: "Noted once a minute" }),
  expiresAt: Schema.NullOr(Instant)
}

/** A key as every answer shows it: never the key itself. */
export const KeyView = Schema.Struct(key).annotate({ identifier: "Key" })
export type KeyView = typeof KeyView.Type

/** A key just made. */
export const KeyCreated = Schema.Struct({
  ...key,
  key: Schema.NullOr(Schema.String).annotate({
    description:
      "In full, here and never again; null where this repeats a request with its Idempotency-Key"
  })
}).annotate({ identifier: "KeyCreated" })

const headers = { "idempotency-key": Schema.optionalKey(IdempotencyKey) }
const tenant = { id: Ref }
const keyId = { keyId: Schema.String.annotate({ description: "The id of a key" }) }
const created = KeyCreated.pipe(HttpApiSchema.status(201))

/** The endpoints below `/v1/tenants`, and `/v1/admin-keys`. */
export class TenantsApi extends HttpApiGroup.make("tenants")
  .add(
    HttpApiEndpoint.post("create", "/tenants", {
      headers,
      payload: TenantInput,
      success: TenantView.pipe(HttpApiSchema.status(201)),
      error: [TenantUidTaken, IdempotencyConflict]
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Make a tenant"),
    HttpApiEndpoint.get("list", "/tenants", {
      query: PageQuery,
      success: PageOf(TenantView)
    }).annotate(OpenApi.Summary, "List tenants"),
    HttpApiEndpoint.get("get", "/tenants/:id", { params: tenant, success: TenantView }).annotate(
      OpenApi.Summary,
      "Get a tenant"
    ),
    HttpApiEndpoint.patch("patch", "/tenants/:id", {
      params: tenant,
      payload: TenantPatch,
      success: TenantView,
      error: [TenantUidTaken, DefaultTenantStays]
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Change the uid, the name or the limits of a tenant"),
    HttpApiEndpoint.delete("delete", "/tenants/:id", {
      params: tenant,
      success: HttpApiSchema.NoContent,
      error: DefaultTenantStays
    })
      .annotate(OpenApi.Summary, "Remove a tenant")
      .annotate(
        OpenApi.Description,
        "Its keys open nothing from now on. Its webhooks go one after another, and what is owed to " +
          "them ends as cancelled; its messages leave with retention."
      ),
    HttpApiEndpoint.post("createKey", "/tenants/:id/keys", {
      params: tenant,
      headers,
      payload: KeyInput,
      success: created,
      error: IdempotencyConflict
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Make a key of a tenant"),
    HttpApiEndpoint.get("listKeys", "/tenants/:id/keys", {
      params: tenant,
      query: PageQuery,
      success: PageOf(KeyView)
    }).annotate(OpenApi.Summary, "List the keys of a tenant"),
    HttpApiEndpoint.get("getKey", "/tenants/:id/keys/:keyId", {
      params: { ...tenant, ...keyId },
      success: KeyView,
      error: KeyNotFound
    }).annotate(OpenApi.Summary, "Get a key of a tenant"),
    HttpApiEndpoint.patch("patchKey", "/tenants/:id/keys/:keyId", {
      params: { ...tenant, ...keyId },
      payload: KeyPatch,
      success: KeyView,
      error: KeyNotFound
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Change the name or the end of a key"),
    HttpApiEndpoint.delete("revokeKey", "/tenants/:id/keys/:keyId", {
      params: { ...tenant, ...keyId },
      success: HttpApiSchema.NoContent,
      error: KeyNotFound
    }).annotate(OpenApi.Summary, "Revoke a key of a tenant"),
    HttpApiEndpoint.post("createAdminKey", "/admin-keys", {
      headers,
      payload: AdminKeyInput,
      success: created,
      error: IdempotencyConflict
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Make a key that administers all tenants"),
    HttpApiEndpoint.get("listAdminKeys", "/admin-keys", {
      query: PageQuery,
      success: PageOf(KeyView)
    }).annotate(OpenApi.Summary, "List the keys that belong to no tenant"),
    HttpApiEndpoint.get("getAdminKey", "/admin-keys/:keyId", {
      params: keyId,
      success: KeyView,
      error: KeyNotFound
    }).annotate(OpenApi.Summary, "Get a key that belongs to no tenant"),
    HttpApiEndpoint.patch("patchAdminKey", "/admin-keys/:keyId", {
      params: keyId,
      payload: KeyPatch,
      success: KeyView,
      error: [KeyNotFound, LastAdminKey]
    })
      .middleware(JsonBody)
      .annotate(OpenApi.Summary, "Change the name or the end of an admin key"),
    HttpApiEndpoint.delete("revokeAdminKey", "/admin-keys/:keyId", {
      params: keyId,
      success: HttpApiSchema.NoContent,
      error: [KeyNotFound, LastAdminKey]
    }).annotate(OpenApi.Summary, "Revoke an admin key")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1")
  .annotate(OpenApi.Title, "Tenants and keys") {}
