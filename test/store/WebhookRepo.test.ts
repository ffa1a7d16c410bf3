import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { memory, pglite } from "./Ground.ts"
import { suite } from "./WebhookRepo.suite.ts"
import { suite as sqlSuite } from "./WebhookSql.suite.ts"

layer(Layer.provideMerge(WebhookRepo.layerMemory, memory))("WebhookRepo in memory", suite)

layer(Layer.provideMerge(WebhookRepo.layer, pglite), { timeout: "60 seconds" })(
  "WebhookRepo on PGlite",
  (it) => {
    suite(it)
    sqlSuite(it)
  }
)
