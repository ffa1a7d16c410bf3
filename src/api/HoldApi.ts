/**
 * The switch that stops all sending, over HTTP: for admin keys alone, since it speaks of all tenants.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Authorization, RequiredScope } from "./Authorization.ts"
import { Instant } from "./Instant.ts"
import { JsonBody } from "./JsonBody.ts"
import { RequestProblems } from "./Problems.ts"
import { Text } from "./Text.ts"

/** Whether sending is held, since when and why. */
export const HoldView = Schema.Struct({
  held: Schema.Boolean,
  reason: Schema.NullOr(Schema.String),
  since: Schema.NullOr(Instant)
}).annotate({ identifier: "Hold" })
export type HoldView = typeof HoldView.Type

/** What a hold may say. */
export const HoldInput = Schema.Struct({
  reason: Schema.optionalKey(Schema.NullOr(Text(512)))
}).annotate({ identifier: "HoldInput" })

/** The endpoints of the switch. */
export class HoldApi extends HttpApiGroup.make("hold")
  .add(
    HttpApiEndpoint.get("get", "/hold", { success: HoldView })
      .annotate(RequiredScope, "admin")
      .annotate(OpenApi.Summary, "Tell whether all sending is held"),
    HttpApiEndpoint.post("hold", "/hold", {
      payload: [HoldInput, HttpApiSchema.NoContent],
      success: HoldView
    })
      .middleware(JsonBody)
      .annotate(RequiredScope, "admin")
      .annotate(OpenApi.Summary, "Stop all sending; messages are accepted as ever"),
    HttpApiEndpoint.post("release", "/release", { success: HoldView })
      .annotate(RequiredScope, "admin")
      .annotate(OpenApi.Summary, "Let sending go on")
  )
  .middleware(RequestProblems)
  .middleware(Authorization)
  .prefix("/v1")
  .annotate(OpenApi.Title, "Hold") {}
