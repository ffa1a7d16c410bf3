import { layer } from "@effect/vitest"
import { suite } from "./DeliverySql.suite.ts"
import { pglite } from "./Stage.ts"

layer(pglite, { timeout: "60 seconds" })("Deliveries on PGlite", suite)
