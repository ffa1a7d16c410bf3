import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { postgres } from "./Ground.ts"
import { suite } from "./KeyRotation.suite.ts"

layer(Layer.provideMerge(WebhookRepo.layer, postgres), { timeout: "60 seconds" })(
  "KeyRotation on Postgres",
  (it) => suite(it, 10_000)
)
