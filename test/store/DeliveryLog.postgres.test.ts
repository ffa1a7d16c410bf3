import { layer } from "@effect/vitest"
import { suite } from "./DeliveryLog.suite.ts"
import { postgres } from "./Ground.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("DeliveryLog on Postgres", suite)
