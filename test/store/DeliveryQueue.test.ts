import { layer } from "@effect/vitest"
import { suite } from "./DeliveryQueue.suite.ts"
import { memory, pglite } from "./Stage.ts"

layer(memory)("DeliveryQueue in memory", suite)

layer(pglite, { timeout: "60 seconds" })("DeliveryQueue on PGlite", suite)
