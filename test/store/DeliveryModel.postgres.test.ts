import { layer } from "@effect/vitest"
import { suite } from "./DeliveryModel.suite.ts"
import { postgres } from "./Ground.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("Deliveries on Postgres and in memory", (it) =>
  suite(it, 12)
)
