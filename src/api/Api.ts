/**
 * The HTTP API as one value: server, client, command line and documentation are made from it.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as OpenApi from "effect/http-api/OpenApi"
import { version } from "../domain/Version.ts"
import { AuditApi } from "./AuditApi.ts"
import { DeliveriesApi } from "./DeliveriesApi.ts"
import { EventTypesApi } from "./EventTypesApi.ts"
import { MessagesApi } from "./MessagesApi.ts"
import { HoldApi } from "./HoldApi.ts"
import { complete } from "./OpenApiDocument.ts"
import { RedeliveriesApi } from "./RedeliveriesApi.ts"
import { StatsApi } from "./StatsApi.ts"
import { SystemApi } from "./SystemApi.ts"
import { TenantsApi } from "./TenantsApi.ts"
import { TrialsApi } from "./TrialsApi.ts"
import { WebhooksApi } from "./WebhooksApi.ts"

/** Everything that the service answers below `/v1` and `/health`. */
export class Api extends HttpApi.make("posthaste")
  .add(
    MessagesApi,
    EventTypesApi,
    WebhooksApi,
    DeliveriesApi,
    RedeliveriesApi,
    TenantsApi,
    HoldApi,
    AuditApi,
    TrialsApi,
    StatsApi,
    SystemApi
  )
  // A misspelt field must not be taken for an absent one.
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all" })
  .annotateMerge(
    OpenApi.annotations({
      title: "Posthaste API",
      version,
      description:
        "Accepts messages and delivers each one, signed, to every webhook that wants it.",
      transform: complete
    })
  ) {}
