import { layer } from "@effect/vitest"
import { suite } from "./RedeliveryRepo.suite.ts"
import { memory, pglite } from "./Stage.ts"

layer(memory)("RedeliveryRepo in memory", suite)

layer(pglite, { timeout: "60 seconds" })("RedeliveryRepo on PGlite", suite)
