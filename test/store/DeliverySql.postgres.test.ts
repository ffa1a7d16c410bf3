import { layer } from "@effect/vitest"
import { suite } from "./DeliverySql.suite.ts"
import { postgres } from "./Ground.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("Deliveries on Postgres", suite)
