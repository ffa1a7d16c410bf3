/**
 * What the process says about itself over HTTP. No key is needed and nothing secret is answered.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"

/** How one part is; `waiting` while the process starts or another engine owns the database. */
export const Check = Schema.Literals(["ok", "failed", "waiting"])

const checks = Schema.Struct({
  database: Check,
  migrations: Check,
  ownership: Check,
  lanes: Check,
  draining: Check
})

const Durability = Schema.Literals(["process", "power-loss"]).annotate({
  description: "What an accepted message survives"
})

const Egress = Schema.Literals(["direct", "proxy", "proxy_failing"]).annotate({
  description:
    "How requests go out. While a proxy fails, messages are accepted and their deliveries wait."
})

const Sending = Schema.Literals(["on", "held"]).annotate({
  description: "held while a person stops all sending; messages are accepted all the same"
})

/** The process can do its work. */
export const Ready = Schema.Struct({
  status: Schema.tag("ready"),
  checks,
  sending: Sending,
  durability: Durability,
  egress: Egress
}).annotate({ identifier: "Ready" })

/** A part failed. */
export const NotReady = Schema.Struct({
  status: Schema.tag("unavailable"),
  checks,
  sending: Schema.optionalKey(Sending),
  durability: Schema.optionalKey(Durability),
  egress: Schema.optionalKey(Egress)
}).annotate({ identifier: "NotReady" })

/** The endpoints below `/health`. */
export class SystemApi extends HttpApiGroup.make("system")
  .add(
    HttpApiEndpoint.get("live", "/live", {
      success: Schema.Struct({ status: Schema.tag("ok") })
    }).annotate(OpenApi.Summary, "Tell whether the process runs, without asking anything else"),
    HttpApiEndpoint.get("ready", "/ready", {
      success: [Ready, NotReady.pipe(HttpApiSchema.status(503))]
    }).annotate(OpenApi.Summary, "Tell whether the process can do its work")
  )
  .prefix("/health")
  .annotate(OpenApi.Title, "System") {}
