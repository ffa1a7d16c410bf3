/**
 * The audit trail over HTTP: read only.
 *
 * A tenant's key sees the entries of its tenant. A key that belongs to none sees all of them, or those
 * of the tenant that it names.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AuditAction } from "../domain/AuditEntry.ts"
import { AuditId, KeyId, TenantId } from "../domain/TypeId.ts"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { Instant } from "./Instant.ts"
import { PageOf, PageQuery } from "./Page.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

const values = Schema.NullOr(Schema.Record(Schema.String, Schema.Json))

/** An entry as every answer shows it. */
export const AuditEntryView = Schema.Struct({
  id: AuditId,
  at: Instant,
  tenantId: Schema.NullOr(TenantId).annotate({
    description: "null: it concerns the whole installation"
  }),
  actor: Schema.Struct({
    keyId: Schema.NullOr(KeyId).annotate({
      description: "null: whoever works on the database itself"
    }),
    name: Schema.String.annotate({ description: "The name that the key had then" })
  }),
  ip: Schema.NullOr(Schema.String).annotate({
    description: "Where the request came from; null without a request"
  }),
  requestId: Schema.NullOr(Schema.String),
  action: AuditAction,
  target: Schema.String.annotate({
    description: "The id of what was changed; the name of an event type"
  }),
  before: values.annotate({
    description: "The fields that were changed, or all of what is no more; credentials are masked"
  }),
  after: values.annotate({
    description: "The fields that were changed, or all of what is new; credentials are masked"
  })
}).annotate({ identifier: "AuditEntry" })
export type AuditEntryView = typeof AuditEntryView.Type

/** Whose entries are asked for. */
export const AuditActor = Schema.Union([KeyId, Schema.Literal("operator")]).annotate({
  description: "The id of a key; `operator` for whoever works on the database itself"
})

/** The endpoint of the audit trail. */
export class AuditApi extends HttpApiGroup.make("audit")
  .add(
    HttpApiEndpoint.get("list", "/audit", {
      query: {
        ...PageQuery,
        action: Schema.optionalKey(AuditAction),
        target: Schema.optionalKey(
          Text(256).annotate({ description: "The id of what was changed; the name of a type" })
        ),
        actor: Schema.optionalKey(AuditActor),
        tenantId: Schema.optionalKey(
          TenantId.annotate({ description: "Of one tenant, which may be gone by now" })
        )
      },
      success: PageOf(AuditEntryView)
    })
      .annotate(RequiredScope, "manage")
      .annotate(OpenApi.Summary, "List who changed what")
      .annotate(
        OpenApi.Description,
        "One entry for each change of configuration, each secret that was shown, each delivery that a " +
          "person redelivered or cancelled. A key that belongs to no tenant sees the entries of all " +
          "of them unless it names one."
      )
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1")
  .annotate(OpenApi.Title, "Audit") {}
