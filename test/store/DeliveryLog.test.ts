import { layer } from "@effect/vitest"
import { suite } from "./DeliveryLog.suite.ts"
import { memory, pglite } from "./Stage.ts"

layer(memory)("DeliveryLog in memory", suite)

layer(pglite, { timeout: "60 seconds" })("DeliveryLog on PGlite", suite)
