import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { postgres } from "./Ground.ts"
import { suite } from "./WebhookRepo.suite.ts"
import { suite as sqlSuite } from "./WebhookSql.suite.ts"

layer(Layer.provideMerge(WebhookRepo.layer, postgres), { timeout: "60 seconds" })(
  "WebhookRepo on Postgres",
  (it) => {
    suite(it)
    sqlSuite(it)
  }
)
