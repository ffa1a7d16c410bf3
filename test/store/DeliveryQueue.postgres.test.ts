import { layer } from "@effect/vitest"
import { suite } from "./DeliveryQueue.suite.ts"
import { postgres } from "./Ground.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("DeliveryQueue on Postgres", suite)
