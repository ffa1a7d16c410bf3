import { layer } from "@effect/vitest"
import { postgres } from "./Ground.ts"
import { suite } from "./RedeliveryRepo.suite.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("RedeliveryRepo on Postgres", suite)
