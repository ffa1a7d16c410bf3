import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { pglite } from "./Ground.ts"
import { suite } from "./KeyRotation.suite.ts"

layer(Layer.provideMerge(WebhookRepo.layer, pglite), { timeout: "60 seconds" })(
  "KeyRotation on PGlite",
  (it) => suite(it, 1_200)
)
